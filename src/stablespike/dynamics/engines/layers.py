"""Layer-parallel simulation of feed-forward networks: all spikes of a layer in one pass over its inputs.

Neurons of a layer do not influence each other, so each runs its own event loop (the same event step, with one neuron)
over the spikes of the layer below. The number of steps is that of the inputs of one layer plus a neuron's own spikes.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, require_states
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.conventions import Flag
from stablespike.native.order import spike_order


class LayerSolution(eqx.Module):
    """Spikes of one layer: `times` `[neurons, capacity]` (ascending, inf = none), `counts`, final `state`, `status`."""

    times: Float[Array, "*trials neurons capacity"]
    counts: Int[Array, "*trials neurons"]
    state: Float[Array, "*trials neurons variables"]
    status: Status

    def spike_times(self, spikes: int) -> Float[Array, "*trials neurons spikes"]:
        """First `spikes` spike times of every neuron (inf where it has fewer)."""
        missing = max(0, spikes - self.times.shape[-1])
        padding = [(0, 0)] * (self.times.ndim - 1) + [(0, missing)]
        return jnp.pad(self.times, padding, constant_values=jnp.inf)[..., :spikes]


def simulate_layer(
    neuron: AbstractNeuron,
    weights: Float[Array, "neurons channels"],
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Scalar,
    capacity: int,
) -> LayerSolution:
    """One layer from its input spikes; at most `capacity` spikes per neuron. Differentiable in every mode."""
    require_states(neuron, states, weights.shape[0])
    require_capacity(capacity)
    return _simulate_layer(neuron, weights, states, inputs, duration, capacity)


def require_capacity(capacity: int) -> None:
    """Raise `ValueError` for a budget of spikes per neuron that cannot be meant."""
    if capacity < 1:
        raise ValueError(f"capacity, the budget of spikes per neuron, must be at least 1, not {capacity}.")


@eqx.filter_jit
def _simulate_layer(
    neuron: AbstractNeuron, weights: Array, states: Array, inputs: Spikes, duration: Scalar, capacity: int
) -> LayerSolution:
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, neuron)

    def single(one: AbstractNeuron, row: Array, state: Array) -> tuple[Array, Array, Array, Array, Array]:
        alone = Recurrent(one, jnp.zeros((1, 1), row.dtype), row[None])
        solution = simulate(alone, state[None], inputs, duration, max_events=inputs.times.shape[0] + capacity + 1)
        flags = solution.status.flags | jnp.where(solution.counts[0] > capacity, int(Flag.BUDGET_EXHAUSTED), 0)
        return solution.spike_times(capacity)[0], solution.counts[0], solution.state[0], flags, solution.status.time

    times, counts, state, flags, ends = jax.vmap(single, in_axes=(axes, 0, 0))(neuron, weights, states)
    status = Status(jnp.bitwise_or.reduce(flags), ends.min(), capacity, "capacity")
    return LayerSolution(times, counts, state, status)


def merge(spike_times: Float[Array, "neurons spikes"]) -> Spikes:
    """One train from the spike times `[neurons, spikes]` of a population (inf = none); at equal times by neuron."""
    times = spike_times.ravel()
    order = spike_order(times)
    return Spikes(times[order], order.astype(int) // spike_times.shape[1])


def simulate_layers(
    network: Layered,
    states: tuple[Float[Array, "_ _"], ...],
    inputs: Spikes,
    duration: Scalar,
    *,
    capacity: int = 4,
    max_spikes: int | None = None,
    layer: Callable = simulate_layer,
) -> tuple[LayerSolution, ...]:
    """Simulate a feed-forward network layer by layer from `states` (one array per layer) up to `duration`.

    `capacity` is the budget of spikes per neuron, `max_spikes` that of spikes per layer and trial (default: neurons x
    capacity); a budget that does not suffice is flagged in the status and, outside jit, raised. `layer` does the work
    of one layer: exchange it to change the gradient rule or the engine.
    """
    solutions = []
    for index, weights in enumerate(network.weights):
        malformed = input_flags(inputs, weights.shape[1], duration)
        solution = layer(network.layer_neuron(index), weights, states[index], inputs, duration, capacity)
        inputs = merge(solution.times)
        if max_spikes is not None and max_spikes < inputs.times.shape[0]:
            overflow = jnp.where(jnp.isfinite(inputs.times[max_spikes]), int(Flag.BUDGET_EXHAUSTED), 0)
            raise_unless_ok(Status(overflow, inputs.times[max_spikes], max_spikes, "max_spikes"))
            malformed |= overflow
            inputs = Spikes(inputs.times[:max_spikes], inputs.sources[:max_spikes])
        status = Status(solution.status.flags | malformed, solution.status.time, capacity, "capacity")
        raise_unless_ok(status)
        solutions.append(eqx.tree_at(lambda one: one.status, solution, status))
    return tuple(solutions)
