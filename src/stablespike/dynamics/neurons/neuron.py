"""What every neuron model offers the simulators: written for a single neuron, batched by them with `vmap`."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from stablespike.dynamics.arguments import Told, is_number, require_numbers, shown
from stablespike.dynamics.neurons.charts import AbstractChart, AsItIs
from stablespike.dynamics.neurons.members import lacking, own_classes, require_members, requirements_of
from stablespike.native.conventions import ROUNDING_UNITS

State = Float[Array, "variables"]
Scalar = Float[Array, ""] | float | int
Parameter = Float[Array, "*neurons"] | float | int
SLACK = 1e-9  # relative, of what decides whether a spike may come: the spike's time itself decides whether it does


class AbstractNeuron(Told):
    """A spiking neuron that moves freely between events and can say when it will spike.

    Parameters are fields: numbers, or arrays of shape `[neurons]` for a heterogeneous population (trainable if arrays).
    All methods act on one neuron, whose state is a vector `[variables]`; time is in the unit of the time constants.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Refuse a class that lacks a member, saying what it is for."""
        missing = lacking(cls)
        if missing:
            raise TypeError(f"{cls.__name__} lacks {'; '.join(missing)}.")
        return super().__new__(cls, *args, **kwargs)

    def requirements(self) -> tuple[tuple[Bool[Array, "*neurons"], str], ...]:
        """Conditions on the parameters with the sentence for each: raised at construction, flagged under jit."""
        return ()

    def __check_init__(self) -> None:
        """Refuse parameters that the model does not allow, and members of one's own that do not give what they must."""
        require_numbers(self)
        for condition, sentence in requirements_of(self):
            require(condition, sentence)
        if own_classes(type(self)) and all(jnp.size(leaf) for leaf in jax.tree.leaves(self)):
            require_members(one_neuron(self, 0))
        self._require_model()

    def _require_model(self) -> None:
        """Refuse what else a kind of neuron cannot be made of."""

    @abc.abstractmethod
    def flow(self, state: State, dt: Scalar) -> State:
        """Evolve freely for a time `dt`; a negative `dt` is the exact inverse."""

    @abc.abstractmethod
    def time_to_spike(self, state: State) -> Scalar:
        """Time until the next spike if nothing arrives: never negative, 0 when it is due, inf when none comes."""

    def time_to_spike_within(self, state: State, limit: Scalar) -> Scalar:
        """`time_to_spike` if it is at most `limit`; else that or inf, whatever costs less."""
        del limit
        return self.time_to_spike(state)

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """Whether a spike may come within `dt`: cheap where the model allows, and never False when one does."""
        return jnp.asarray(self.time_to_spike_within(state, dt)) <= dt * (1 + SLACK)

    def flow_until_spike(self, state: State, dt: Scalar) -> State:
        """`flow` if no spike comes on the way; else anything finite, whatever costs less."""
        return self.flow(state, dt)

    def velocity(self, state: State) -> State:
        """d(state)/dt of the free evolution."""
        still = jnp.zeros((), state.dtype)
        return jax.jvp(lambda dt: self.flow(state, dt), (still,), (jnp.ones_like(still),))[1]

    def held(self, state: State, dt: Scalar) -> State:
        """Evolve for `dt` >= 0 with the voltage held where a reset puts it, as in a refractory period.

        Right as it stands for a reset that replaces the voltage and does nothing else.
        """
        return self.reset(self.flow(state, dt))

    @abc.abstractmethod
    def jump(self, state: State, weight: Scalar) -> State:
        """Response to an input spike; `jump(state, -weight)` is the inverse."""

    @abc.abstractmethod
    def reset(self, state: State) -> State:
        """State right after the spike, from the state at the spike."""

    @abc.abstractmethod
    def voltage(self, state: State) -> Scalar:
        """Membrane voltage V of the state (dimensionless)."""

    @abc.abstractmethod
    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """State of membrane voltage `voltage` and, for neurons that have one, synaptic current `current`."""

    def trial_end_phase(self, state: State, pulse: Scalar = 0.0) -> tuple[Scalar, Scalar]:
        """Phase and period (unit of time) with which the neuron would go on after the trial, once `pulse` has arrived.

        What pseudospikes are made of (Klos 2025); only neurons that would go on spiking have it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no pseudospikes: after the trial it need not spike. Use QIF or Theta."
        )

    def chart(self) -> AbstractChart:
        """Coordinates with one entry for each degree of freedom: the state itself, unless a neuron says otherwise."""
        return AsItIs()

    def spikes_on_arrival(self) -> bool:
        """Whether a pulse alone can bring the neuron to its spike, at the very time at which it arrives."""
        return False

    def on_grid(self, on: Any, spike: Callable) -> Any:
        """The cell that stands for the neuron on a time grid `on`, with the spike function `spike`."""
        from stablespike.dynamics.grid.neuron import GridNeuron  # here, as cells are made of neurons

        return GridNeuron(self, on.dt, on.spiked_by, spike)

    def spike_time_derivative(self, state: State) -> State:
        """Derivative of `time_to_spike` with respect to the state; also where the spike is due."""
        return jax.grad(self.time_to_spike)(state)


def as_floats(*values: Scalar) -> tuple[Float[Array, ""], ...]:
    """The values as arrays of their common floating type: JAX's default float if all are plain numbers."""
    dtype = jnp.result_type(float, *values)
    return tuple(jnp.asarray(value, dtype) for value in values)


def positive_time(name: str, value: Parameter) -> tuple[Bool[Array, "*neurons"], str]:
    """The requirement that a time constant is positive and finite, with its sentence."""
    value = jnp.asarray(value)
    return (value > 0) & jnp.isfinite(value), f"{name} must be positive and finite."


def may_be_driven_up(
    voltage: Scalar, current: Scalar, threshold: Scalar, membrane_time_constant: Scalar, dt: Scalar
) -> Bool[Array, ""]:
    """Whether tau V' = -V + I can reach the threshold within `dt`, of a current that only decays to 0.

    V stays below V + (I_+ - V)_+ min(dt/tau, 1), I and V being those at the start.
    """
    highest = voltage + jnp.maximum(jnp.maximum(current, 0) - voltage, 0) * jnp.minimum(dt / membrane_time_constant, 1)
    return highest >= threshold - SLACK * (threshold + jnp.abs(voltage) + jnp.abs(current))


def not_negative(time: Scalar) -> Scalar:
    """Zero for a time that rounding made slightly negative, with the derivative of the time itself."""
    return time + jax.lax.stop_gradient(jnp.maximum(-time, 0))


def well_above(value: Scalar, threshold: Scalar) -> Bool[Array, ""]:
    """True where `value` exceeds `threshold` by more than rounding explains: the time of a spike there is fixed."""
    return value > threshold + ROUNDING_UNITS * jnp.finfo(jnp.result_type(value)).eps * jnp.abs(threshold)


def over_neurons(neuron: AbstractNeuron, method: str) -> Callable[..., Any]:
    """`method` of `neuron` for a population: states `[neurons, variables]`, other arguments scalar or `[neurons]`."""
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, neuron)

    def apply(states: Any, *arguments: Any) -> Any:
        argument_axes = tuple(0 if jnp.ndim(argument) else None for argument in arguments)
        single = jax.vmap(
            lambda one, state, *rest: getattr(one, method)(state, *rest), in_axes=(axes, 0, *argument_axes)
        )
        return single(neuron, states, *arguments)

    return apply


def one_neuron(neuron: AbstractNeuron, index: Any) -> AbstractNeuron:
    """The neuron at `index` of a population, with scalar parameters."""
    return jax.tree.map(lambda leaf: leaf[index] if jnp.ndim(leaf) else leaf, neuron)


def initial_states(
    neuron: AbstractNeuron, voltages: Float[Array, " neurons"], currents: Any = 0.0
) -> Float[Array, "neurons variables"]:
    """States `[neurons, variables]` of a population from membrane voltages and currents (scalar or `[neurons]`)."""
    if not isinstance(neuron, AbstractNeuron):
        raise ValueError(f"initial_states takes a neuron such as QIF() and its voltages, not {shown(neuron)}.")
    _require_one_each(voltages, currents)
    require_population(neuron, len(voltages))
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, neuron)
    voltages = jnp.asarray(voltages)
    currents = jnp.broadcast_to(jnp.asarray(currents, voltages.dtype), voltages.shape)
    return jax.vmap(lambda one, v, i: one.initial_state(v, i), in_axes=(axes, 0, 0))(neuron, voltages, currents)


def _require_one_each(voltages: Any, currents: Any) -> None:
    """Raise `ValueError` unless there is a voltage for each neuron, and one current or as many."""
    if not is_number(voltages) or jnp.ndim(voltages) != 1:
        raise ValueError(
            f"voltages must be an array with one number for each neuron, as jnp.zeros(neurons), not {shown(voltages)}."
        )
    if not is_number(currents) or jnp.shape(currents) not in ((), jnp.shape(voltages)):
        raise ValueError(
            f"currents must be one number or an array of shape {list(jnp.shape(voltages))}, not {shown(currents)}."
        )
    require(jnp.isfinite(voltages) & jnp.isfinite(currents), "voltages and currents at the start must be finite.")


def require_population(neuron: AbstractNeuron, size: int) -> None:
    """Raise `ValueError` unless parameters are numbers or arrays with one for each of `size` neurons."""
    for leaf in jax.tree.leaves(neuron):
        if jnp.ndim(leaf) and jnp.shape(leaf) != (size,):
            raise ValueError(
                f"parameters of {type(neuron).__name__} must be numbers or have shape [{size}], "
                f"not {list(jnp.shape(leaf))}."
            )


def require_states(neuron: AbstractNeuron, states: Any, size: int) -> None:
    """Raise `ValueError` unless `states` are `[size, variables]`, with as many variables as this neuron has."""
    variables = jax.eval_shape(lambda: one_neuron(neuron, 0).initial_state()).shape[0]
    if jnp.shape(states) != (size, variables):
        raise ValueError(
            f"initial states of {type(neuron).__name__} must have shape [{size}, {variables}], "
            f"not {list(jnp.shape(states))}: `initial_states` makes them from voltages."
        )


def require(condition: Any, sentence: str) -> None:
    """Raise `ValueError(sentence)` unless the condition holds; conditions that are only known inside jit pass."""
    if isinstance(condition, jax.core.Tracer):
        return
    if not np.all(np.asarray(condition)):  # NumPy's, as inside jit jnp would make a tracer of what is known
        raise ValueError(sentence)
