"""The theta neuron's lines for the sparse kernel: (x, y) turned back to the reference time, which a pulse shears.

`now` is the time since then; equations and units as in `stablespike.dynamics.neurons.theta`.
"""

from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable

from stablespike.native.sparse.lines import (
    columns,
    due,
    enter,
    fire,
    frame,
    hit,
    leave,
    plugs_of,
    pulses_and_reset_commute,
    rebase,
    table,
)


class RotorConstants(NamedTuple):
    """Theta: angle per unit of time, a/tau; 1/a."""

    pace: float
    response: float


def derive(neuron, dtype):
    """The constants `[neurons or 1, constants]`, from the JAX neuron."""
    amplitude = jnp.sqrt(jnp.asarray(neuron.drive) - 0.25)
    return table(dtype, amplitude / neuron.membrane_time_constant, 1 / amplitude)


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return RotorConstants(array[0], array[1])


plug = plugs_of(RotorConstants)


@plug(columns)
@no_type_check
def theta_columns(constants):
    """x, y."""
    return 2


@plug(frame)
@no_type_check
def theta_frame(constants, now):
    """Cosine and sine of the angle since the reference time."""
    return np.cos(constants.pace * now), np.sin(constants.pace * now)


@plug(enter)
@no_type_check
def theta_enter(constants, rows, j, state):
    """(x, y)."""
    rows[j, 0], rows[j, 1] = state[0], state[1]


@plug(leave)
@no_type_check
def theta_leave(constants, step, now, rows, j, state):
    """(x, y) turned by the angle, at length one."""
    (C, S), x, y = step, rows[j, 0], rows[j, 1]
    length = np.sqrt(x * x + y * y)
    state[0], state[1] = (C * x + S * y) / length, (C * y - S * x) / length


@plug(hit)
@no_type_check
def theta_hit(constants, step, now, rows, j, weight):
    """(x, y) += (w/a) y' (C, S), y' = C y - S x the present one."""
    C, S = step
    shift = weight * constants.response * (C * rows[j, 1] - S * rows[j, 0])
    rows[j, 0] += shift * C
    rows[j, 1] += shift * S


@plug(due)
@no_type_check
def theta_due(constants, step, now, rows, j):
    """The angle of (x, y), by whole turns the first that is not past, over the pace."""
    angle = np.arctan2(rows[j, 1], rows[j, 0])
    turns = np.floor((angle - constants.pace * now + 0.5 * np.pi) / (2 * np.pi))
    return max((angle - 2 * np.pi * turns) / constants.pace, now)


@plug(fire)
@no_type_check
def theta_fire(constants, step, now, rows, j):
    """(x', y') = (-1, 0)."""
    rows[j, 0], rows[j, 1] = -step[0], -step[1]


@plug(pulses_and_reset_commute)
@no_type_check
def theta_pulses_and_reset_commute(constants):
    """A pulse has no effect at y = 0."""
    return True


@plug(rebase)
@no_type_check
def theta_rebase(constants, step, now, rows, j):
    """(x, y) turned by the angle, at length one."""
    (C, S), x, y = step, rows[j, 0], rows[j, 1]
    length = np.sqrt(x * x + y * y)
    rows[j, 0], rows[j, 1] = (C * x + S * y) / length, (C * y - S * x) / length
