"""The oscillatory LIF neuron's lines for the native kernels; equations and units as in its JAX class."""

from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba.extending import register_jitable

from stablespike.native.conventions import ROUNDING_UNITS
from stablespike.native.overrides import lines as line
from stablespike.native.sparse.lines import plugs_of, table


class OscillatoryLIFConstants(NamedTuple):
    """Time constant, drive, threshold, a voltage a few roundings above it."""

    tau: float
    drive: float
    threshold: float
    beyond: float


def derive(neuron, dtype):
    """The constants `[neurons or 1, constants]`, from the JAX neuron."""
    slack = ROUNDING_UNITS * jnp.finfo(dtype).eps
    threshold = jnp.asarray(neuron.threshold)
    return table(dtype, neuron.membrane_time_constant, neuron.drive, threshold, threshold * (1 + slack))


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return OscillatoryLIFConstants(array[0], array[1], array[2], array[3])


plug = plugs_of(OscillatoryLIFConstants)


@plug(line.load)
@no_type_check
def oscillatory_load(constants, block, index):
    """State of one neuron from a block `[variables, neurons]`."""
    return (block[0, index],)


@plug(line.store)
@no_type_check
def oscillatory_store(constants, block, index, state):
    """The reverse of `load`."""
    block[0, index] = state[0]


@plug(line.add_scaled)
@no_type_check
def oscillatory_add(constants, bar, direction, factor):
    """bar + factor * direction."""
    return (bar[0] + factor * direction[0],)


@plug(line.propagator)
@no_type_check
def oscillatory_propagator(constants, dt):
    """exp(-dt/tau)."""
    return np.exp(-dt / constants.tau)


@plug(line.flow)
@no_type_check
def oscillatory_flow(constants, step, state):
    """I0 - (I0 - V) exp(-dt/tau)."""
    return (constants.drive - (constants.drive - state[0]) * step,)


@plug(line.reset)
@no_type_check
def oscillatory_reset(constants, state):
    """V = 0."""
    return (0.0,)


@plug(line.jump)
@no_type_check
def oscillatory_jump(constants, state, weight):
    """V += w."""
    return (state[0] + weight,)


@plug(line.scale_of)
@no_type_check
def oscillatory_scale_of(constants, state):
    """One: the state has a meaningful length."""
    return 1.0


@plug(line.scale)
@no_type_check
def oscillatory_scale(constants, state, factor):
    """Nothing."""
    return state


@plug(line.tangent)
@no_type_check
def oscillatory_tangent(constants, state, bar):
    """All of it."""
    return bar


@plug(line.flow_pullback)
@no_type_check
def oscillatory_flow_pullback(constants, step, before, after, bar):
    """Transpose of the flow; dV/dt = (I0 - V)/tau."""
    return (step * bar[0],), (constants.drive - after[0]) / constants.tau * bar[0]


@plug(line.wait_gradient)
@no_type_check
def oscillatory_wait_gradient(constants, state):
    """-tau/(I0 - V) at the spike; zero where a pulse put the state above threshold."""
    return (0.0 if state[0] > constants.beyond else -constants.tau / (constants.drive - state[0]),)


@plug(line.reset_pullback)
@no_type_check
def oscillatory_reset_pullback(constants, state, bar):
    """The voltage is lost."""
    return (0.0,)


@plug(line.jump_pullback)
@no_type_check
def oscillatory_jump_pullback(constants, before, weight, bar):
    """w_bar = V_bar."""
    return bar, bar[0]


@plug(line.power)
@no_type_check
def oscillatory_power(constants, state, bar):
    """(I0 - V)/tau V_bar."""
    return (constants.drive - state[0]) / constants.tau * bar[0]


@plug(line.unreset)
@no_type_check
def oscillatory_unreset(constants, state):
    """The voltage at a spike is the threshold, unless a pulse lifted it beyond."""
    return (constants.threshold,)
