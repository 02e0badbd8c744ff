"""Spiking cells of two states on a grid: adaptation or oscillation below the threshold, each in the form of its paper.

Parameters are numbers, or arrays `[neurons]`, all positive: an optimiser that moves their logarithms between bounds
(`learning.coordinates`) keeps them so. Inputs are pulses that arrive within a step.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.grid.cells import (
    Heaviside,
    Requirements,
    SpikingCell,
    approach,
    decayed,
    finite_above_zero,
    resolved,
    rising,
)
from stablespike.dynamics.grid.resets import Reset, ResetBySubtraction, ResetToZero
from stablespike.dynamics.neurons.neuron import Parameter, Scalar

Values = Float[Array, " neurons"]


class TwoStates(eqx.Module):
    """`voltage` V and a `second` variable, `[neurons]`, dimensionless."""

    voltage: Values
    second: Values


class SymplecticAdaptiveLIF(SpikingCell):
    """Adaptive LIF neurons, stepped by symplectic Euler (SE-adLIF, Baronig et al. 2025, Nature Communications 16).

    U = V (1 - s); W' = r W + (1 - r)(a U + b s); V' = q U + (1 - q)(input - W'); s' = spike(V'/threshold - 1), with
    q = exp(-dt/membrane_time_constant), r = exp(-dt/adaptation_time_constant). W feels the voltage that the step has
    just reset, which keeps oscillations (a above (tau_W - tau_V)^2/(4 tau_V tau_W)) from growing; stepped forwards with
    the old one they diverge. `voltage_adaptation` a and `spike_adaptation` b are dimensionless: a single spike raises
    W by (1 - r) b. V, W and `threshold` are dimensionless, times in one unit; U is by `reset`.
    """

    membrane_time_constant: Parameter
    adaptation_time_constant: Parameter
    voltage_adaptation: Parameter
    spike_adaptation: Parameter
    dt: Scalar
    threshold: Parameter = 1.0
    spike: Callable[[Values], Values] = Heaviside()
    reset: Reset = ResetToZero()

    def requirements(self) -> Requirements:
        """Time constants that the step resolves, couplings that are not negative, a threshold above rest."""
        return (
            *resolved("membrane_time_constant", self.membrane_time_constant, self.dt),
            *resolved("adaptation_time_constant", self.adaptation_time_constant, self.dt),
            not_negative("voltage_adaptation", self.voltage_adaptation),
            not_negative("spike_adaptation", self.spike_adaptation),
            *finite_above_zero("threshold", self.threshold),
            *rising(self.spike),
        )

    def initial_state(self, neurons: int, dtype: jnp.dtype) -> TwoStates:
        """V = 0, W = 0."""
        return TwoStates(jnp.zeros(neurons, dtype), jnp.zeros(neurons, dtype))

    def distance(self, state: TwoStates) -> Values:
        """v = (V - threshold)/threshold."""
        return (state.voltage - self.threshold) / self.threshold

    def output(self, state: TwoStates) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(self.distance(state))

    def advance(self, state: TwoStates, output: Values, arriving: Values) -> TwoStates:
        """The reset, then W by the voltage after it, then V by the new W."""
        voltage = self.reset(state.voltage, jnp.zeros_like(state.voltage), output, self.threshold)
        target = self.voltage_adaptation * voltage + self.spike_adaptation * output
        adaptation = decayed(state.second, self.adaptation_time_constant, self.dt)
        adaptation += approach(self.adaptation_time_constant, self.dt) * target
        driven = approach(self.membrane_time_constant, self.dt) * (arriving - adaptation)
        return TwoStates(decayed(voltage, self.membrane_time_constant, self.dt) + driven, adaptation)


class ResonatorState(eqx.Module):
    """`voltage` U, `second` variable V and `refractoriness` q, `[neurons]`, dimensionless."""

    voltage: Values
    second: Values
    refractoriness: Values


class BalancedResonateAndFire(SpikingCell):
    """Balanced resonate-and-fire neurons (BRF, Higuchi et al. 2024, ICML): damped oscillators without a reset.

    q' = g q + s, g = exp(-dt/refractory_time_constant); b = p - damping - refractory_damping q';
    U' = U + dt (b U - omega V) + input; V' = V + dt (omega U + b V); s' = spike((U' - q')/threshold - 1).

    `angular_frequency` omega, `damping` and `refractory_damping` are in units of one over time (of dt). The bound of
    divergence p = (sqrt(1 - (dt omega)^2) - 1)/dt takes off what a step of Euler adds to an oscillation, so that any
    damping above 0 damps; dt omega is at most 1. After a spike q lifts the threshold and damps more.
    """

    angular_frequency: Parameter
    damping: Parameter
    refractory_time_constant: Parameter
    dt: Scalar
    refractory_damping: Parameter = 1.0
    threshold: Parameter = 1.0
    spike: Callable[[Values], Values] = Heaviside()

    def requirements(self) -> Requirements:
        """Frequencies that the step resolves, dampings that are not negative, a threshold above rest."""
        turn = jnp.asarray(self.angular_frequency) * self.dt
        resolves = f"angular_frequency must lie between 0 and 1/dt (dt = {self.dt}): take smaller steps."
        return (
            ((turn >= 0) & (turn <= 1), resolves),
            not_negative("damping", self.damping),
            not_negative("refractory_damping", self.refractory_damping),
            *resolved("refractory_time_constant", self.refractory_time_constant, self.dt),
            *finite_above_zero("threshold", self.threshold),
            *rising(self.spike),
        )

    def initial_state(self, neurons: int, dtype: jnp.dtype) -> ResonatorState:
        """At rest, not refractory."""
        return ResonatorState(*(jnp.zeros(neurons, dtype) for _ in range(3)))

    def distance(self, state: ResonatorState) -> Values:
        """v = (U - threshold - q)/threshold."""
        return (state.voltage - self.threshold - state.refractoriness) / self.threshold

    def output(self, state: ResonatorState) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(self.distance(state))

    def advance(self, state: ResonatorState, output: Values, arriving: Values) -> ResonatorState:
        """Refractoriness, then a step of Euler with the damping that it gives."""
        refractory = decayed(state.refractoriness, self.refractory_time_constant, self.dt) + output
        turn = self.dt * self.angular_frequency
        kept = jnp.sqrt(1 - turn**2) - self.dt * (self.damping + self.refractory_damping * refractory)
        voltage = kept * state.voltage - turn * state.second + arriving
        return ResonatorState(voltage, turn * state.voltage + kept * state.second, refractory)


class ComplexLIF(SpikingCell):
    """LIF neurons with a complex state, in the coordinates of diagonal state space models (C-SiLIF, Fabre et al. 2025).

    Z' = exp(D (-k + i omega)) (Z - threshold s) + gain input, s' = spike(Re Z'/threshold - 1); D = `timestep`, the
    neuron's own step of a grid step, k = `decay`, omega = `frequency`: all dimensionless, as in S4D. The paper's state
    is Z/2 and its threshold 1. The subtraction from Re Z is by `reset`. `dt` is that of the other layers.
    """

    timestep: Parameter
    decay: Parameter
    frequency: Parameter
    dt: Scalar
    gain: Parameter = 1.0
    threshold: Parameter = 1.0
    spike: Callable[[Values], Values] = Heaviside()
    reset: Reset = ResetBySubtraction()

    def requirements(self) -> Requirements:
        """A positive step, states that decay, a threshold above rest."""
        return (
            (jnp.asarray(self.dt) > 0, "dt must be positive."),
            *positive("timestep", self.timestep),
            *positive("decay", self.decay),
            not_negative("frequency", self.frequency),
            not_negative("gain", self.gain),
            *finite_above_zero("threshold", self.threshold),
            *rising(self.spike),
        )

    def initial_state(self, neurons: int, dtype: jnp.dtype) -> TwoStates:
        """Z = 0."""
        return TwoStates(jnp.zeros(neurons, dtype), jnp.zeros(neurons, dtype))

    def distance(self, state: TwoStates) -> Values:
        """v = (Re Z - threshold)/threshold."""
        return (state.voltage - self.threshold) / self.threshold

    def output(self, state: TwoStates) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(self.distance(state))

    def advance(self, state: TwoStates, output: Values, arriving: Values) -> TwoStates:
        """The reset, a turn with decay, the input."""
        voltage = self.reset(state.voltage, jnp.zeros_like(state.voltage), output, self.threshold)
        size, angle = jnp.exp(-self.timestep * self.decay), self.timestep * self.frequency
        along, across = size * jnp.cos(angle), size * jnp.sin(angle)
        turned = along * voltage - across * state.second + self.gain * arriving
        return TwoStates(turned, across * voltage + along * state.second)


def not_negative(name: str, value: Parameter) -> tuple[jax.Array, str]:
    """The requirement that a parameter is finite and at least 0."""
    value = jnp.asarray(value)
    return jnp.isfinite(value) & (value >= 0), f"{name} must be finite and not negative."


def positive(name: str, value: Parameter) -> Requirements:
    """The requirement that a parameter is finite and above 0."""
    value = jnp.asarray(value)
    return ((jnp.isfinite(value) & (value > 0), f"{name} must be finite and positive."),)
