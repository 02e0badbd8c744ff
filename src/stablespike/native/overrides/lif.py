"""The LIF neuron's lines for the native kernels; equations and units as in its JAX class."""

import math
from typing import NamedTuple, no_type_check

import jax.numpy as jnp
from numba.extending import register_jitable

from stablespike.native.conventions import ROUNDING_UNITS
from stablespike.native.overrides import lines as line

VARIABLES = 2


class LIFConstants(NamedTuple):
    """Time constant, threshold, a voltage a few roundings below it and one as far above, zero, one."""

    tau: float
    threshold: float
    nearly: float
    beyond: float
    zero: float
    one: float


def derive(neuron, dtype):
    """The constants as an array, from the JAX neuron."""
    tau, threshold = neuron.membrane_time_constant, neuron.threshold
    slack = ROUNDING_UNITS * jnp.finfo(dtype).eps
    constants = (tau, threshold, threshold * (1 - slack), threshold * (1 + slack), 0, 1)
    return jnp.stack([jnp.asarray(one, dtype) for one in constants])


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return LIFConstants(array[0], array[1], array[2], array[3], array[4], array[5])


lines = line.lines_of(LIFConstants, VARIABLES, added_to=1)


@lines(line.propagator)
@no_type_check
def propagator(constants, dt):
    """x = exp(-dt/tau) and 1 - x."""
    return math.exp(-dt / constants.tau), -math.expm1(-dt / constants.tau)


@lines(line.flow)
@no_type_check
def flow(constants, step, state):
    """V x + I (x - x^2), x^2 I."""
    voltage, current = state
    return step[0] * (voltage + current * step[1]), step[0] * step[0] * current


@lines(line.shortening)
@no_type_check
def shortening(constants, step, state):
    """One: nothing is left out."""
    return constants.one


@lines(line.may_spike)
@no_type_check
def may_spike(constants, step, before, after):
    """Above threshold at either end, or both crossings inside: the parabola of `wait` has its vertex there."""
    voltage, current = before
    gap, rise = constants.threshold - voltage, current - voltage
    discriminant = rise * rise - (current + current) * (gap + gap)
    both = (discriminant >= constants.zero) & (rise > constants.zero) & (rise < (current + current) * step[1])
    return (voltage >= constants.nearly) | (after[0] >= constants.nearly) | both


@lines(line.wait)
@no_type_check
def wait(constants, state):
    """-tau log(1 - y), y the smaller root; 0 above threshold, inf without a crossing."""
    voltage, current = state
    gap, rise = constants.threshold - voltage, current - voltage
    if voltage > constants.beyond or (gap <= constants.zero and rise <= constants.zero):
        return constants.zero
    discriminant = rise * rise - (current + current) * (gap + gap)
    comes = discriminant >= constants.zero and rise > constants.zero and current > constants.zero
    if not comes and not gap <= constants.zero:
        return (rise - rise + constants.one) / constants.zero  # nan stays nan
    root = math.sqrt(max(discriminant, constants.zero))
    y = (gap + gap) / (rise + root)
    return max(-constants.tau * math.log1p(-y), constants.zero) if y < constants.one else constants.one / constants.zero


@lines(line.reset)
@no_type_check
def reset(constants, state):
    """V = 0."""
    return constants.zero, state[1]


@lines(line.jump)
@no_type_check
def jump(constants, state, weight):
    """I += w."""
    return state[0], state[1] + weight


@lines(line.scale_of)
@no_type_check
def scale_of(constants, state):
    """One: the state has a meaningful length."""
    return constants.one


@lines(line.scale)
@no_type_check
def scale(constants, state, factor):
    """Nothing."""
    return state


@lines(line.tangent)
@no_type_check
def tangent(constants, state, bar):
    """All of it."""
    return bar


@lines(line.flow_pullback)
@no_type_check
def flow_pullback(constants, step, before, after, bar):
    """Transpose of the flow; d(V, I)/dt = (I - V, -2 I)/tau."""
    x, y = step
    voltage_bar, current_bar = bar
    speed = (after[1] - after[0]) * voltage_bar - (after[1] + after[1]) * current_bar
    return (x * voltage_bar, x * (y * voltage_bar + x * current_bar)), speed / constants.tau


@lines(line.wait_gradient)
@no_type_check
def wait_gradient(constants, state):
    """-(tau/root) (1, y), root^2 the discriminant; zero where the state was put above threshold."""
    voltage, current = state
    gap, rise = constants.threshold - voltage, current - voltage
    if voltage > constants.beyond or (gap <= constants.zero and rise <= constants.zero):
        return constants.zero, constants.zero
    root = math.sqrt(max(rise * rise - (current + current) * (gap + gap), constants.zero))
    return -constants.tau / root, -constants.tau / root * (gap + gap) / (rise + root)


@lines(line.reset_pullback)
@no_type_check
def reset_pullback(constants, state, bar):
    """The voltage is lost."""
    return constants.zero, bar[1]


@lines(line.jump_pullback)
@no_type_check
def jump_pullback(constants, before, weight, bar):
    """w_bar = I_bar."""
    return bar, bar[1]


@lines(line.power)
@no_type_check
def power(constants, state, bar):
    """((I - V) V_bar - 2 I I_bar)/tau."""
    voltage, current = state
    return ((current - voltage) * bar[0] - (current + current) * bar[1]) / constants.tau


@lines(line.unreset)
@no_type_check
def unreset(constants, state):
    """The voltage at a spike is the threshold."""
    return constants.threshold, state[1]


@lines(line.distance)
@no_type_check
def distance(constants, one, other):
    """Difference of voltages in units of the threshold, and of currents relative to 1 + |I|."""
    voltages = abs(one[0] - other[0]) / constants.threshold
    return voltages + abs(one[1] - other[1]) / (constants.one + abs(other[1]))
