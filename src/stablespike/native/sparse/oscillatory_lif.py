"""The oscillatory LIF neuron's lines for the sparse kernel: V = I0 (1 - G exp(-now/tau)), a pulse adds to G.

`now` is the time since the reference time; equations and units as in `stablespike.dynamics.neurons.oscillatory_lif`.
"""

from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable

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

BEYOND_ROUNDING = 1e-9  # of what G is at the threshold: a spike further from it was brought on by a pulse


class LeakyPulseConstants(NamedTuple):
    """Oscillatory LIF: time constant, drive I0, G at the threshold at the reference time, (I0 - threshold)/I0."""

    tau: float
    drive: float
    gate: float


def derive(neuron, dtype):
    """The constants `[neurons or 1, constants]`, from the JAX neuron."""
    tau, drive, threshold = neuron.membrane_time_constant, neuron.drive, neuron.threshold
    return table(dtype, tau, drive, (jnp.asarray(drive) - threshold) / drive)


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return LeakyPulseConstants(array[0], array[1], array[2])


plug = plugs_of(LeakyPulseConstants)


@plug(columns)
@no_type_check
def oscillatory_lif_columns(constants):
    """G."""
    return 1


@plug(frame)
@no_type_check
def oscillatory_lif_frame(constants, now):
    """exp(now/tau), and that over I0."""
    scale = np.exp(now / constants.tau)
    return scale, scale / constants.drive


@plug(enter)
@no_type_check
def oscillatory_lif_enter(constants, rows, j, state):
    """G = 1 - V/I0."""
    rows[j, 0] = (constants.drive - state[0]) / constants.drive


@plug(leave)
@no_type_check
def oscillatory_lif_leave(constants, step, now, rows, j, state):
    """V = I0 (1 - G exp(-now/tau))."""
    state[0] = constants.drive - rows[j, 0] / step[1]


@plug(hit)
@no_type_check
def oscillatory_lif_hit(constants, step, now, rows, j, weight):
    """G -= (w/I0) exp(now/tau)."""
    rows[j, 0] -= weight * step[1]


@plug(due)
@no_type_check
def oscillatory_lif_due(constants, step, now, rows, j):
    """tau log(G/gate), now if that is past."""
    if rows[j, 0] <= constants.gate * step[0]:
        return now
    return constants.tau * np.log(rows[j, 0] / constants.gate)


@plug(fire)
@no_type_check
def oscillatory_lif_fire(constants, step, now, rows, j):
    """V = 0."""
    rows[j, 0] = step[0]


@plug(pulses_and_reset_commute)
@no_type_check
def oscillatory_lif_pulses_and_reset_commute(constants):
    """A pulse adds to the voltage, which the reset erases."""
    return False


@plug(rebase)
@no_type_check
def oscillatory_lif_rebase(constants, step, now, rows, j):
    """G exp(-now/tau)."""
    rows[j, 0] /= step[0]


@plug(hit_bar)
@no_type_check
def oscillatory_lif_hit_bar(constants, step, bars, j, weight):
    """w_bar = -G_bar exp(now/tau)/I0; time_bar = w_bar w/tau."""
    by_weight = -bars[j, 0] * step[1]
    return by_weight, by_weight * weight / constants.tau


@plug(fire_bar)
@no_type_check
def oscillatory_lif_fire_bar(constants, step, row, bars, j, time_bar, first, together):
    """G = exp(now/tau) after, tau log(G/gate) = now before the spike; elsewhere by a pulse: at its time."""
    time_bar += bars[j, 0] * step[0] / constants.tau
    at_threshold = constants.gate * step[0]
    elsewhere = (first or together) and abs(row[0] - at_threshold) > BEYOND_ROUNDING * at_threshold
    bars[j, 0] = 0.0 if elsewhere else time_bar * constants.tau / at_threshold
    return time_bar if elsewhere else 0.0


@plug(enter_bar)
@no_type_check
def oscillatory_lif_enter_bar(constants, bar, state_bar):
    """V_bar = -G_bar/I0."""
    state_bar[0] = -bar[0] / constants.drive


@plug(leave_bar)
@no_type_check
def oscillatory_lif_leave_bar(constants, step, row, state_bar, bars, j):
    """G_bar = -V_bar I0 exp(-now/tau); dV/dt = (I0 - V)/tau."""
    bars[j, 0] = -state_bar[0] / step[1]
    return state_bar[0] * row[0] / step[1] / constants.tau


@plug(rebase_bar)
@no_type_check
def oscillatory_lif_rebase_bar(constants, step, bars, j):
    """G_bar exp(-now/tau)."""
    bars[j, 0] /= step[0]
