"""Gradients of sparse networks: the chain of sparse single-event Jacobians, reversed in native code."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox.internal import nondifferentiable
from jaxtyping import Array, Float, PyTree

from stablespike.dynamics.abilities import abilities, lines_of
from stablespike.dynamics.engines.events import Solution
from stablespike.dynamics.engines.sparse import (
    WHOLE,
    SparseNetwork,
    as_in_kernels,
    kernel_operands,
    no_inputs,
    raise_unless_done,
    require_feasible,
    require_one_trial,
    run_sparse,
)
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import of_its_own
from stablespike.dynamics.neurons.neuron import one_neuron
from stablespike.dynamics.spikes import Spikes
from stablespike.native.sparse import adjoint as sparse_adjoint
from stablespike.native.sparse import leaky_adjoint as sparse_leaky_adjoint

CONSTANT = (
    "Gradients of sparse networks are those of weights, states and input times: keep neuron parameters and the "
    "duration out of what is differentiated."
)


def differentiable_sparse(
    network: SparseNetwork,
    states: Float[Array, "neurons variables"],
    inputs: Spikes | None = None,
    duration: Any = jnp.inf,
    *,
    max_spikes: int,
) -> Solution:
    """A sparse network, as `simulate_sparse`, with a reverse mode.

    Derivatives with respect to the values of both weights (a shared one gets the sum), `states` and input times flow
    into spike times and final state; those of the duration raise, and those of parameters of neurons whose kernels are
    by hand (`SparseNetwork`). The backward pass repeats the
    run along the list of its spikes and keeps the state that each pulse meets, for leaky neurons (`OscillatoryLIF`,
    `LIF`), on which a pulse acts by adding, only that of each spiking neuron: `adjoint_memory` bytes.
    """
    require_feasible(network, states, max_spikes)
    inputs = no_inputs(states.dtype) if inputs is None else inputs
    needed = adjoint_memory(network, max_spikes, inputs.times.shape[-1])
    require_memory(needed, f"The gradient of a run of {max_spikes} spikes and {inputs.times.shape[-1]} inputs")
    require_one_trial(inputs)
    own, variables = network.neuron, states.shape[1]
    network, states = as_in_kernels(network, states)
    neuron, duration = nondifferentiable((network.neuron, duration), msg=CONSTANT)
    network = eqx.tree_at(lambda one: one.neuron, network, neuron)
    inlets = None if network.input_weights is None else network.input_weights.values
    varied = (network.weights.values, inlets, states, inputs.times)
    fixed = _put(network, jax.lax.stop_gradient(varied))
    times, final, solution, _ = _run(varied, fixed, inputs.sources, duration, max_spikes)
    spikes = Spikes(times, solution.spikes.sources)
    whole = of_its_own(eqx.tree_at(lambda one: (one.spikes, one.state), solution, (spikes, final)), own, variables)
    raise_unless_done(whole)
    return whole


def adjoint_memory(network: SparseNetwork, spikes: int, inputs: int = 0) -> int:
    """Bytes that the backward pass keeps: a state for each spike, and one for each pulse if neurons are not leaky.

    A spike, of the network or of the `inputs`, counts with the mean number of targets.
    """
    neuron: Any = network.neuron
    variables = jax.eval_shape(lambda: one_neuron(neuron, 0).initial_state()).shape[0]
    if abilities(neuron).rows is None:  # its parameters go with the state
        variables += len(jax.tree.leaves(neuron))
    kinds = ((network.weights, spikes), (network.input_weights, inputs))
    pulses = sum(count * one.connections / max(one.channels, 1) for one, count in kinds if one is not None)
    states = spikes + (0 if abilities(network.neuron).adds else pulses) + 2 * network.size
    return int(8 * (variables * states + spikes + inputs)) + 16 * network.weights.values.size


def _put(network: SparseNetwork, varied: Any) -> SparseNetwork:
    """The network with the values that are differentiated."""
    values, inlets, _, _ = varied
    network = eqx.tree_at(lambda one: one.weights.values, network, values)
    if inlets is None:
        return network
    return eqx.tree_at(lambda one: one.input_weights.values, network, inlets)


@eqx.filter_custom_vjp
def _run(
    varied: Any, network: SparseNetwork, channels: Array, duration: Any, max_spikes: int
) -> tuple[Array, Array, Solution, Any]:
    solution, work = run_sparse(_put(network, varied), varied[2], Spikes(varied[3], channels), duration, max_spikes)
    rest = jax.tree.map(jax.lax.stop_gradient, solution)
    return solution.spikes.times, solution.state, rest, work


@_run.def_fwd
def _forwards(
    perturbed: PyTree, varied: Any, network: SparseNetwork, channels: Array, duration: Any, max_spikes: int
) -> tuple[Any, Any]:
    del perturbed
    result = _run(varied, network, channels, duration, max_spikes)
    return result, result[2:]


@_run.def_bwd
def _backwards(
    run: Any,
    bars: Any,
    perturbed: PyTree,
    varied: Any,
    network: SparseNetwork,
    channels: Array,
    duration: Any,
    max_spikes: int,
) -> tuple[Any, Any, Any, Any]:
    del perturbed, max_spikes
    inputs, (solution, _) = Spikes(varied[3], channels), run
    spike_bars, final_bars = (
        jnp.zeros_like(one) if bar is None else bar
        for bar, one in zip(bars[:2], (solution.spikes.times, solution.state), strict=True)
    )
    values, inlets, states, times = _pull(
        _put(network, varied), varied[2], inputs, duration, run, spike_bars, final_bars
    )
    return values, None if varied[1] is None else inlets, states, times


@eqx.filter_jit
def _pull(
    network: SparseNetwork, states: Array, inputs: Spikes, duration: Any, run: Any, spike_bars: Array, final_bars: Array
) -> tuple[Any, Any, Any, Any]:
    (constants, *operands), unpack = kernel_operands(network, states, inputs, duration)
    kernel = sparse_leaky_adjoint.PULL
    if not abilities(network.neuron).adds:
        lines, kernel = lines_of(network.neuron, kind=states.dtype), sparse_adjoint.PULL
        constants, unpack = line_constants(network, lines, states.dtype), lines.unpack
    (solution, work), status = run, run[0].status
    spikes = (solution.spikes.times, solution.spikes.sources.astype(WHOLE), work.preceding, work.inputs[None])
    more = (*spikes, status.time[None], status.flags.astype(WHOLE)[None], spike_bars, final_bars)
    weight_bars, in_weight_bars, state_bars, time_bars = kernel(constants, *operands, *more, unpack=unpack)
    return weight_bars, in_weight_bars, state_bars, time_bars


def line_constants(network: SparseNetwork, lines: Any, dtype: Any) -> Float[Array, "rows constants"]:
    """Constants of the neuron's lines `[neurons or 1, constants]`."""
    leaves, structure = jax.tree.flatten(network.neuron)
    if not leaves:
        return lines.derive(network.neuron, dtype)[None]
    size = network.size if any(jnp.ndim(leaf) for leaf in leaves) else 1
    spread = [jnp.broadcast_to(jnp.asarray(leaf, dtype), (size,)) for leaf in leaves]
    return jax.vmap(lambda *one: lines.derive(jax.tree.unflatten(structure, one), dtype).reshape(-1))(*spread)
