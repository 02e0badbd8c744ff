"""The QIF neuron's lines for the sparse kernel: its state after its last event, and the time of that.

`now` is the time since the reference time; equations and units as in `stablespike.dynamics.neurons.qif`.
"""

from typing import no_type_check

import jax.numpy as jnp
import numpy as np

from stablespike.native.overrides import lines as line
from stablespike.native.overrides.qif import QIFConstants, limits, unpack
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

__all__ = ["derive", "unpack"]  # what the constants are, and how a kernel reads them


def derive(neuron, dtype):
    """The constants `[neurons or 1, constants]`, from the JAX neuron."""
    return table(dtype, neuron.membrane_time_constant, 64 * jnp.finfo(dtype).eps, 9.0, *limits(dtype))


plug = plugs_of(QIFConstants)


@plug(columns)
@no_type_check
def sparse_qif_columns(constants):
    """n, d, I, time of the last event."""
    return 4


@plug(frame)
@no_type_check
def sparse_qif_frame(constants, now):
    """Nothing: every neuron has its own last event."""
    return now, now


@plug(enter)
@no_type_check
def sparse_qif_enter(constants, rows, j, state):
    """(n, d, I) at time 0, at length one."""
    one = line.scale(
        constants, (state[0], state[1], state[2]), line.scale_of(constants, (state[0], state[1], state[2]))
    )
    rows[j, 0], rows[j, 1], rows[j, 2], rows[j, 3] = one[0], one[1], one[2], 0.0


@plug(leave)
@no_type_check
def sparse_qif_leave(constants, step, now, rows, j, state):
    """The flow since the last event."""
    one = (rows[j, 0], rows[j, 1], rows[j, 2])
    one = line.flow(constants, line.propagator(constants, now - rows[j, 3]), one)
    one = line.scale(constants, one, line.scale_of(constants, one))
    state[0], state[1], state[2] = one


@plug(hit)
@no_type_check
def sparse_qif_hit(constants, step, now, rows, j, weight):
    """The flow since the last event, then I += w."""
    one = (rows[j, 0], rows[j, 1], rows[j, 2])
    one = line.flow(constants, line.propagator(constants, now - rows[j, 3]), one)
    one = line.scale(constants, one, line.scale_of(constants, one))
    rows[j, 0], rows[j, 1], rows[j, 2], rows[j, 3] = one[0], one[1], one[2] + weight, now


@plug(due)
@no_type_check
def sparse_qif_due(constants, step, now, rows, j):
    """Time of the last event and the wait from there."""
    return max(rows[j, 3] + line.wait(constants, (rows[j, 0], rows[j, 1], rows[j, 2])), now)


@plug(fire)
@no_type_check
def sparse_qif_fire(constants, step, now, rows, j):
    """The flow of the current since the last event, and (n, d) = (-1, 0)."""
    x = np.exp(-(now - rows[j, 3]) / constants.tau)
    rows[j, 0], rows[j, 1], rows[j, 2], rows[j, 3] = -1.0, 0.0, rows[j, 2] * x * x, now


@plug(pulses_and_reset_commute)
@no_type_check
def sparse_qif_pulses_and_reset_commute(constants):
    """A pulse adds to the current, which survives the reset."""
    return True


@plug(rebase)
@no_type_check
def sparse_qif_rebase(constants, step, now, rows, j):
    """The time of the last event, seen from now."""
    rows[j, 3] -= now
