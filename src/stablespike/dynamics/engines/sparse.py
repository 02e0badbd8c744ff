"""Sparse recurrent networks, spike by spike, exactly: a spike costs its targets, whatever the size of the network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stablespike.dynamics.abilities import abilities, in_sparse_kernels, lines_of
from stablespike.dynamics.engines.events import Solution
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import of_its_own, parameter_flags
from stablespike.dynamics.neurons.carried import Carried, with_parameters
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, require_states
from stablespike.dynamics.sparse_weights import SparseWeights
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.conventions import Flag
from stablespike.native.sparse import forward as kernel

RANGE = 32.0  # time constants after which the reference time of a run moves on
WHOLE = jnp.dtype("int32")


class SparseNetwork(eqx.Module):
    """Recurrent network of neurons of any kind with sparse weights, of any signs.

    `OscillatoryLIF`, `LIF`, `Theta` and `QIF` have kernels by hand, those of others are derived from their class;
    one that a pulse alone can make spike is refused, as its order of events is not known to these.
    `weights` lead from neurons to neurons, `input_weights` from input channels to neurons (None: no channels), both in
    the unit that the neuron's `jump` takes. Parameters of the neurons are numbers or have shape `[neurons]`.
    """

    neuron: AbstractNeuron
    weights: SparseWeights
    input_weights: SparseWeights | None = None

    def __check_init__(self) -> None:
        """Refuse parts that do not fit together."""
        if self.weights.channels != self.size:
            raise ValueError(f"weights must lead from {self.size} neurons, not from {self.weights.channels}.")
        if self.input_weights is not None and self.input_weights.size != self.size:
            raise ValueError(f"input_weights must lead to {self.size} neurons, not to {self.input_weights.size}.")
        for leaf in jax.tree.leaves(self.neuron):
            if jnp.shape(leaf) not in ((), (self.size,)):
                raise ValueError(
                    f"parameters must be numbers or have shape [{self.size}], not {list(jnp.shape(leaf))}."
                )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.weights.size


def simulate_sparse(
    network: SparseNetwork,
    states: Float[Array, "neurons variables"],
    inputs: Spikes | None = None,
    duration: Scalar = jnp.inf,
    *,
    max_spikes: int,
) -> Solution:
    """Simulate a sparse network from `states` at time 0 to `duration`, as `simulate` does, in native code on one core.

    With an infinite `duration` (the default) the trial ends with spike number `max_spikes`; otherwise that is the
    budget of network spikes. A budget that does not suffice, a network that stops spiking before it has made as many
    spikes as were asked for, and what else went wrong, is flagged in `status` and, outside jit, raised. No derivatives:
    see `stablespike.learning.gradients.sparse`. Trials: `jax.vmap` runs them one after the other.

    A neuron is updated only when a pulse reaches it. The next spike comes from a heap of the few neurons that are due
    within a window of time (after Engelken 2023, with a heap of all neurons): O(k log N) operations per spike of k
    targets, on average over a window.
    """
    require_feasible(network, states, max_spikes)
    inputs = no_inputs(states.dtype) if inputs is None else inputs
    require_one_trial(inputs)
    inside, whole = as_in_kernels(network, states)
    found, _ = run_sparse(inside, whole, inputs, duration, max_spikes)
    solution = of_its_own(found, network.neuron, states.shape[1])
    raise_unless_done(solution)
    return solution


def as_in_kernels(network: SparseNetwork, states: Array) -> tuple[SparseNetwork, Array]:
    """The network and states that the kernels run: where they are derived, states hold the neurons' parameters."""
    inside, carries = in_sparse_kernels(network.neuron, states)
    if not carries:
        return network, states
    states = with_parameters(network.neuron, states)
    return SparseNetwork(inside, network.weights, network.input_weights), states


def require_one_trial(inputs: Spikes) -> None:
    """Raise `ValueError` unless the inputs are those of one trial."""
    if inputs.times.ndim != 1:
        raise ValueError(f"input times must be a vector, not {list(inputs.times.shape)}; use vmap for trials.")


def no_inputs(dtype: Any) -> Spikes:
    """An input without spikes."""
    return Spikes(jnp.zeros(0, dtype), jnp.zeros(0, int))


def raise_unless_done(solution: Solution) -> None:
    """Raise `SimulationError` with one sentence if a sparse run went wrong; inside jit (values unknown) do nothing."""
    raise_unless_ok(solution.status)


def memory_needed(network: SparseNetwork, max_spikes: int) -> int:
    """Bytes that a run takes beside the network: rows, bounds, heap and states of neurons, and the list of spikes."""
    row = 4 if abilities(network.neuron).rows else 5 + len(jax.tree.leaves(network.neuron))
    return network.size * (8 * (2 * row + 1) + 3 * 12 + 4) + 24 * max_spikes


def require_feasible(network: SparseNetwork, states: Any, max_spikes: int) -> None:
    """Raise `ValueError` for states and budgets that cannot be meant, `MemoryError` for a run that would not fit."""
    if max_spikes < 1:
        raise ValueError(f"max_spikes must be at least 1, not {max_spikes}.")
    require_states(network.neuron, states, network.size)
    if states.dtype != np.float64:
        raise ValueError(f"sparse networks need states in float64, not {states.dtype}: switch JAX's x64 mode on.")
    require_memory(memory_needed(network, max_spikes), f"A run of {network.size} neurons and {max_spikes} spikes")


class Work(NamedTuple):
    """What the search for the next spike did: `windows`, neurons that `entered` them, `looks` at their true times.

    `inputs` is the number of input spikes that were delivered, `preceding` `[spikes]` that before each spike.
    """

    windows: Int[Array, ""]
    entered: Int[Array, ""]
    looks: Int[Array, ""]
    inputs: Int[Array, ""]
    preceding: Int[Array, " spikes"]


@eqx.filter_jit
def run_sparse(
    network: SparseNetwork, states: Float[Array, "neurons variables"], inputs: Spikes, duration: Scalar, max_spikes: int
) -> tuple[Solution, Work]:
    """The bare run, and the work that it took; see `simulate_sparse`, which also looks at the status."""
    operands, unpack = kernel_operands(network, states, inputs, duration)
    results = kernel.RUN(*operands, unpack=unpack, spikes=max_spikes)
    times, sources, ordinals, counts, final, flags, ends, work, preceding = results
    channels = 0 if network.input_weights is None else network.input_weights.channels
    given = input_flags(inputs, channels, jnp.where(jnp.isposinf(duration), 0.0, duration))
    flags = flags[0].astype(int) | given | _network_flags(network)
    spikes = Spikes(times, sources.astype(int))
    status = Status(flags, ends[0], max_spikes, "max_spikes")
    return Solution(spikes, ordinals.astype(int), counts.astype(int), final, status), Work(*(*work, preceding))


def kernel_operands(
    network: SparseNetwork, states: Float[Array, "neurons variables"], inputs: Spikes, duration: Scalar
) -> tuple[tuple[Any, ...], Callable]:
    """What the kernel takes, in its order, and the function that unpacks its constants."""
    rows, dtype = lines_of(network.neuron, "rows", states.dtype), states.dtype
    inlets = network.input_weights
    if inlets is None:
        inlets = SparseWeights(jnp.zeros(1, WHOLE), jnp.zeros(0, WHOLE), jnp.zeros(0, dtype), network.size)
    parts = [part for one in (network.weights, inlets) for part in (one.starts, one.targets, one.values)]
    neuron: Any = network.neuron
    if isinstance(neuron, Carried):  # nothing is seen from the reference time, which stays
        moves, constants = jnp.asarray(jnp.inf, dtype), rows.derive(neuron, dtype, duration)
    else:
        moves = RANGE * jnp.min(jnp.asarray(neuron.membrane_time_constant, dtype))
        constants = rows.derive(neuron, dtype)
    limits = jnp.stack([jnp.asarray(duration, dtype), moves])
    times, channels = inputs.times.astype(dtype), inputs.sources.astype(WHOLE)
    return (constants, *parts, states, times, channels, limits), rows.unpack


def _network_flags(network: SparseNetwork) -> Array:
    """Flags of parameters and weights that cannot be meant, also known inside jit."""
    sane = jnp.all(jnp.isfinite(network.weights.values))
    if network.input_weights is not None:
        sane &= jnp.all(jnp.isfinite(network.input_weights.values))
    return parameter_flags(network.neuron) | jnp.where(sane, 0, int(Flag.WEIGHTS))
