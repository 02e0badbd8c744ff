"""Layers and networks as the kernels for GPUs take them, and these kernels run by a processor, thread after thread."""

import jax
import jax.numpy as jnp
import numpy as np

import stablespike as ss
from stablespike.dynamics.abilities import in_kernels, lines_of
from stablespike.dynamics.neurons.carried import with_parameters
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.native.cuda import layer, network, network_adjoint
from stablespike.native.cuda.targets import layer_on_processor, network_on_processor, scratch_of

NEURONS = {"LIF": (ss.LIF(1.3, 1.2), 1.0), "QIF": (ss.QIF(1.3), 2.0), "Theta": (ss.Theta(1.3, 1.1), 0.5)}
DERIVED = {"GeneralLIF": (ss.GeneralLIF(1.0, 0.3), 2.0), "AdaptiveLIF": (ss.AdaptiveLIF(), 2.0)}
CAPACITY, DURATION, CHANNELS, TRIALS = 30, 6.0, 4, 3
GROUPS = np.array([[0, 2], [1, -1]], np.int32)  # the first trial and the third share a sum


def states_of(neuron, size, rng):
    """States of a population below threshold, two of them equal."""
    voltages = rng.uniform(-0.3, 0.6, size)
    voltages[1] = voltages[0]
    return initial_states(neuron, jnp.asarray(voltages))


def trains_of(rng, inputs):
    """Input spikes of several trials, with ties, one at time 0, some after the end and places without any."""
    times = np.sort(rng.uniform(0, 1.1 * DURATION, (TRIALS, inputs)), 1)
    times[:, 3:6], times[:, 0], times[:, -3:] = times[:, 5:6], 0, np.inf
    return jnp.asarray(times), rng.integers(0, CHANNELS, (TRIALS, inputs))


def layer_problem(neuron, mean, seed=0, size=9, inputs=20):
    """Weights `[neurons, channels]`, states, times and channels of a layer."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(mean, 2, (size, CHANNELS))
    return jnp.asarray(weights), states_of(neuron, size, rng), *trains_of(rng, inputs)


def network_problem(neuron, mean, seed=0, size=11, inputs=20):
    """Weights among neurons and from channels, states, times and channels; two neurons do everything alike."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(size, size)) * mean / size**0.5
    weights[1], weights[:, 1], weights[2, 3] = weights[0], weights[:, 0], 0
    weights[:2, :2] = 0.3
    input_weights = rng.normal(mean, mean, (size, CHANNELS))
    input_weights[1] = input_weights[0]
    return jnp.asarray(weights), jnp.asarray(input_weights), states_of(neuron, size, rng), *trains_of(rng, inputs)


def lines_for(neuron, states, dtype):
    """Lines and constants `[1, constants]` of a neuron, and the states that its kernels take."""
    inside, carries = in_kernels(neuron, jax.ShapeDtypeStruct(states.shape, dtype))
    states = with_parameters(neuron, states) if carries else states
    lines = lines_of(inside, kind=dtype)
    return lines, np.asarray(lines.derive(inside, jnp.dtype(dtype)))[None], np.asarray(states, dtype)


def operands_of(neuron, weights, states, times, sources, dtype):
    """Operands of a layer or network: the trials share all but inputs."""
    lines, constants, states = lines_for(neuron, states, np.dtype(dtype))
    rows = [np.ascontiguousarray(np.asarray(one).T, dtype)[None] for one in (*weights, states)]
    times, trials = np.asarray(times, dtype), times.shape[0]
    table = np.zeros((trials, 4 + len(rows)), np.int32)
    table[:, -3] = table[:, -2] = np.arange(trials)
    shared = np.full(1, DURATION, dtype)
    return lines, [constants, *rows, times, np.asarray(sources, np.int32), shared, table]


def made(arrays, operands, **sizes):
    """Results by name, full of what no kernel may leave."""
    shapes = arrays.made(operands, **sizes)
    return {name: np.full(one.shape, -77, one.dtype) for name, one in shapes.items()}


def by_processor(kind, lines, arrays, count, threads):
    """Run a kernel: `count` threads of a layer, or `count` blocks of so many `threads` of a network."""
    backwards = kind.endswith("adjoint")
    if kind.startswith("layer"):
        layer_on_processor(lines.unpack, backwards)(count, arrays)
    else:
        memory = block_memory(arrays, backwards, threads)
        network_on_processor(lines.unpack, backwards, threads)(count, arrays, *memory)


def run_layer(lines, operands, capacity=CAPACITY, run=by_processor):
    """Results of the layer's forward kernel by name."""
    found = made(layer.FORWARD, operands, capacity=capacity)
    lanes = found["counts"].size + 5  # threads that have nothing to do
    run("layer", lines, (*operands, *found.values()), lanes, 1)
    return found


def pull_layer(lines, operands, spike_bars, final_bars, wanted=True, groups=GROUPS, run=by_processor):
    """Results of the layer's adjoint kernel by name."""
    inputs, capacity, neurons = operands[3].shape[1], spike_bars.shape[2], operands[1].shape[2]
    operands = [*operands, spike_bars, final_bars, groups]
    sizes = {"places": layer.block_size(layer.most_steps(inputs, capacity)) + 1, "lanes": len(groups) * neurons}
    sizes |= {"levels": 2, "moment": 2, "progress": 3, "wanted": inputs if wanted else 0}
    found = made(layer.ADJOINT, operands, **sizes)
    run("layer-adjoint", lines, (*operands, *found.values()), sizes["lanes"] + 5, 1)
    return found


def block_memory(operands, backwards, threads):
    """Shared memory of a block: what the neurons have, and the places at which threads meet."""
    dtype, (_, variables, neurons) = operands[0].dtype, operands[3].shape
    numbers, wholes = scratch_of(variables, neurons, backwards, threads)
    numbers = [np.full(one, np.nan, dtype) for one in numbers]
    wholes = [np.full(one, 7, np.int32) for one in wholes]
    return (*numbers[:-2], *wholes[:-2]), (numbers[-2], wholes[-2], numbers[-1], wholes[-1])


def run_network(lines, operands, events, threads=32, run=by_processor):
    """Results of the network's forward kernel by name."""
    found = made(network.FORWARD, operands, events=events)
    run("network", lines, (*operands, *found.values()), len(operands[-1]), threads)
    return found


def pull_network(
    lines, operands, found, spike_bars, final_bars, wanted=True, threads=32, groups=GROUPS, run=by_processor
):
    """Results of the network's adjoint kernel by name."""
    events, inputs = spike_bars.shape[1], operands[4].shape[1]
    kept = [found[name] for name in ("spikes", "spike_sources", "final", "flags")]
    operands = [*operands, *kept, spike_bars, final_bars, groups]
    size, blocks = network_adjoint.block_sizes(events, inputs)
    sizes = {"blocks": blocks, "size": size, "wanted": inputs if wanted else 0}
    results = made(network_adjoint.ADJOINT, operands, **sizes)
    run("network-adjoint", lines, (*operands, *results.values()), len(groups), threads)
    return results


def close(one, other, tolerance):
    """Equal where infinite, elsewhere within `tolerance` of the largest number (or of one)."""
    one, other = np.asarray(one), np.asarray(other)
    finite = np.isfinite(one)
    np.testing.assert_array_equal(finite, np.isfinite(other))
    size = np.abs(one[finite]).max(initial=1)
    np.testing.assert_allclose(one[finite], other[finite], rtol=0, atol=tolerance * size)
