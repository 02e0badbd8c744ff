"""Quadratic integrate-and-fire neuron with exponentially decaying current, exact in homogeneous coordinates."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from stablespike.dynamics.neurons.charts import AbstractChart, AngleAndCurrent
from stablespike.dynamics.neurons.logarithm import arctanh, log1p
from stablespike.dynamics.neurons.neuron import (
    SLACK,
    AbstractNeuron,
    Parameter,
    Scalar,
    State,
    as_floats,
    not_negative,
    positive_time,
)
from stablespike.dynamics.neurons.stumpff import stumpff, stumpff_pair
from stablespike.native.conventions import FAR

SLOW = 0.04  # |I| d^2/n^2 below which the spike coordinate is summed as a series in it
ARCTANGENT = np.array([(-1) ** k / (2 * k + 1) for k in reversed(range(12))])  # arctan(sqrt q)/sqrt q
SOFTNESS = 10.0  # alpha of the softplus that keeps the drive after the trial positive (Klos 2025)


class QIF(AbstractNeuron):
    """QIF neuron: tau V' = V (V - 1) + I, (tau/2) I' = -I, spike at V = +inf, reset to V = -inf (Klos 2025).

    `membrane_time_constant` tau is in any unit of time and sets it for all times; the synaptic time constant is tau/2.
    V and I are dimensionless; an input spike of weight w adds w to I, which survives the reset. State: `[n, d, I]` with
    V = n/d. The voltage at the spike is the ordinary point d = 0, so nothing is cut off. The free evolution is linear
    in (n, d), up to a positive factor that has no meaning; d >= 0 between spikes, and a slightly negative d with n > 0
    is a spike that is due.

    Measured errors for -20 <= I <= 30 and any V, in units of rounding times the condition number, the state as a point
    on the circle: flow 9 in float64, 14 in float32, spike time 2 in both. In float32 that is a relative error of
    spike times of at most 6e-8, half a unit of rounding, in the median and 5e-7 at most, and an angle wrong by up to
    5e-6 near the unstable fixed point.
    """

    membrane_time_constant: Parameter = 1.0

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """A positive time constant."""
        return (positive_time("membrane_time_constant", self.membrane_time_constant),)

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[n, d, I]`; `voltage` may be +-inf."""
        voltage, current = as_floats(voltage, current)
        size = jax.lax.stop_gradient(jnp.maximum(jnp.abs(voltage), 1))
        n = jnp.where(jnp.isinf(voltage), jnp.sign(voltage), voltage / size)
        return _scaled(n, 1 / size, current)

    def voltage(self, state: State) -> Scalar:
        """V = n/d."""
        return state[0] / state[1]

    def chart(self) -> AbstractChart:
        """The angle of (n, d) and the current: the length of the state has no meaning."""
        return AngleAndCurrent()

    def flow(self, state: State, dt: Scalar) -> State:
        """n <- s (C n + I u S d), d <- C d - u S n, I <- s^2 I, with s = exp(-dt/tau), u = 1 - s, z = I u^2."""
        n, d, current = state
        s = jnp.exp(-dt / self.membrane_time_constant)
        u = -jnp.expm1(-dt / self.membrane_time_constant)
        z = current * u**2
        limit = jnp.finfo(z.dtype).max * math.exp(-2 * FAR)  # beyond it the square of the length would overflow
        C, S = stumpff_pair(z, (current < -limit) & (z < -1e-3))
        return _scaled(s * (C * n + current * u * S * d), C * d - u * S * n, s**2 * current)

    def velocity(self, state: State) -> State:
        """(I d - n, -n)/tau, without its part along (n, d), of a state of length one, and -2 I/tau."""
        n, d, current = state
        along, square = n * (current * d - n) - d * n, n**2 + d**2
        turn = jnp.stack([current * d - n - n * along / square, -n - d * along / square]) * jax.lax.rsqrt(square)
        return jnp.append(turn, -2 * current) / self.membrane_time_constant

    def trial_end_phase(self, state: State, pulse: Scalar = 0.0) -> tuple[Scalar, Scalar]:
        """Phase and period of the theta neuron with drive g + 1/4, g = alpha softplus((I + w)/alpha) (Klos 2025).

        alpha = 10, phi = (tau/a)(atan((V - 1/2)/a) + pi/2), Theta = pi tau/a, a = sqrt g.
        """
        n, d, current = state
        a = jnp.sqrt(SOFTNESS * jax.nn.softplus((current + pulse) / SOFTNESS))
        pace = self.membrane_time_constant / a
        return pace * (jnp.pi - jnp.arctan2(a * d, n - 0.5 * d)), jnp.pi * pace

    def time_to_spike(self, state: State) -> Scalar:
        """t* = -tau log(1 - u*), u* the first zero of C(I u^2) d - u S(I u^2) n; none if u* >= 1."""
        u = spike_coordinate(*state)
        comes = u < 1
        time = -self.membrane_time_constant * log1p(-jnp.where(comes, u, 0.5))
        return jnp.where(comes, not_negative(time), jnp.inf)

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """Whether the angle of (n, d) could fall to 0."""
        return may_turn_to_spike(state, self.membrane_time_constant, dt)

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[2].add(weight)

    def reset(self, state: State) -> State:
        """V = -inf, which is the point (n, d) = (-1, 0); the current stays."""
        return jnp.stack([-jnp.ones_like(state[2]), jnp.zeros_like(state[2]), state[2]])


def _scaled(n: Array, d: Array, current: Array) -> Array:
    """(n, d) on the unit circle: only the ratio matters, and a positive factor keeps the side of the spike."""
    factor = jax.lax.rsqrt(n**2 + d**2)
    return jnp.stack([n * factor, d * factor, current])


def may_turn_to_spike(state: State, membrane_time_constant: Scalar, dt: Scalar) -> Bool[Array, ""]:
    """Whether tau V' = V (V - 1) + I can reach the spike within `dt`, of a current that only decays to 0.

    The angle a = atan2(d, n) falls by (cos^2 a - sin a cos a + I sin^2 a)/tau <= (max(1, I) + 1/2)/tau, and is at least
    sin a, if n > 0, and pi/2 if not.
    """
    n, d, current = state
    angle = jnp.where(n > 0, d * jax.lax.rsqrt(n**2 + d**2), jnp.pi / 2)
    fall = (jnp.maximum(current, 1) + 0.5) * dt / membrane_time_constant
    return angle <= fall * (1 + SLACK)


@jax.custom_jvp
def spike_coordinate(n: Scalar, d: Scalar, current: Scalar) -> Scalar:
    """First u with d(u) = 0 (inf if there is none), where u = 1 - exp(-t/tau) is the clock in which I is constant.

    I > 0: atan2(r d, n)/r, I < 0: atanh(r d/n)/r if n > r d, with r = sqrt|I|; (d/n)(1 - q/3 + q^2/5 - ...) for small
    q = I d^2/n^2 of either sign. The derivative is that of the implicit function, which has no trap at I = 0:
    du = (C^2 + u^2 S^2)(n dd - d dn)/(n^2 + d^2) - 2 u^3 c_3(4 I u^2) dI.
    """
    root = jnp.sqrt(jnp.abs(jnp.where(current == 0, 1, current)))
    oscillating = jnp.arctan2(root * d, n) / root
    rising = (n > 0) & ((n > root * d) | (current >= 0))
    ratio = d / jnp.where(rising, n, 1)
    slow = jnp.abs(current) * ratio**2 < SLOW
    decaying = arctanh(jnp.where(rising & ~slow & (current < 0), root * ratio, 0)) / root
    series = ratio * jnp.polyval(ARCTANGENT.astype(ratio.dtype), jnp.where(slow, current * ratio**2, 0), unroll=16)
    free = jnp.where(current > 0, oscillating, jnp.where(rising, decaying, jnp.inf))
    return jnp.where(rising & slow, series, free)


@spike_coordinate.defjvp
def _spike_coordinate_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    n, d, current = primals
    dn, dd, dcurrent = tangents
    u = spike_coordinate(n, d, current)
    v = jnp.where(u < 1, u, 0)
    z = current * v**2
    by_ratio = (stumpff(0, z) ** 2 + (v * stumpff(1, z)) ** 2) / (n**2 + d**2)
    return u, by_ratio * (n * dd - d * dn) - 2 * v**3 * stumpff(3, 4 * z) * dcurrent
