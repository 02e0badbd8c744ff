"""The QIF neuron's lines for the native kernels; equations and units as in its JAX class."""

import math
from typing import NamedTuple, no_type_check

import jax.numpy as jnp
import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

from stablespike.native.conventions import FAR
from stablespike.native.overrides import lines as line

VARIABLES = 3
TERMS = 10  # of the series for |z| < 1; the first one left out is below 1e-18
EVEN, ODD, THIRD = (
    np.array([(-1) ** j / math.factorial(2 * j + order) for j in reversed(range(TERMS))]) for order in (0, 1, 3)
)
HALVINGS = 2.0 ** -np.arange(32)
SLOPE = np.arange(TERMS - 1, 0, -1) * ODD[:-1]


class QIFConstants(NamedTuple):
    """Time constant, rounding slack, an angle squared safely below half a turn's, zero, half, one, and sqrt(-z)'s.

    `far`: sqrt(-z) beyond which cosh and sinh are equal to rounding; `lost`: beyond which a reversal has no digit left;
    `large`: a power of two whose square is safely a number.
    """

    tau: float
    slack: float
    half_turn: float
    zero: float
    half: float
    one: float
    far: float
    lost: float
    large: float


def limits(dtype):
    """The constants from zero on, which depend on nothing but the type of the numbers."""
    information = jnp.finfo(dtype)
    return 0.0, 0.5, 1.0, FAR, -0.5 * math.log(information.eps), 2.0 ** (information.maxexp * 45 // 100)


def derive(neuron, dtype):
    """The constants as an array, from the JAX neuron."""
    constants = (neuron.membrane_time_constant, 64 * jnp.finfo(dtype).eps, 9.0, *limits(dtype))
    return jnp.stack([jnp.asarray(one, dtype) for one in constants])


@register_jitable
@no_type_check
def unpack(array):
    """The named tuple from the array."""
    return QIFConstants(array[0], array[1], array[2], array[3], array[4], array[5], array[6], array[7], array[8])


lines = line.lines_of(QIFConstants, VARIABLES, added_to=2)


def pair_series(z):
    """c_0(z), c_1(z) for |z| < 1."""
    raise NotImplementedError


def third_series(z):
    """c_3(z) for |z| < 1."""
    raise NotImplementedError


def slope_series(z):
    """dc_1/dz for |z| < 1."""
    raise NotImplementedError


def halving(root):
    """A power of two about exp(-root), by which no digit changes."""
    raise NotImplementedError


def _in_type(dtype):
    """The four functions above, all of whose numbers have that type."""
    even, odd, third, slope, halvings = (one.astype(dtype) for one in (EVEN, ODD, THIRD, SLOPE, HALVINGS))
    bits = dtype(1.4427)

    @no_type_check
    def pair(z):
        c, s = even[0], odd[0]
        for j in range(1, TERMS):
            c = c * z + even[j]
            s = s * z + odd[j]
        return c, s

    @no_type_check
    def third_one(z):
        c = third[0]
        for j in range(1, TERMS):
            c = c * z + third[j]
        return c

    @no_type_check
    def slope_one(z):
        c = slope[0]
        for j in range(1, TERMS - 1):
            c = c * z + slope[j]
        return c

    return pair, third_one, slope_one, lambda root: halvings[int(root * bits)]


def _choose(function, single, double):
    overload(function, strict=False, jit_options=line.PLAIN)(lambda x: single if x.bitwidth == 32 else double)


for _ours, _single, _double in zip(
    (pair_series, third_series, slope_series, halving), _in_type(np.float32), _in_type(np.float64), strict=True
):
    _choose(_ours, _single, _double)


@njit(**line.PLAIN)
@no_type_check
def two_stumpff(z):
    """c_0(z), c_1(z) of `stablespike.dynamics.neurons.stumpff`."""
    if abs(z) < 1:
        return pair_series(z)
    root = math.sqrt(abs(z))
    if z > 0:
        return math.cos(root), math.sin(root) / root
    return math.cosh(root), math.sinh(root) / root


@njit(**line.PLAIN)
@no_type_check
def stumpff_pair(constants, z):
    """c_0(z), c_1(z) times a positive factor (see `shortening`), lest they, or lengths in many steps, overflow."""
    if z > -1:
        return two_stumpff(z)
    root = math.sqrt(-z)
    bounded = root if root < constants.far else constants.far
    factor = halving(bounded)
    return math.cosh(bounded) * factor, math.sinh(bounded) / root * factor


@njit(**line.PLAIN)
@no_type_check
def third_stumpff(constants, z):
    """c_3(z)."""
    return third_series(z) if abs(z) < 1 else (constants.one - two_stumpff(z)[1]) / z


@njit(**line.PLAIN)
@no_type_check
def slopes(constants, z, C, S):
    """-2 dC/dz = S and dS/dz = (c_3 - c_2)/2 = (C - S)/(2 z) of the pair; where C is held, 0 and -S/(2 z)."""
    if abs(z) < 1:
        return S, slope_series(z)
    if z < -constants.far * constants.far:
        return S - S, -S / (z + z)
    return S, (C - S) / (z + z)


@njit(**line.PLAIN)
@no_type_check
def spike_coordinate(constants, n, d, current):
    """First zero of d in the clock u = 1 - exp(-t/tau), inf if there is none."""
    root = math.sqrt(abs(current))
    if current > 0:
        return math.atan2(root * d, n) / root
    if not (n > root * d and n > 0):
        return (n + d + root) - (n + d + root) + constants.one / constants.zero  # nan stays nan
    return math.atanh(root * d / n) / root if root > 0 else d / n


@lines(line.propagator)
@no_type_check
def propagator(constants, dt):
    """s = exp(-dt/tau) and u = 1 - s."""
    return math.exp(-dt / constants.tau), -math.expm1(-dt / constants.tau)


@lines(line.flow)
@no_type_check
def flow(constants, step, state):
    """s (C n + I u S d), C d - u S n, s^2 I, with z = I u^2."""
    (s, u), (n, d, current) = step, state
    C, S = stumpff_pair(constants, current * u * u)
    return s * (C * n + current * u * S * d), C * d - u * S * n, s * s * current


@lines(line.shortening)
@no_type_check
def shortening(constants, step, state):
    """The power of two in C and S, or zero where they have lost what a reversal needs."""
    z = state[2] * step[1] * step[1]
    if z > -1:
        return constants.one
    root = math.sqrt(-z)
    return halving(root) * constants.one if root < constants.lost else constants.zero


@lines(line.may_spike)
@no_type_check
def may_spike(constants, step, before, after):
    """d has changed sign, or the phase has room for two spikes."""
    return (after[1] <= constants.slack * after[0]) | (before[2] * step[1] * step[1] >= constants.half_turn)


@lines(line.wait)
@no_type_check
def wait(constants, state):
    """-tau log(1 - u*)."""
    u = spike_coordinate(constants, state[0], state[1], state[2])
    return max(-constants.tau * math.log1p(-u), constants.zero) if not u >= 1 else constants.one / constants.zero


@lines(line.reset)
@no_type_check
def reset(constants, state):
    """(-1, 0, I)."""
    return -constants.one, constants.zero, state[2]


@lines(line.jump)
@no_type_check
def jump(constants, state, weight):
    """I += w."""
    return state[0], state[1], state[2] + weight


@njit(**line.PLAIN)
@no_type_check
def to_size(constants, state):
    """One, or a small power of two for numbers whose square would be too large."""
    return constants.one / constants.large if max(abs(state[0]), abs(state[1])) > constants.large else constants.one


@lines(line.scale_of)
@no_type_check
def scale_of(constants, state):
    """1/|(n, d)|."""
    cut = to_size(constants, state)
    n, d = state[0] * cut, state[1] * cut
    return cut / math.sqrt(n * n + d * d)


@lines(line.scale)
@no_type_check
def scale(constants, state, factor):
    """n and d; the current has a meaningful length."""
    return state[0] * factor, state[1] * factor, state[2]


@lines(line.tangent)
@no_type_check
def tangent(constants, state, bar):
    """bar - (bar . s) s, for s = (n, d)."""
    along = bar[0] * state[0] + bar[1] * state[1]
    return bar[0] - along * state[0], bar[1] - along * state[1], bar[2]


@lines(line.flow_pullback)
@no_type_check
def flow_pullback(constants, step, before, after, bar):
    """Transpose of the flow; d(n, d, I)/dt = (I d - n, -n, -2 I)/tau, dC/dz = -S/2, dS/dz = (C - S)/(2 z)."""
    (s, u), (n, d, current), (n_bar, d_bar, current_bar) = step, before, bar
    z = current * u * u
    C, S = stumpff_pair(constants, z)
    fall, slope = slopes(constants, z, C, S)
    n_in = s * (C * n_bar) - u * S * d_bar
    d_in = s * (current * u * S * n_bar) + C * d_bar
    half = constants.half * u * u * fall
    by_n = s * (u * (S + z * slope) * d - half * n)
    by_d = -half * d - u * u * u * slope * n
    n, d, current = after
    speed = (current * d - n) * n_bar - n * d_bar - (current + current) * current_bar
    return (n_in, d_in, by_n * n_bar + by_d * d_bar + s * s * current_bar), speed / constants.tau


@lines(line.wait_gradient)
@no_type_check
def wait_gradient(constants, state):
    """tau/(1 - u) du, du = (C^2 + u^2 S^2)(n dd - d dn)/(n^2 + d^2) - 2 u^3 c_3(4 I u^2) dI."""
    n, d, current = state
    u = spike_coordinate(constants, n, d, current)
    C, S = two_stumpff(current * u * u)
    pace = constants.tau / (constants.one - u)
    cut = to_size(constants, state)
    n, d = n * cut, d * cut
    by_ratio = pace * (C * C + u * u * S * S) / (n * n + d * d) * cut
    double = current + current
    by_current = -(pace + pace) * u * u * u * third_stumpff(constants, (double + double) * u * u)
    return -d * by_ratio, n * by_ratio, by_current


@lines(line.reset_pullback)
@no_type_check
def reset_pullback(constants, state, bar):
    """Only the current survives."""
    return constants.zero, constants.zero, bar[2]


@lines(line.jump_pullback)
@no_type_check
def jump_pullback(constants, before, weight, bar):
    """w_bar = I_bar."""
    return bar, bar[2]


@lines(line.power)
@no_type_check
def power(constants, state, bar):
    """((I d - n) n_bar - n d_bar - 2 I I_bar)/tau."""
    n, d, current = state
    return ((current * d - n) * bar[0] - n * bar[1] - (current + current) * bar[2]) / constants.tau


@lines(line.unreset)
@no_type_check
def unreset(constants, state):
    """(1, 0, I)."""
    return constants.one, constants.zero, state[2]


@lines(line.distance)
@no_type_check
def distance(constants, one, other):
    """Sine of the angle between (n, d), or the difference of currents relative to 1 + |I|."""
    angle = abs(one[0] * other[1] - one[1] * other[0])
    return angle + abs(one[2] - other[2]) / (constants.one + abs(other[2]))
