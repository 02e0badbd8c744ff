"""The theta neuron's lines for the native kernels; equations and units as in its JAX class."""

import math
from typing import NamedTuple, no_type_check

import jax.numpy as jnp
from numba.extending import register_jitable

from stablespike.native.overrides import lines as line

VARIABLES = 2


class ThetaConstants(NamedTuple):
    """Angular rate a/tau, its inverse, pulse height 1/a per weight, period, rounding slack, one."""

    rate: float
    inverse_rate: float
    height: float
    period: float
    slack: float
    one: float


def derive(neuron, dtype):
    """The constants as an array, from the JAX neuron."""
    amplitude = neuron.amplitude
    rate = amplitude / neuron.membrane_time_constant
    slack = 64 * jnp.finfo(dtype).eps
    return jnp.stack([jnp.asarray(c, dtype) for c in (rate, 1 / rate, 1 / amplitude, neuron.period, slack, 1)])


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return ThetaConstants(array[0], array[1], array[2], array[3], array[4], array[5])


lines = line.lines_of(ThetaConstants, VARIABLES)


@lines(line.propagator)
@no_type_check
def propagator(constants, dt):
    """Cosine and sine of the angle a dt/tau, and whether it reaches half a turn."""
    angle = constants.rate * dt
    return math.cos(angle), math.sin(angle), dt >= constants.period * (constants.one - constants.slack)


@lines(line.flow)
@no_type_check
def flow(constants, step, state):
    """Rotation towards y = 0."""
    x, y = state
    return step[0] * x + step[1] * y, step[0] * y - step[1] * x


@lines(line.shortening)
@no_type_check
def shortening(constants, step, state):
    """One: nothing is left out."""
    return constants.one


@lines(line.may_spike)
@no_type_check
def may_spike(constants, step, before, after):
    """y has changed sign, or the period fits into the interval."""
    return (after[1] <= constants.slack * after[0]) | step[2]


@lines(line.wait)
@no_type_check
def wait(constants, state):
    """(tau/a) times the angle of (x, y)."""
    return max(constants.inverse_rate * math.atan2(state[1], state[0]), constants.one - constants.one)


@lines(line.reset)
@no_type_check
def reset(constants, state):
    """(-1, 0)."""
    return -constants.one, constants.one - constants.one


@lines(line.jump)
@no_type_check
def jump(constants, state, weight):
    """x += (w/a) y."""
    return state[0] + constants.height * weight * state[1], state[1]


@lines(line.scale_of)
@no_type_check
def scale_of(constants, state):
    """1/|(x, y)|."""
    return constants.one / math.sqrt(state[0] * state[0] + state[1] * state[1])


@lines(line.scale)
@no_type_check
def scale(constants, state, factor):
    """Both coordinates."""
    return state[0] * factor, state[1] * factor


@lines(line.tangent)
@no_type_check
def tangent(constants, state, bar):
    """bar - (bar . s) s, for s = (x, y)."""
    along = bar[0] * state[0] + bar[1] * state[1]
    return bar[0] - along * state[0], bar[1] - along * state[1]


@lines(line.flow_pullback)
@no_type_check
def flow_pullback(constants, step, before, after, bar):
    """The rotation backwards; d(x, y)/dt = (a/tau) (y, -x)."""
    x_bar, y_bar = bar
    dt_bar = constants.rate * (x_bar * after[1] - y_bar * after[0])
    return (step[0] * x_bar - step[1] * y_bar, step[1] * x_bar + step[0] * y_bar), dt_bar


@lines(line.wait_gradient)
@no_type_check
def wait_gradient(constants, state):
    """(tau/a) (-y, x) / (x^2 + y^2)."""
    x, y = state
    factor = constants.inverse_rate / (x * x + y * y)
    return -y * factor, x * factor


@lines(line.reset_pullback)
@no_type_check
def reset_pullback(constants, state, bar):
    """Nothing of the state survives."""
    zero = constants.one - constants.one
    return zero, zero


@lines(line.jump_pullback)
@no_type_check
def jump_pullback(constants, before, weight, bar):
    """y_bar += (w/a) x_bar, w_bar = x_bar y/a."""
    kick = constants.height * bar[0]
    return (bar[0], bar[1] + kick * weight), kick * before[1]


@lines(line.power)
@no_type_check
def power(constants, state, bar):
    """(a/tau)(x_bar y - y_bar x)."""
    return constants.rate * (bar[0] * state[1] - bar[1] * state[0])


@lines(line.unreset)
@no_type_check
def unreset(constants, state):
    """(1, 0)."""
    return constants.one, constants.one - constants.one


@lines(line.distance)
@no_type_check
def distance(constants, one, other):
    """Sine of the angle between them."""
    return abs(one[0] * other[1] - one[1] * other[0])
