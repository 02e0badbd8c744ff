"""A neuron that carries its parameters in its state, so that each of a population has its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, State


class Carried(AbstractNeuron):
    """The neuron of a `model` (a pytree structure) whose state is `[variables + parameters]`; it has no parameters.

    What is derived of a state, is derived of parameters in the same way: a cotangent of the state at the trial's start
    holds those of the parameters. They stay what they are in flow, jump and reset. `variables` of them are no
    parameters.
    """

    model: Any = eqx.field(static=True)
    variables: int = eqx.field(static=True)

    def requirements(self) -> tuple[tuple[Bool[Array, "..."], str], ...]:
        """None: the neuron that it is made of has them."""
        return ()

    def parts(self, state: Array) -> tuple[AbstractNeuron, Array]:
        """The neuron and its own state."""
        return jax.tree.unflatten(self.model, list(state[self.variables :])), state[: self.variables]

    def _with(self, state: Array, own: Array) -> Array:
        return jnp.concatenate([own, state[self.variables :]])

    def initial_state(self, voltage: Scalar = 0.0, current: Scalar = 0.0) -> State:
        """A state of that size: the parameters that it wants are not known here."""
        del voltage, current
        return jnp.zeros(self.variables + self.model.num_leaves)

    def voltage(self, state: State) -> Scalar:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return neuron.voltage(own)

    def flow(self, state: State, dt: Scalar) -> State:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return self._with(state, neuron.flow(own, dt))

    def flow_until_spike(self, state: State, dt: Scalar) -> State:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return self._with(state, neuron.flow_until_spike(own, dt))

    def velocity(self, state: State) -> State:
        """That of the neuron; its parameters rest."""
        neuron, own = self.parts(state)
        return jnp.concatenate([neuron.velocity(own), jnp.zeros_like(state[self.variables :])])

    def time_to_spike(self, state: State) -> Scalar:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return neuron.time_to_spike(own)

    def time_to_spike_within(self, state: State, limit: Scalar) -> Scalar:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return neuron.time_to_spike_within(own, limit)

    def may_spike_within(self, state: State, dt: Scalar) -> Bool[Array, ""]:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return neuron.may_spike_within(own, dt)

    def jump(self, state: State, weight: Scalar) -> State:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return self._with(state, neuron.jump(own, weight))

    def reset(self, state: State) -> State:
        """That of the neuron."""
        neuron, own = self.parts(state)
        return self._with(state, neuron.reset(own))


def carried(neuron: AbstractNeuron, variables: int) -> Carried:
    """The neuron with its parameters in its state."""
    return Carried(jax.tree.structure(neuron), variables)


def with_parameters(
    neuron: AbstractNeuron, states: Float[Array, "neurons variables"]
) -> Float[Array, "neurons variables_and_parameters"]:
    """States of `carried(neuron, variables)`: those of the neuron, and its parameters, spread over the population."""
    leaves = [jnp.broadcast_to(jnp.asarray(leaf, states.dtype), states.shape[:1]) for leaf in jax.tree.leaves(neuron)]
    return jnp.concatenate([states, *(leaf[:, None] for leaf in leaves)], 1)
