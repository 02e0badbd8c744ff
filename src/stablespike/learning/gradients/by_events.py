"""A network event by event: layer after layer, each by the engine that fits its connections and its gradient rule."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.abilities import in_kernels
from stablespike.dynamics.connections import Connection, Delayed, Dense, Sparse
from stablespike.dynamics.engines.events import Solution, simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.engines.parallel_in_time import parallel_in_time_layer
from stablespike.dynamics.engines.sparse import SparseNetwork
from stablespike.dynamics.engines.windows import simulate_delayed
from stablespike.dynamics.grid.cells import Cell
from stablespike.dynamics.network import Layer, Network, Recurrent
from stablespike.dynamics.neurons.neuron import Scalar, initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.readout import Readout
from stablespike.dynamics.run import Run, Trains
from stablespike.dynamics.sparse_weights import INDEX, SparseWeights
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import Status
from stablespike.dynamics.ways import DEFAULT_BUDGET, Events
from stablespike.learning.gradients.checkpointed import checkpointed_simulate
from stablespike.learning.gradients.rules import ParallelInTime, Recorded, Rule, TimeReversed
from stablespike.learning.gradients.sparse import differentiable_sparse
from stablespike.learning.gradients.through_time import Checkpointed
from stablespike.learning.gradients.time_reversed import (
    has_kernel,
    require_kernel,
    reversal_plan,
    time_reversed_layer,
    time_reversed_simulate,
)
from stablespike.native.conventions import Flag
from stablespike.native.order import spike_ordinals

BY_EVENTS = (Recorded, Checkpointed, TimeReversed, ParallelInTime)


class Asked(NamedTuple):
    """What is asked of a layer: the end of the trial, the room for spikes of a neuron, the gradient rule."""

    until: Scalar
    budget: int
    looks: int
    gradient: Rule | None
    checkpoints: int | None


class Found(NamedTuple):
    """What a layer gives: trains, states at the end, flags and the time reached."""

    trains: Trains
    state: Any
    flags: Int[Array, ""]
    time: Float[Array, ""]


def run_by_events(
    network: Network, inputs: Any, until: Scalar, on: Events, gradient: Rule | None, initial: Any, checkpoints: Any
) -> Run:
    """One trial; see `simulate`, which checks and raises. `checkpoints` by layer are those of `planned_checkpoints`."""
    budget = on.budget or DEFAULT_BUDGET
    found: list[Found] = []
    below = _as_trains(inputs, network.channels)
    for index, layer in enumerate(network.layers):
        start = _start(layer) if initial is None or initial[index] is None else initial[index]
        asked = Asked(until, budget, on.looks, gradient, checkpoints[index])
        found.append(_run_layer(layer, start, below, asked))
        below = found[-1].trains
    flags = jnp.bitwise_or.reduce(jnp.stack([one.flags for one in found]))
    flags |= jnp.where(_delays_left(network), int(Flag.DELAY_RANGE), 0)
    status = Status(flags, jnp.min(jnp.stack([one.time for one in found])), budget, "budget")
    return Run(tuple(one.trains for one in found), tuple(one.state for one in found), status)


def _delays_left(network: Network) -> Bool[Array, ""]:
    """Whether a delay is outside of the range that its connection was made for, as training may carry it."""
    connections = [one for layer in network.layers for one in (layer.inputs, layer.loop) if isinstance(one, Delayed)]
    inside = [jnp.all((one.delays >= one.within[0]) & (one.delays <= one.within[1])) for one in connections]
    return ~jnp.all(jnp.asarray(inside))


def planned_checkpoints(network: Network, until: Scalar, gradient: Rule | None) -> tuple[int | None, ...]:
    """How many states the reversal of each recurrent layer keeps; None where that is not asked for or not known."""

    def of_layer(layer: Any) -> int | None:
        wanted = TimeReversed() if gradient is None else gradient
        if not isinstance(wanted, TimeReversed) or not isinstance(layer.loop, Dense) or not _reversible(layer):
            return None
        neuron, carries = in_kernels(layer.neuron, _start(layer))
        tau = 1.0 if carries else layer.neuron.membrane_time_constant
        if isinstance(tau, jax.core.Tracer) or isinstance(until, jax.core.Tracer):
            return wanted.checkpoints
        alone = Recurrent(neuron, layer.loop.weights, layer.inputs.weights)
        return reversal_plan(alone, until, wanted.tolerance, wanted.checkpoints)[1]

    return tuple(of_layer(layer) for layer in network.layers)


def _reversible(layer: Layer) -> bool:
    return isinstance(layer.inputs, Dense | Delayed) and has_kernel(
        layer.neuron, _start(layer), *_dense(layer), loop=True
    )


def _dense(layer: Any) -> list[Array]:
    return [one.weights for one in (layer.inputs, layer.loop) if one is not None]


def _start(layer: Layer) -> Array | None:
    """V = 0, without current."""
    if isinstance(layer.neuron, Readout | Cell):
        return None
    return initial_states(layer.neuron, jnp.zeros(layer.size, layer.inputs.dtype))


def _as_trains(inputs: Spikes, channels: int) -> Trains:
    """Input spikes as what a layer of channels sends."""
    real = inputs.real & (inputs.sources >= 0) & (inputs.sources < channels)
    counts = jnp.zeros(channels, np.int32).at[jnp.where(real, inputs.sources, channels)].add(1, mode="drop")
    ordinals = spike_ordinals(jnp.where(real, inputs.times, jnp.inf), inputs.sources, counts)
    return Trains(counts, inputs.times.shape[0], listed=inputs, ordinals=ordinals)


def _run_layer(layer: Layer, state: Any, below: Trains, asked: Asked) -> Found:
    if isinstance(layer.neuron, Readout):
        return _read_out(layer, below, asked)
    if isinstance(layer.neuron, Cell):
        raise ValueError(f"{type(layer.neuron).__name__} is a cell that exists on a grid only: use on=Grid(dt, slope).")
    if asked.gradient is not None and not isinstance(asked.gradient, BY_EVENTS):
        raise ValueError(
            f"{type(asked.gradient).__name__} exists on a grid only: by events use Recorded(), Checkpointed() or "
            "TimeReversed()."
        )
    if isinstance(layer.inputs, Sparse) or isinstance(layer.loop, Sparse):
        return _sparse(layer, state, below, asked)
    inputs = _arriving(layer.inputs, below.spikes)
    if layer.loop is None and not isinstance(asked.gradient, Checkpointed):
        return _feed_forward(layer, state, inputs, asked)
    if _one_sweep(layer.loop) and not isinstance(asked.gradient, Checkpointed):
        return _delayed(layer, state, inputs, asked)
    return _recurrent(layer, state, inputs, asked)


def _arriving(connection: Connection, spikes: Spikes) -> Spikes:
    """Spikes at the times at which they arrive."""
    if not isinstance(connection, Delayed):
        return spikes
    if connection.delays.ndim != 1:
        raise ValueError("delays from below must have shape [pre], one for each neuron or channel, by events.")
    delays = connection.delays[jnp.where(spikes.real, spikes.sources, 0)]
    return in_order(spikes.times + delays.astype(spikes.times.dtype), spikes.sources)


def _one_sweep(loop: Connection | None) -> bool:
    """Whether windows shorter than all delays need one sweep each."""
    return isinstance(loop, Delayed) and loop.delays.ndim == 1 and loop.within[0] > 0


def _layer_rule(layer: Layer, gradient: Rule | None) -> Callable:
    """The simulator of a layer whose reverse mode is the rule's."""
    if isinstance(gradient, Recorded):
        return simulate_layer
    if isinstance(gradient, ParallelInTime):
        if not isinstance(layer.neuron, QIF):
            raise ValueError(
                "ParallelInTime() is for QIF neurons, whose flow is linear and whose spikes need no reset, not for "
                f"{type(layer.neuron).__name__}: use gradient=Recorded() or TimeReversed()."
            )
        return parallel_in_time_layer
    if isinstance(gradient, TimeReversed):
        require_kernel(layer.neuron, _start(layer), *_dense(layer))
        return time_reversed_layer
    return time_reversed_layer if has_kernel(layer.neuron, _start(layer), *_dense(layer)) else simulate_layer


def _feed_forward(layer: Any, state: Any, inputs: Spikes, asked: Asked) -> Found:
    rule = _layer_rule(layer, asked.gradient)
    solution = rule(layer.neuron, layer.inputs.weights, state, inputs, asked.until, asked.budget)
    trains = Trains(solution.counts, asked.budget, table=solution.times)
    return Found(trains, solution.state, solution.status.flags, solution.status.time)


def _delayed(layer: Any, state: Any, inputs: Spikes, asked: Any) -> Found:
    if isinstance(asked.until, jax.core.Tracer):
        raise ValueError("windows between delays follow from the end of the trial: give `until` as a plain number.")
    network = Recurrent(layer.neuron, layer.loop.weights, layer.inputs.weights, layer.loop.delays)
    solution, _ = simulate_delayed(
        network, state, inputs, asked.until, capacity=asked.budget, delay_range=layer.loop.within,
        layer=_layer_rule(layer, asked.gradient),
    )  # fmt: skip
    return _listed(solution, asked.budget)


def _recurrent(layer: Any, state: Any, inputs: Spikes, asked: Asked) -> Found:
    if isinstance(asked.gradient, ParallelInTime):
        raise ValueError(
            "ParallelInTime() is for layers whose neurons do not see each other, or only after delays above 0, one for "
            "each presynaptic neuron: use Recorded() or TimeReversed()."
        )
    size, loop = layer.size, layer.loop
    room = asked.budget * size
    weights = jnp.zeros((size, size), layer.inputs.dtype) if loop is None else loop.weights
    delays = loop.delays if isinstance(loop, Delayed) else None
    network = Recurrent(layer.neuron, weights, layer.inputs.weights, delays, max_pending=room)
    deliveries = 0 if delays is None else room * (1 if delays.ndim == 1 else size)
    events = room + inputs.times.shape[0] + deliveries + 1
    trial = (network, state, inputs, asked.until)
    if isinstance(asked.gradient, Checkpointed):
        return _listed(checkpointed_simulate(*trial, max_events=events, every=asked.gradient.every), asked.budget)
    if isinstance(asked.gradient, TimeReversed):
        if delays is not None:
            raise ValueError("TimeReversed() knows delays above 0, one for each presynaptic neuron: use Recorded().")
        require_kernel(layer.neuron, _start(layer), *_dense(layer), loop=True)
        tolerance = asked.gradient.tolerance
        return _listed(
            time_reversed_simulate(*trial, max_events=events, tolerance=tolerance, checkpoints=asked.checkpoints),
            asked.budget,
        )
    if asked.gradient is None and delays is None and asked.checkpoints is not None:
        return _listed(time_reversed_simulate(*trial, max_events=events, checkpoints=asked.checkpoints), asked.budget)
    return _listed(simulate(*trial, max_events=events), asked.budget)


def _listed(solution: Solution, budget: int) -> Found:
    """A list of spikes, in which no neuron may have more of them than its budget."""
    trains = Trains(solution.counts, budget, listed=solution.spikes, ordinals=solution.ordinals)
    over = jnp.where(jnp.any(solution.counts > budget), int(Flag.BUDGET_EXHAUSTED), 0)
    return Found(trains, solution.state, solution.status.flags | over, solution.status.time)


def _sparse(layer: Any, state: Any, below: Trains, asked: Asked) -> Found:
    if not isinstance(layer.inputs, Sparse) or not isinstance(layer.loop, Sparse | None):
        raise ValueError(
            "a sparse layer has sparse connections both from below and among its neurons: Sparse(from_matrix(weights))."
        )
    if asked.gradient is not None and not isinstance(asked.gradient, Recorded):
        raise ValueError(f"{type(asked.gradient).__name__} has no kernel for sparse connections: use Recorded().")
    loop = _nothing(layer.size) if layer.loop is None else layer.loop.weights
    network = SparseNetwork(layer.neuron, loop, layer.inputs.weights)
    solution = differentiable_sparse(network, state, below.spikes, asked.until, max_spikes=asked.budget * layer.size)
    trains = Trains(solution.counts, asked.budget, listed=solution.spikes, ordinals=solution.ordinals, shared=True)
    return Found(trains, solution.state, solution.status.flags, solution.status.time)


def _nothing(size: int) -> SparseWeights:
    starts, targets = jnp.zeros(size + 1, INDEX), jnp.zeros(0, INDEX)
    return SparseWeights(starts, targets, jnp.zeros(0), size)


def _read_out(layer: Any, below: Trains, asked: Asked) -> Found:
    """Voltages of the readout at its looks, in closed form."""
    times, sizes = below.weighted()
    if isinstance(layer.inputs, Delayed):
        if layer.inputs.delays.ndim != 1:
            raise ValueError("delays to a readout must have shape [pre], by events.")
        times, weights = times + layer.inputs.delays[:, None], layer.inputs.weights
        sizes = jnp.where(times <= asked.until, sizes, 0)
        connection: Connection = Dense(weights)
    else:
        connection = layer.inputs
    voltages = layer.neuron.voltages(times, sizes, asked.looks, asked.until)
    signals, _ = connection.over_time(None, voltages)
    samples = signals.shape[0]
    at = jnp.asarray(asked.until, times.dtype) * jnp.arange(1, samples + 1, dtype=times.dtype) / samples
    trains = Trains(jnp.zeros(layer.size, int), asked.budget, at=at, signals=signals)
    wrong = jnp.where(jnp.all(jnp.isfinite(signals)), 0, int(Flag.NOT_FINITE))
    return Found(trains, None, wrong, jnp.asarray(asked.until, times.dtype))
