"""LIF neuron with any ratio of membrane and synaptic time constant."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stablespike.dynamics.neurons.logarithm import log1p
from stablespike.dynamics.neurons.neuron import (
    AbstractNeuron,
    Parameter,
    Scalar,
    State,
    as_floats,
    may_be_driven_up,
    positive_time,
    well_above,
)

SERIES_RANGE, SERIES_TERMS = 0.5, 18  # of `_rise`: the first term left out is below 1e-22
MOST_STEPS = 100


class GeneralLIF(AbstractNeuron):
    """LIF neuron with free time constants: tau_m V' = -V + I, tau_s I' = -I, spike at V = threshold > 0, reset to 0.

    `membrane_time_constant` tau_m and `synaptic_time_constant` tau_s share any unit of time; V, I and `threshold` are
    dimensionless; an input spike of weight w adds w to I, which survives the reset. State: `[V, I]`. `LIF` is the case
    tau_m = 2 tau_s, and faster.

    With x = t/tau_m, r = tau_m/tau_s: V(t) = exp(-x) (V + I x phi((r - 1) x)), phi(z) = (1 - exp(-z))/z, which knows no
    special ratio: equal time constants are its limit phi(0) = 1. V has one maximum at most; before it the crossing is
    bracketed, and found by Newton's method. What is said of grazing spikes in `LIF` holds here. Measured against 40
    digits, r from 1/4 to 8 and 1 +- 1e-9: at most 8 units of rounding times condition number.
    """

    membrane_time_constant: Parameter = 1.0
    synaptic_time_constant: Parameter = 0.25
    threshold: Parameter = 1.0

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """Positive time constants, and a threshold above rest."""
        return (
            positive_time("membrane_time_constant", self.membrane_time_constant),
            positive_time("synaptic_time_constant", self.synaptic_time_constant),
            (jnp.asarray(self.threshold) > 0, "threshold must lie above the resting voltage 0."),
        )

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State `[V, I]`."""
        return jnp.stack(as_floats(voltage, current))

    def voltage(self, state: State) -> Scalar:
        """V."""
        return state[0]

    def flow(self, state: State, dt: Scalar) -> State:
        """V <- exp(-x) (V + I x phi((r - 1) x)), I <- exp(-r x) I."""
        x, ratio = dt / self.membrane_time_constant, self.membrane_time_constant / self.synaptic_time_constant
        return jnp.stack([_voltage(state, ratio, x), state[1] * jnp.exp(-ratio * x)])

    def velocity(self, state: State) -> State:
        """(I - V)/tau_m and -I/tau_s."""
        voltage, current = state
        return jnp.stack([
            (current - voltage) / self.membrane_time_constant,
            -current / self.synaptic_time_constant,
        ])  # fmt: skip

    def time_to_spike(self, state: State) -> Scalar:
        """Where the voltage first meets the threshold; 0 above it, inf where its maximum lies below."""
        voltage, current = state
        ratio = jnp.asarray(self.membrane_time_constant / self.synaptic_time_constant, state.dtype)
        threshold = jnp.asarray(self.threshold, state.dtype)
        due = voltage >= threshold
        lifted = well_above(voltage, threshold) | (due & (current <= voltage))  # no derivative: it was put there
        x = _first_crossing(jnp.where(lifted, 0, state), ratio, threshold)
        comes = jnp.isfinite(x)
        time = jnp.where(comes, self.membrane_time_constant * jnp.where(comes, x, 0), x)
        return jnp.where(lifted, 0, time)

    def spike_time_derivative(self, state: State) -> State:
        """(-1/V', 0) at the threshold, V' = (I - V)/tau_m."""
        voltage, current = state
        return jnp.stack([-self.membrane_time_constant / (current - voltage), jnp.zeros_like(current)])

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """Whether the current at the start could bring the voltage to the threshold."""
        return may_be_driven_up(state[0], state[1], self.threshold, self.membrane_time_constant, dt)

    def jump(self, state: State, weight: Scalar) -> State:
        """I <- I + w."""
        return state.at[1].add(weight)

    def reset(self, state: State) -> State:
        """V = 0; the current stays."""
        return state.at[0].set(0.0)

    def on_grid(self, on: Any, spike: Callable) -> Any:
        """The cell of the literature, with its reset a choice."""
        from stablespike.dynamics.grid.cells import GridLIF  # here, as cells are made of neurons

        return GridLIF(self.membrane_time_constant, self.synaptic_time_constant, on.dt, self.threshold, spike, on.reset)


def _rise(z: Array) -> Array:
    """phi(z) = (1 - exp(-z))/z, by its series near 0, so that its derivatives are smooth there."""
    near = jnp.abs(z) < SERIES_RANGE
    small, large = jnp.where(near, z, 0), jnp.where(near, 1, z)
    series = jnp.ones_like(z)
    for k in range(SERIES_TERMS, 1, -1):
        series = 1 - series * small / k
    return jnp.where(near, series, -jnp.expm1(-large) / large)


def _voltage(state: Array, ratio: Any, x: Any) -> Array:
    return jnp.exp(-x) * (state[0] + state[1] * x * _rise(jnp.asarray((ratio - 1) * x, state.dtype)))


def _time_of_maximum(state: Array, ratio: Array) -> Array:
    """x at which V = I, for I > V and I > 0: (log(1 - e V/I) - log(1 - e))/e, e = 1 - r, with its limit 1 - V/I."""
    e, part = 1 - ratio, state[0] / state[1]
    plain = jnp.abs(e) > 1e-3
    apart = jnp.where(plain, e, 1)
    exact = (log1p(-apart * part) - jnp.log(ratio)) / apart
    series = sum((1 - part**k) * e ** (k - 1) / k for k in range(1, 7))
    return jnp.where(plain, exact, series)


@jax.custom_jvp
def _first_crossing(state: Float[Array, "variables"], ratio: Float[Array, ""], threshold: Float[Array, ""]) -> Array:
    """x of the first crossing of the threshold from below, inf if there is none."""
    voltage, current = state
    rising = (current > voltage) & (current > 0)
    safe = jnp.where(rising, state, jnp.asarray([0, 1], state.dtype))
    top = _time_of_maximum(safe, ratio)
    comes = rising & (_voltage(safe, ratio, top) >= threshold)

    def goes_on(carry: Any) -> Array:
        _, high, _, change, count = carry
        return comes & (change > jnp.finfo(state.dtype).eps * high) & (count < MOST_STEPS)

    def body(carry: Any) -> Any:
        low, high, x, _, count = carry
        gap = _voltage(safe, ratio, x) - threshold
        speed = safe[1] * jnp.exp(-ratio * x) - gap - threshold
        low, high = jnp.where(gap < 0, x, low), jnp.where(gap < 0, high, x)
        newton = x - gap / jnp.where(speed == 0, 1, speed)
        new = jnp.where((speed > 0) & (newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        return low, high, new, jnp.abs(new - x), count + 1

    zero = jnp.zeros_like(voltage)
    found = jax.lax.while_loop(goes_on, body, (zero, top, zero, top + 1, jnp.zeros((), int)))[2]
    return jnp.where(comes, found, jnp.inf)


@_first_crossing.defjvp
def _first_crossing_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """V(x*) = threshold gives dx* = (d threshold - dV at fixed x)/(dV/dx), dV/dx = I - V."""
    state, ratio, threshold = primals
    x = _first_crossing(*primals)
    comes = jnp.isfinite(x)
    until = jnp.where(comes, x, 0)
    change = jax.jvp(lambda state, ratio: _voltage(state, ratio, until), (state, ratio), tangents[:2])[1]
    speed = state[1] * jnp.exp(-ratio * until) - threshold
    return x, jnp.where(comes, (tangents[2] - change) / jnp.where(comes, speed, 1), 0)
