"""Neurons on a grid: how the state of a population moves in one step, and what it sends out.

A cell is written for a whole population, so that a step is a few operations on vectors. Spikes are made by its field
`spike`, a function of the distance to threshold: here the plain Heaviside function, which has no derivative; for
learning a surrogate with the same values is put in its place.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.arguments import Told, require_made, require_numbers
from stablespike.dynamics.grid.resets import NewCurrent, Reset, ResetToZero
from stablespike.dynamics.neurons.neuron import Parameter, Scalar, require
from stablespike.native.conventions import Flag

Values = Float[Array, " neurons"]
Requirements = tuple[tuple[Any, str], ...]


class Heaviside(eqx.Module):
    """H(v), with H(0) = 1, of the type of v; its derivative is zero."""

    def __call__(self, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """Spikes (0 or 1) where v >= 0."""
        return (v >= 0).astype(v.dtype)


class Cell(Told):
    """A population of neurons on a grid. Parameters are numbers, or arrays `[neurons]` (trainable if arrays)."""

    @abc.abstractmethod
    def requirements(self) -> Requirements:
        """Conditions on the parameters with the sentence for each: raised at construction, flagged under jit."""

    def __check_init__(self) -> None:
        """Refuse parameters that the model does not allow."""
        for name, field in vars(self).items():
            require_made(name, field)
        require_numbers(self)
        for condition, sentence in self.requirements():
            require(condition, sentence)

    @abc.abstractmethod
    def initial_state(self, neurons: int, dtype: Any) -> Any:
        """State of `neurons` neurons at rest."""

    @abc.abstractmethod
    def output(self, state: Any) -> Values:
        """What the neurons send out in this state: spikes (0 or 1), or numbers of any size."""

    @abc.abstractmethod
    def advance(self, state: Any, output: Values, arriving: Values) -> Any:
        """State one step later; `output` is that of `state`, and `arriving` is weighted input."""

    def flags(self, state: Any) -> Int[Array, ""]:
        """What is wrong with the state (`Flag`), 0 if nothing is."""
        finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))]
        return jnp.where(jnp.all(jnp.stack(finite)), 0, int(Flag.NOT_FINITE))


class SpikingCell(Cell):
    """A cell that sends spikes s = spike(v), 0 or 1, where v is the distance to threshold in units of the threshold."""

    @abc.abstractmethod
    def distance(self, state: Any) -> Values:
        """v, the argument of `spike`: at or above zero where a neuron spikes."""


class MembraneState(eqx.Module):
    """`voltage` V and synaptic `current` I, `[neurons]`, dimensionless."""

    voltage: Values
    current: Values


class GridLIF(SpikingCell):
    """Current-based LIF neurons: I' = a I + input; V' = b V + (1 - b) I', then the reset; s' = spike(V'/threshold - 1).

    a = exp(-dt/synaptic_time_constant), b = exp(-dt/membrane_time_constant), all three in one unit of time; V, I and
    `threshold` are dimensionless. Where `synaptic_time_constant` is None there is no synaptic filter (a = 0). A spike
    resets the membrane in the step after it, by `reset`; `driving(I, I')` says which current enters V' (the order of
    the two updates). The default: V' = (b V + (1 - b) I')(1 - s).
    """

    membrane_time_constant: Parameter
    synaptic_time_constant: Parameter | None
    dt: Scalar
    threshold: Parameter = 1.0
    spike: Callable[[Values], Values] = Heaviside()
    reset: Reset = ResetToZero()
    driving: Callable[[Values, Values], Values] = NewCurrent()

    def requirements(self) -> Requirements:
        """Time constants that the step resolves, and a threshold above rest."""
        return (
            *resolved("membrane_time_constant", self.membrane_time_constant, self.dt),
            *resolved("synaptic_time_constant", self.synaptic_time_constant, self.dt),
            *finite_above_zero("threshold", self.threshold),
            *rising(self.spike),
        )

    def initial_state(self, neurons: int, dtype: Any) -> MembraneState:
        """V = 0, I = 0."""
        return MembraneState(jnp.zeros(neurons, dtype), jnp.zeros(neurons, dtype))

    def distance(self, state: MembraneState) -> Values:
        """v = (V - threshold)/threshold."""
        return (state.voltage - self.threshold) / self.threshold

    def output(self, state: MembraneState) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(self.distance(state))

    def advance(self, state: MembraneState, output: Values, arriving: Values) -> MembraneState:
        """Both updates and the reset."""
        current = decayed(state.current, self.synaptic_time_constant, self.dt) + arriving
        driven = approach(self.membrane_time_constant, self.dt) * self.driving(state.current, current)
        voltage = decayed(state.voltage, self.membrane_time_constant, self.dt)
        return MembraneState(self.reset(voltage, driven, output, self.threshold), current)


class AdaptiveState(eqx.Module):
    """State of the `membrane`, and the `adaptation` A `[neurons]` (dimensionless)."""

    membrane: MembraneState
    adaptation: Values


class AdaptiveGridLIF(SpikingCell):
    """`lif` neurons whose threshold rises with each spike: threshold + beta A, A' = r A + s, s' = spike(v').

    v = (V - threshold - beta A)/threshold, r = exp(-dt/adaptation_time_constant), beta = `adaptation_step`, in the unit
    of V. A reset by subtraction takes off `threshold` without adaptation (Bellec et al. 2020).
    """

    lif: GridLIF
    adaptation_time_constant: Parameter
    adaptation_step: Parameter

    def requirements(self) -> Requirements:
        """A time constant that the step resolves."""
        return (
            *self.lif.requirements(),
            *resolved("adaptation_time_constant", self.adaptation_time_constant, self.lif.dt),
            (jnp.isfinite(jnp.asarray(self.adaptation_step)), "adaptation_step must be finite."),
        )

    def initial_state(self, neurons: int, dtype: Any) -> AdaptiveState:
        """At rest, not adapted."""
        return AdaptiveState(self.lif.initial_state(neurons, dtype), jnp.zeros(neurons, dtype))

    def distance(self, state: AdaptiveState) -> Values:
        """v = (V - threshold - beta A)/threshold."""
        return self.lif.distance(state.membrane) - self.adaptation_step * state.adaptation / self.lif.threshold

    def output(self, state: AdaptiveState) -> Values:
        """Spikes, 0 or 1."""
        return self.lif.spike(self.distance(state))

    def advance(self, state: AdaptiveState, output: Values, arriving: Values) -> AdaptiveState:
        """The membrane as without adaptation, A' = r A + s."""
        adaptation = decayed(state.adaptation, self.adaptation_time_constant, self.lif.dt) + output
        return AdaptiveState(self.lif.advance(state.membrane, output, arriving), adaptation)


class BinaryCell(SpikingCell):
    """Binary neurons without memory of their own: V' = input, s' = spike(V' - threshold); the state is V `[neurons]`.

    At the start V = 0; a neuron with threshold 0 is then active.
    """

    threshold: Parameter = 0.0
    spike: Callable[[Values], Values] = Heaviside()

    def requirements(self) -> Requirements:
        """A finite threshold."""
        return ((jnp.isfinite(jnp.asarray(self.threshold)), "threshold must be finite."), *rising(self.spike))

    def initial_state(self, neurons: int, dtype: Any) -> Values:
        """V = 0."""
        return jnp.zeros(neurons, dtype)

    def distance(self, state: Values) -> Values:
        """v = V - threshold, not divided by the threshold, which may be 0."""
        return state - self.threshold

    def output(self, state: Values) -> Values:
        """Spikes, 0 or 1."""
        return self.spike(self.distance(state))

    def advance(self, state: Values, output: Values, arriving: Values) -> Values:
        """V' = input."""
        del state, output
        return arriving


class GridLeakyReadout(Cell):
    """Neurons that do not spike and send out their voltage: I' = a I + input, V' = b V + (1 - b) I'.

    Time constants as those of `GridLIF`; `synaptic_time_constant` None (the default) means I' = input.
    """

    membrane_time_constant: Parameter
    dt: Scalar
    synaptic_time_constant: Parameter | None = None

    def requirements(self) -> Requirements:
        """Time constants that the step resolves."""
        return (
            *resolved("membrane_time_constant", self.membrane_time_constant, self.dt),
            *resolved("synaptic_time_constant", self.synaptic_time_constant, self.dt),
        )

    def initial_state(self, neurons: int, dtype: Any) -> MembraneState:
        """V = 0, I = 0."""
        return MembraneState(jnp.zeros(neurons, dtype), jnp.zeros(neurons, dtype))

    def output(self, state: MembraneState) -> Values:
        """V."""
        return state.voltage

    def advance(self, state: MembraneState, output: Values, arriving: Values) -> MembraneState:
        """Both updates."""
        del output
        current = decayed(state.current, self.synaptic_time_constant, self.dt) + arriving
        driven = approach(self.membrane_time_constant, self.dt) * current
        return MembraneState(decayed(state.voltage, self.membrane_time_constant, self.dt) + driven, current)


def decayed(values: Float[Array, "..."], time_constant: Parameter | None, dt: Scalar) -> Float[Array, "..."]:
    """exp(-dt/time_constant) times the values; nothing is left where there is no time constant."""
    return jnp.zeros_like(values) if time_constant is None else jnp.exp(-dt / time_constant) * values


def approach(time_constant: Parameter, dt: Scalar) -> Parameter:
    """1 - exp(-dt/time_constant): how far a voltage moves to its drive in a step."""
    return -jnp.expm1(-dt / time_constant)


def time_constant_of(decay: Parameter, dt: Scalar) -> Parameter:
    """The time constant with which a quantity is multiplied by `decay`, between 0 and 1, in a step: -dt/log(decay)."""
    require((jnp.asarray(decay) > 0) & (jnp.asarray(decay) < 1), "a decay factor lies between 0 and 1.")
    return -dt / jnp.log(decay)


def finite_above_zero(name: str, value: Parameter) -> Requirements:
    """The requirement that a parameter is finite and above the resting voltage."""
    value = jnp.asarray(value)
    return ((jnp.isfinite(value) & (value > 0), f"{name} must lie above the resting voltage 0, and be finite."),)


def rising(spike: Callable[[Values], Values]) -> Requirements:
    """`spike` is larger above threshold than below, as no slope of a surrogate is."""
    if not callable(spike):
        raise ValueError(f"spike must be a step like SurrogateSpike(slope), not a {type(spike).__name__}.")
    above, below = spike(jnp.asarray(1.0)), spike(jnp.asarray(-1.0))
    return ((above > below, "spike must be a step like SurrogateSpike(slope), not its slope."),)


def resolved(name: str, time_constant: Parameter | None, dt: Scalar) -> Requirements:
    """The requirement that a time constant, if there is one, is finite and not below the step dt > 0."""
    if time_constant is None:
        return ()
    tau = jnp.asarray(time_constant)
    sentence = f"{name} must be finite and at least one step (dt = {dt}): take smaller steps."
    return ((jnp.asarray(dt) > 0, "dt must be positive."), (jnp.isfinite(tau) & (tau >= dt), sentence))
