"""The LIF neuron's lines for the sparse kernel: V = B x - A x^2, I = A x^2, a pulse adds to A and B.

x = exp(-now/tau), `now` the time since the reference time; equations and units as in `stablespike.dynamics.lif`.
"""

from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable

from stablespike.dynamics.kernels.sparse_lines import (
    columns,
    due,
    enter,
    fire,
    frame,
    hit,
    leave,
    plugs_of,
    rebase,
    table,
)
from stablespike.dynamics.neuron import ROUNDING_UNITS


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


@plug(rebase)
@no_type_check
def lif_rebase(constants, step, now, rows, j):
    """A x^2, B x."""
    rows[j, 0] *= step[1] * step[1]
    rows[j, 1] *= step[1]
