"""The LIF neuron's lines for the sparse kernel: V = B x - A x^2, I = A x^2, a pulse adds to A and B.

x = exp(-now/tau), `now` the time since the reference time; equations and units as in its JAX class.
"""

from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable

from stablespike.native.conventions import ROUNDING_UNITS
from stablespike.native.sparse.lines import (
    columns,
    due,
    enter,
    enter_bar,
    fire,
    fire_bar,
    frame,
    hit,
    hit_bar,
    leave,
    leave_bar,
    plugs_of,
    pulses_and_reset_commute,
    rebase,
    rebase_bar,
    table,
)


class LeakyCurrentConstants(NamedTuple):
    """LIF with current: time constant, threshold, a voltage a few roundings above it."""

    tau: float
    threshold: float
    beyond: float


def derive(neuron, dtype):
    """The constants `[neurons or 1, constants]`, from the JAX neuron."""
    slack = ROUNDING_UNITS * jnp.finfo(dtype).eps
    return table(dtype, neuron.membrane_time_constant, neuron.threshold, jnp.asarray(neuron.threshold) * (1 + slack))


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return LeakyCurrentConstants(array[0], array[1], array[2])


plug = plugs_of(LeakyCurrentConstants)


@plug(columns)
@no_type_check
def lif_columns(constants):
    """A, B."""
    return 2


@plug(frame)
@no_type_check
def lif_frame(constants, now):
    """1/x and x."""
    return np.exp(now / constants.tau), np.exp(-now / constants.tau)


@plug(enter)
@no_type_check
def lif_enter(constants, rows, j, state):
    """A = I, B = V + I."""
    rows[j, 0], rows[j, 1] = state[1], state[0] + state[1]


@plug(leave)
@no_type_check
def lif_leave(constants, step, now, rows, j, state):
    """V = x (B - A x), I = A x^2."""
    state[0] = step[1] * (rows[j, 1] - rows[j, 0] * step[1])
    state[1] = rows[j, 0] * step[1] * step[1]


@plug(hit)
@no_type_check
def lif_hit(constants, step, now, rows, j, weight):
    """A += w/x^2, B += w/x."""
    charge = weight * step[0]
    rows[j, 0] += charge * step[0]
    rows[j, 1] += charge


@plug(due)
@no_type_check
def lif_due(constants, step, now, rows, j):
    """-tau log x, x the larger root of A x^2 - B x + threshold if the voltage still rises to it; now if it is past."""
    A, B = rows[j, 0], rows[j, 1]
    if step[1] * (B - A * step[1]) > constants.beyond:
        return now
    discriminant = B * B - 4 * A * constants.threshold
    if not (A > 0 and B > 0 and discriminant >= 0 and 2 * A * step[1] >= B):
        return np.inf + (A - A) + (B - B)  # nan stays nan
    x = (B + np.sqrt(discriminant)) / (2 * A)
    return now if x >= step[1] else -constants.tau * np.log(x)


@plug(fire)
@no_type_check
def lif_fire(constants, step, now, rows, j):
    """V = 0: B = A x."""
    rows[j, 1] = rows[j, 0] * step[1]


@plug(pulses_and_reset_commute)
@no_type_check
def lif_pulses_and_reset_commute(constants):
    """A pulse adds to the current, which survives the reset."""
    return True


@plug(rebase)
@no_type_check
def lif_rebase(constants, step, now, rows, j):
    """A x^2, B x."""
    rows[j, 0] *= step[1] * step[1]
    rows[j, 1] *= step[1]


@plug(hit_bar)
@no_type_check
def lif_hit_bar(constants, step, bars, j, weight):
    """w_bar = A_bar/x^2 + B_bar/x; time_bar = w (2 A_bar/x^2 + B_bar/x)/tau."""
    by_square, by_one = bars[j, 0] * step[0] * step[0], bars[j, 1] * step[0]
    return by_square + by_one, weight * (2 * by_square + by_one) / constants.tau


@plug(fire_bar)
@no_type_check
def lif_fire_bar(constants, step, row, bars, j, time_bar, first, together):
    """B = A x after; before, B x - A x^2 = threshold, which rises at the rate (A x^2 - threshold)/tau.

    Only a state given at time 0 lies past the threshold; later, rounding in the spike's time must not look as if.
    """
    current = row[0] * step[1] * step[1]
    past = first and step[1] * row[1] - current > constants.beyond
    bars[j, 0] += bars[j, 1] * step[1]
    time_bar -= bars[j, 1] * row[0] * step[1] / constants.tau
    bars[j, 1] = 0.0
    if past:
        return time_bar
    wait = time_bar * step[1] * constants.tau / (current - constants.threshold)
    bars[j, 0] += wait * step[1]
    bars[j, 1] = -wait
    return 0.0


@plug(enter_bar)
@no_type_check
def lif_enter_bar(constants, bar, state_bar):
    """V_bar = B_bar, I_bar = A_bar + B_bar."""
    state_bar[0], state_bar[1] = bar[1], bar[0] + bar[1]


@plug(leave_bar)
@no_type_check
def lif_leave_bar(constants, step, row, state_bar, bars, j):
    """B_bar = x V_bar, A_bar = x^2 (I_bar - V_bar); d(V, I)/dt = (I - V, -2 I)/tau."""
    bars[j, 1] = step[1] * state_bar[0]
    bars[j, 0] = step[1] * step[1] * (state_bar[1] - state_bar[0])
    current = row[0] * step[1] * step[1]
    return ((2 * current - step[1] * row[1]) * state_bar[0] - 2 * current * state_bar[1]) / constants.tau


@plug(rebase_bar)
@no_type_check
def lif_rebase_bar(constants, step, bars, j):
    """A_bar x^2, B_bar x."""
    bars[j, 0] *= step[1] * step[1]
    bars[j, 1] *= step[1]
