"""The event loop: recurrent networks spike by spike, exactly."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stablespike.dynamics.event_step import END, SPIKE, Event, NetworkState, event_step, initial_network_state
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import Recurrent, network_flags
from stablespike.dynamics.neurons.neuron import Scalar
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import SimulationError, Status, raise_unless_ok
from stablespike.native.conventions import Flag

BLOCK = 32
BYTES_PER_EVENT = 64  # the events and the spikes among them, of one trial; reverse mode keeps the states as well


class Solution(eqx.Module):
    """Result of a simulation: network `spikes` in order, the `state` of the neurons `[neurons, variables]` at the end.

    `ordinals` `[events]` is each spike's number in its neuron's train, `counts` `[neurons]` the numbers of spikes.
    """

    spikes: Spikes
    ordinals: Int[Array, "*trials events"]
    counts: Int[Array, "*trials neurons"]
    state: Float[Array, "*trials neurons variables"]
    status: Status

    def spike_times(self, spikes: int) -> Float[Array, "neurons spikes"]:
        """First `spikes` spike times of every neuron (inf where it has fewer); one trial, use `vmap` for more."""
        table = jnp.full((self.state.shape[0], spikes), jnp.inf, self.spikes.times.dtype)
        place = jnp.where(self.spikes.real, self.ordinals, spikes)
        return table.at[self.spikes.sources, place].set(self.spikes.times, mode="drop")


def simulate(
    network: Recurrent, states: Float[Array, "neurons variables"], inputs: Spikes, duration: Scalar, *, max_events: int
) -> Solution:
    """Simulate a recurrent network from `states` at time 0 to `duration` (unit of the time constants).

    `max_events` is the budget for network spikes, inputs and deliveries together (rounded up to whole blocks); one that
    does not suffice, and anything else that went wrong, is flagged in `status` and, outside jit, raised as
    `SimulationError`. Differentiable in every mode; reverse mode stores the states of all events. Trials: `jax.vmap`.
    """
    if max_events < 1:
        raise ValueError(f"max_events must be at least 1, not {max_events}.")
    require_memory(BYTES_PER_EVENT * max_events, f"The list of {max_events} events")
    solution = _simulate(network, states, inputs, duration, max_events)
    raise_unless_ok(solution.status)
    return solution


@eqx.filter_jit
def _simulate(network: Recurrent, states: Array, inputs: Spikes, duration: Scalar, max_events: int) -> Solution:
    final, events = run_events(network, initial_network_state(network, states), inputs, duration, max_events)
    return solution_of(network, inputs, duration, max_events, final, events)


def solution_of(
    network: Recurrent, inputs: Spikes, duration: Scalar, max_events: int, final: NetworkState, events: Event
) -> Solution:
    """The spikes among the `events` of a run that ended in the state `final`, and its status."""
    flags = final.flags | network_flags(network) | input_flags(inputs, network.input_weights.shape[1], duration)
    flags = flags | jnp.where(final.ended, 0, int(Flag.BUDGET_EXHAUSTED))
    is_spike = events.kind == SPIKE
    place = jnp.where(is_spike, jnp.cumsum(is_spike) - 1, is_spike.size)
    times = jnp.full(is_spike.size, jnp.inf, events.time.dtype).at[place].set(events.time, mode="drop")
    sources = jnp.zeros(is_spike.size, int).at[place].set(events.index, mode="drop")
    ordinals = jnp.zeros(is_spike.size, int).at[place].set(events.ordinal, mode="drop")
    status = Status(flags, final.time, max_events)
    return Solution(Spikes(times, sources), ordinals, final.counts, final.neurons, status)


def run_events(
    network: Recurrent,
    state: NetworkState,
    inputs: Spikes,
    duration: Scalar,
    max_events: int,
    *,
    length: int = BLOCK,
    around: Callable = lambda run: run,
) -> tuple[NetworkState, Event]:
    """The bare loop: at least `max_events` steps, in blocks of this `length` that are skipped after the end.

    The last state and all events. `around` changes the function that runs a block, its derivative say.
    """

    def step(carry: NetworkState, _: Any) -> tuple[NetworkState, Event]:
        return event_step(network, inputs, duration, carry)

    def run(carry: NetworkState) -> tuple[NetworkState, Event]:
        return jax.lax.scan(step, carry, length=min(length, max_events))

    def idle(carry: NetworkState) -> tuple[NetworkState, Event]:
        shapes = jax.eval_shape(run, carry)[1]
        events = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return carry, eqx.tree_at(lambda event: event.kind, events, jnp.full_like(events.kind, END))

    def block(carry: NetworkState, _: Any) -> tuple[NetworkState, Event]:
        return jax.lax.cond(carry.ended, idle, around(run), carry)

    blocks = -(-max_events // length)
    state, events = jax.lax.scan(block, state, length=blocks)
    return state, jax.tree.map(lambda leaf: leaf.reshape(-1), events)


def sufficient_budget(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Scalar,
    *,
    start: int = 64,
    limit: int = 2**22,
) -> int:
    """A power-of-two event budget that suffices for this trial, found by doubling; raises beyond `limit`."""
    budget = start
    while budget <= limit:
        status = _simulate(network, states, inputs, duration, budget).status
        if not int(status.flags) & Flag.BUDGET_EXHAUSTED:
            raise_unless_ok(status)
            return budget
        budget *= 2
    raise SimulationError(f"No event budget up to {limit} suffices: the network's activity may be running away.")
