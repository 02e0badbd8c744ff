"""Recurrent networks window by window, many spikes at once: waveform relaxation, exact to the event loop's spikes.

Without delays all neurons are taken through a window against the spikes that are known (a sweep). What comes out is
exact up to its first spike; what was guessed after it is dropped, and the next sweep goes on from there. A sweep that
finds no spike proves its window. With a minimal delay d no spike of a window shorter than d can reach anyone within
it, so that one sweep settles it.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stablespike.dynamics.abilities import abilities, lines_of, those_with
from stablespike.dynamics.engines.events import BYTES_PER_EVENT, Solution
from stablespike.dynamics.engines.layers import require_capacity, simulate_layer
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import Recurrent, network_flags
from stablespike.dynamics.neurons.neuron import Scalar, require_states
from stablespike.dynamics.spikes import Spikes, in_order, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.conventions import Flag
from stablespike.native.order import spike_ordinals
from stablespike.native.windows import forward as kernel

WHOLE = jnp.dtype("int32")
BYTES_PER_SPIKE = 64  # of a delayed run: its time, ordinal and owner, in the order found and in that of time
SMALLEST = 4  # neurons below which the loop from event to event is used; see `cost-of-exact-gradients`


class Relaxation(NamedTuple):
    """What a run took: `sweeps` over the network, `windows`, and exact spike times that were `asked` for."""

    sweeps: Int[Array, "*trials"]
    windows: Int[Array, "*trials"]
    asked: Int[Array, "*trials"]


def is_faster(network: Recurrent) -> bool:
    """Whether relaxation is expected to be faster than the native event loop, from the network's size."""
    return network.size >= SMALLEST


def enough_sweeps(max_events: int, checkpoints: int = 0) -> int:
    """A budget of sweeps that only a run gone wrong exhausts: one per event, and those that steer the window."""
    return min(8 * max_events + checkpoints + 1024, np.iinfo(WHOLE).max)


def simulate_relaxed(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Scalar,
    *,
    max_events: int,
    max_sweeps: int | None = None,
) -> tuple[Solution, Relaxation]:
    """Simulate a recurrent network as `simulate`, by relaxation in windows whose length the kernel chooses, on CPU.

    Spikes are those of the event loop to rounding, as far as the dynamics let rounding be followed. For `Theta`, `QIF`
    and `LIF` neurons with one set of parameters and without delays. `max_events` is the budget of network spikes and
    inputs, `max_sweeps` that of sweeps (default: one that suffices for them); an exhausted one is flagged and, outside
    jit, raised. No derivatives: `time_reversed(simulate)` runs this forwards where it is faster, and differentiates it.
    Trials: `jax.vmap`, side by side on all cores.
    """
    if max_events < 1 or (max_sweeps is not None and max_sweeps < 1):
        raise ValueError(f"max_events and max_sweeps must be at least 1, not {max_events} and {max_sweeps}.")
    if not abilities(network.neuron).reversible or any(jnp.ndim(leaf) for leaf in jax.tree.leaves(network.neuron)):
        raise ValueError(f"relaxation knows networks of {those_with('reversible')} neurons with the same parameters.")
    if network.delays is not None:
        raise ValueError("relaxation without delays was asked for: see `simulate_delayed`.")
    require_states(network.neuron, states, network.size)
    require_memory(BYTES_PER_EVENT * max_events, f"The list of {max_events} events")
    solution, work = _relax(network, states, inputs, duration, max_events, max_sweeps or enough_sweeps(max_events))
    raise_unless_ok(solution.status)
    return solution, work


@eqx.filter_jit
def _relax(
    network: Recurrent, states: Array, inputs: Spikes, duration: Scalar, max_events: int, max_sweeps: int
) -> tuple[Solution, Relaxation]:
    lines, dtype = lines_of(network.neuron), jnp.result_type(network.weights)
    results = kernel.RUN.over_trials(
        jnp.asarray(lines.derive(network.neuron, dtype)),
        network.weights.T,
        network.input_weights.T.astype(dtype),
        states.astype(dtype),
        inputs.times.astype(dtype),
        inputs.sources.astype(WHOLE),
        jnp.asarray(duration, dtype),
        jnp.full((), max_sweeps, WHOLE),
        unpack=lines.unpack,
        events=max_events,
        checkpoints=0,
    )
    times, sources, counts, final, _, flags, ends, work = results
    flags = flags.astype(int) | network_flags(network) | input_flags(inputs, network.input_weights.shape[1], duration)
    status = Status(flags, ends, max_events)
    spikes = Spikes(times, sources.astype(int))
    solution = Solution(spikes, spike_ordinals(spikes.times, spikes.sources, counts), counts.astype(int), final, status)
    return solution, Relaxation(*work.astype(int))


def simulate_delayed(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: float,
    *,
    capacity: int,
    delay_range: tuple[float, float] | None = None,
    layer: Callable = simulate_layer,
) -> tuple[Solution, Relaxation]:
    """Simulate a network with one delay per presynaptic neuron, in windows that are shorter than the shortest of them.

    Each window takes one sweep: all neurons in one pass over the spikes that arrive in it, by `layer`, whose gradient
    rule is that of the result; on any device. `capacity` is the budget of spikes per neuron and window. `delay_range`
    bounds the delays, from which the number of windows follows (default: that of the delays, which must then be known
    when traced); a delay outside of it is flagged.
    """
    if network.delays is None or network.delays.ndim != 1:
        raise ValueError("windows of one sweep need delays of shape [neurons], one per presynaptic neuron.")
    require_states(network.neuron, states, network.size)
    require_capacity(capacity)
    if delay_range is None and isinstance(network.delays, jax.core.Tracer):
        raise ValueError("give the `delay_range`: the delays, which set the windows, are only known inside jit.")
    low, high = delay_range or (float(jnp.min(network.delays)), float(jnp.max(network.delays)))
    if not 0 < low <= high:
        raise ValueError(f"windows of one sweep need positive delays, not from {low:g} to {high:g}.")
    if not 0 <= float(duration) < math.inf:
        raise ValueError(f"the duration of a trial must be finite and not negative, not {float(duration):g}.")
    windows = math.floor(float(duration) / low) + 1
    spikes = windows * network.size * capacity
    require_memory(BYTES_PER_SPIKE * spikes, f"Room for {spikes} spikes, {capacity} of a neuron and window")
    back = windows if duration == 0 else min(math.ceil(high / (float(duration) / windows)) + 1, windows)
    solution = _delayed(network, states, inputs, duration, (low, high), capacity, windows, back, layer)
    raise_unless_ok(solution.status)
    once = jnp.full(solution.status.flags.shape, windows)
    return solution, Relaxation(once, once, jnp.zeros_like(once))


@eqx.filter_jit
def _delayed(
    network: Any,
    states: Array,
    inputs: Spikes,
    duration: Scalar,
    delay_range: Any,
    capacity: int,
    windows: int,
    back: int,
    layer: Callable,
) -> Solution:
    dtype, size = states.dtype, network.size
    channels, length = network.input_weights.shape[1], jnp.asarray(duration, dtype) / windows
    weights = jnp.concatenate([network.input_weights, network.weights], 1)
    sources = jnp.concatenate(
        [inputs.sources.astype(int), jnp.tile(jnp.repeat(jnp.arange(size), capacity), back) + channels]
    )

    def window(
        carry: tuple[Array, Array, Array], index: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array, Array]]:
        state, recent, counts = carry
        start = index.astype(dtype) * length
        arrivals = (recent + network.delays[None, :, None]).ravel()
        times = jnp.concatenate([inputs.times.astype(dtype), arrivals])
        here = ((times > start) | (index == 0)) & (times <= start + length)
        events = in_order(jnp.where(here, jnp.maximum(times - start, 0), jnp.inf), sources)
        found = layer(network.neuron, weights, state, events, length, capacity)
        trains = found.times + start
        ordinals = counts[:, None] + jnp.arange(capacity)
        carry = found.state, jnp.concatenate([recent[1:], trains[None]]), counts + found.counts
        return carry, (trains, ordinals, found.status.flags, start + found.status.time)

    nothing = jnp.full((back, size, capacity), jnp.inf, dtype)
    carry = states, nothing, jnp.zeros(size, int)
    (final, _, counts), (trains, ordinals, flags, ends) = jax.lax.scan(window, carry, jnp.arange(windows))
    flat = trains.ravel()
    order = jnp.argsort(flat, stable=True)
    owners = jnp.tile(jnp.repeat(jnp.arange(size), capacity), windows)
    flags = jnp.bitwise_or.reduce(flags) | network_flags(network) | input_flags(inputs, channels, duration)
    outside = jnp.any((network.delays < delay_range[0]) | (network.delays > delay_range[1]))
    flags = flags | jnp.where(outside, int(Flag.DELAY_RANGE), 0)
    status = Status(flags, ends[-1], capacity, "capacity")
    return Solution(Spikes(flat[order], owners[order]), ordinals.ravel()[order], counts, final, status)
