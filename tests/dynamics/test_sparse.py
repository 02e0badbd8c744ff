"""Sparse networks against dense ones, neuron by neuron, and what they refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.sparse import SparseNetwork, memory_needed, no_inputs, simulate_sparse
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.general_lif import GeneralLIF
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Parameter, initial_states
from stablespike.dynamics.neurons.numerical_models import Izhikevich
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sparse_weights import SparseWeights, fixed_in_degree, from_matrix, from_sources
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.sparse import differentiable_sparse
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.native.conventions import Flag
from stablespike.stability.sparse_spectrum import sparse_network_spectrum
from studies.benchmarks.balanced_networks import (
    TAU,
    all_neurons_loop,
    balanced_lif,
    balanced_qif,
    balanced_weights,
    spikes_per_second,
)

SIZE, CHANNELS, INPUTS, DURATION, BUDGET = 30, 5, 120, 12.0, 600


class Resonator(AbstractNeuron):
    """A neuron whose kernels are derived, and that inhibition can bring to its spike: x' = y/tau, y' = -x/tau.

    It spikes where x reaches the threshold; a pulse adds to y, and a reset puts x to 0.
    """

    tau: Parameter = 1.0
    threshold: Parameter = 1.0

    def requirements(self):
        return ((jnp.asarray(self.tau) > 0, "tau must be positive."),)

    def initial_state(self, voltage=0.0, current=0.0):
        return jnp.stack([jnp.asarray(voltage, float), jnp.asarray(current, float)])

    def voltage(self, state):
        return state[0]

    def flow(self, state, dt):
        c, s = jnp.cos(dt / self.tau), jnp.sin(dt / self.tau)
        return jnp.stack([c * state[0] + s * state[1], c * state[1] - s * state[0]])

    def time_to_spike(self, state):
        square = jnp.sum(state**2)
        comes = square > self.threshold**2
        angle = jnp.arcsin(self.threshold / jnp.sqrt(jnp.where(comes, square, 4 * self.threshold**2)))
        ahead = angle - jnp.arctan2(state[0], jnp.where(comes, state[1], 1.0))
        wait = self.tau * jnp.where(ahead < 0, ahead + 2 * jnp.pi, ahead)
        return jnp.where(state[0] >= self.threshold, 0.0, jnp.where(comes, wait, jnp.inf))

    def spike_time_derivative(self, state):
        return jnp.stack([-self.tau / state[1], jnp.zeros_like(state[1])])

    def jump(self, state, weight):
        return state.at[1].add(weight)

    def reset(self, state):
        return state.at[0].set(0.0)


MODELS = {  # neuron from parameters, size of recurrent and of input weights
    "oscillatory LIF": (lambda tau, other: OscillatoryLIF(tau, 1.2 * other, other), 0.15, 0.1),
    "LIF": (LIF, 0.7, 0.9),
    "theta": (lambda tau, other: Theta(tau, 0.6 * other), 0.8, 0.5),
    "QIF": (lambda tau, other: QIF(tau), 5.0, 5.0),
    "GeneralLIF": (lambda tau, other: GeneralLIF(tau, 0.3 * other, other), 0.9, 1.2),
    "resonator": (Resonator, 0.12, 0.12),
}


def problem(kind, *, several, seed=0):
    """Dense and sparse network with weights of both signs, a tie of inputs and twin neurons; states and inputs."""
    make, weight, input_weight = MODELS[kind]
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.8, 1.2, (2, SIZE)) if several else np.ones(2) * 1.1
    spread[..., 1] = spread[..., 0]
    neuron = make(*map(jnp.asarray, spread))
    weights = np.where(rng.random((SIZE, SIZE)) < 0.3, rng.normal(-0.5, 1, (SIZE, SIZE)) * weight, 0)
    input_weights = np.where(rng.random((SIZE, CHANNELS)) < 0.7, rng.normal(1, 0.5, (SIZE, CHANNELS)) * input_weight, 0)
    twins = kind != "oscillatory LIF" or not several  # what a lifted neuron does to two that are due is a convention
    if twins:
        weights[1], weights[:2, :2], input_weights[1] = weights[0], 0, input_weights[0]
    if kind == "oscillatory LIF" and not several:  # neurons that a pulse lifts to their spike would stay together
        weights, input_weights = -np.abs(weights) / 8, -np.abs(input_weights) / 8
    voltages = rng.uniform(-0.3, 0.8, SIZE)
    voltages[1] = voltages[0] if twins else voltages[1]
    times = np.sort(rng.uniform(0, DURATION, INPUTS))
    times[4], times[-3:] = times[5], np.inf
    inputs = Spikes(jnp.asarray(times), jnp.asarray(rng.integers(0, CHANNELS, INPUTS)))
    dense = Recurrent(neuron, jnp.asarray(weights), jnp.asarray(input_weights))
    sparse = SparseNetwork(neuron, *(from_matrix(scipy.sparse.csr_array(one)) for one in (weights, input_weights)))
    return dense, sparse, initial_states(neuron, jnp.asarray(voltages)), inputs


@pytest.mark.parametrize("several", [False, True], ids=["homogeneous", "heterogeneous"])
@pytest.mark.parametrize("kind", MODELS)
def test_equal_to_the_dense_simulation(kind, several):
    dense, sparse, states, inputs = problem(kind, several=several)
    one = simulate(dense, states, inputs, DURATION, max_events=BUDGET)
    other = simulate_sparse(sparse, states, inputs, DURATION, max_spikes=BUDGET)
    count = int(one.spikes.count)
    assert count > 40
    assert int(other.spikes.count) == count
    np.testing.assert_array_equal(one.spikes.sources[:count], other.spikes.sources[:count])
    np.testing.assert_allclose(one.spikes.times[:count], other.spikes.times[:count], rtol=0, atol=1e-11)
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_allclose(one.spike_times(3), other.spike_times(3), rtol=0, atol=1e-11)
    np.testing.assert_allclose(one.state, other.state, rtol=0, atol=1e-10)


@pytest.mark.parametrize("weight", [0.4, -0.6])
def test_a_weight_of_an_oscillatory_neuron_on_itself_comes_after_its_reset(weight):
    """From V = w on, so that spikes after the first are tau log((I0 - w)/(I0 - threshold)) apart."""
    tau, drive, threshold, duration = 0.7, 1.6, 1.1, 3.0
    neuron, connection = OscillatoryLIF(tau, drive, threshold), from_matrix(scipy.sparse.csr_array([[weight]]))
    states, nothing = initial_states(neuron, jnp.zeros(1)), no_inputs(float)

    def third(simulator, weight):
        return simulator(weight).spikes.times[2]

    def densely(weight):
        network = Recurrent(neuron, weight[None], jnp.zeros((1, 1)))
        return simulate(network, states, nothing, duration, max_events=8)

    def sparsely(weight):
        network = SparseNetwork(neuron, eqx.tree_at(lambda one: one.values, connection, weight))
        return differentiable_sparse(network, states, nothing, duration, max_spikes=8)

    expected = tau * np.log(drive / (drive - threshold)) + 2 * tau * np.log((drive - weight) / (drive - threshold))
    for simulator in (densely, sparsely):
        time, slope = jax.jit(jax.value_and_grad(eqx.Partial(third, simulator)))(jnp.asarray([weight]))
        np.testing.assert_allclose(time, expected, rtol=1e-14)
        np.testing.assert_allclose(slope, -2 * tau / (drive - weight), rtol=1e-13)


@pytest.mark.parametrize("weight", [1.1, 1.5])
def test_an_oscillatory_neuron_that_lifts_itself_to_its_threshold_exhausts_the_budget(weight):
    neuron, connection = OscillatoryLIF(0.7, 1.6, 1.1), from_matrix(scipy.sparse.csr_array([[weight]]))
    states, nothing = initial_states(neuron, jnp.zeros(1)), no_inputs(float)
    with pytest.raises(SimulationError, match=r"budget of 8 was exhausted at time 0\.814"):
        simulate(Recurrent(neuron, jnp.asarray([[weight]]), jnp.zeros((1, 1))), states, nothing, 3.0, max_events=8)
    with pytest.raises(SimulationError, match=r"budget of 8 was exhausted at time 0\.814"):
        simulate_sparse(SparseNetwork(neuron, connection), states, nothing, 3.0, max_spikes=8)


def test_order_of_spikes_of_a_stable_network():
    """20 000 spikes of an inhibitory LIF network, which forgets small perturbations, in the order of the dense one."""
    size, count = 400, 20_000
    rng = np.random.default_rng(3)
    neuron, weights = OscillatoryLIF(0.01, 1.1, 1.0), fixed_in_degree(rng, size, 50, -1 / np.sqrt(50))
    states = initial_states(neuron, jnp.asarray(rng.uniform(0, 1, size)))
    one = simulate_sparse(SparseNetwork(neuron, weights), states, max_spikes=count)
    end = float(one.spikes.times[-1])
    dense = Recurrent(neuron, jnp.asarray(weights.matrix().toarray()), jnp.zeros((size, 1)))
    other = simulate(dense, states, no_inputs(float), end * (1 + 1e-9), max_events=count + 1)
    np.testing.assert_array_equal(one.spikes.sources, other.spikes.sources[:count])
    np.testing.assert_allclose(one.spikes.times, other.spikes.times[:count], rtol=0, atol=1e-11 * end)


def test_order_of_spikes_of_a_chaotic_network_up_to_its_horizon():
    """QIF: rounding grows at the rate of the largest exponent until it exceeds the smallest gap between two spikes."""
    size, count, in_degree = 200, 4000, 50
    rng = np.random.default_rng(2)
    network, states = balanced_qif(balanced_weights(rng, size, in_degree), in_degree, rng)
    settings = {"spikes": 20 * count, "transient": 2 * count, "interval": size}
    spectrum = sparse_network_spectrum(network, states, **settings, count=1, key=jax.random.key(0))
    exponent, error = float(spectrum.exponents[0]), float(spectrum.standard_errors[0])
    one = simulate_sparse(network, states, max_spikes=count)
    times, sources = np.asarray(one.spikes.times), np.asarray(one.spikes.sources)
    weights = jnp.asarray(network.weights.matrix().toarray())
    dense = Recurrent(network.neuron, weights, jnp.zeros((size, 1)))
    end = float(times[-1]) * (1 + 1e-9)
    other = time_reversed(simulate, at_once=False)(dense, states, no_inputs(float), end, max_events=2 * count)
    rounding = 100 * np.finfo(float).eps * TAU * np.exp((exponent + 3 * error) * times[1:])
    horizon = int(np.argmax(rounding > np.minimum.accumulate(np.diff(times))))
    different = np.nonzero(sources != np.asarray(other.spikes.sources)[:count])[0]
    print(
        f"QIF, N = {size}: largest exponent {exponent:.1f} +- {error:.1f}/s; horizon {times[horizon]:.2f} s, {horizon} "
        f"spikes; first difference in order at spike {different[0] if different.size else 'none'} of {count}"
    )
    assert exponent > 5
    assert horizon > 300
    assert not np.any(different < horizon)
    off = np.abs(times - np.asarray(other.spikes.times)[:count])[1:horizon]
    assert np.all(off <= 10 * rounding[: horizon - 1])


def test_the_control_of_the_benchmark_does_the_same_work():
    rng = np.random.default_rng(4)
    network, states = balanced_lif(balanced_weights(rng, 300, 30), 30, rng)
    one = simulate_sparse(network, states, max_spikes=2000)
    neuron, weights = network.neuron, network.weights
    gate, drive = 1 - neuron.threshold / neuron.drive, neuron.drive
    waits = 0.01 * np.log((drive - np.asarray(states[:, 0])) / drive / gate)
    starts, targets = np.asarray(weights.starts), np.asarray(weights.targets)
    times, sources = all_neurons_loop(waits, starts, targets, float(weights.values[0] / drive), gate, 0.01, 2000)
    np.testing.assert_array_equal(one.spikes.sources, sources)
    np.testing.assert_allclose(one.spikes.times, times, rtol=0, atol=1e-11)
    (speed,), rate = spikes_per_second(network, states, 100, repeats=1)
    assert speed > 100
    assert 0 < rate < 50


def test_the_reference_time_moves_on_and_a_run_can_be_continued():
    neuron, rng = Theta(1.0, 0.6), np.random.default_rng(1)
    network = SparseNetwork(neuron, fixed_in_degree(rng, 12, 4, -0.3))
    states = initial_states(neuron, jnp.asarray(rng.uniform(-1, 1, 12)))
    whole = simulate_sparse(network, states, None, 100.0, max_spikes=BUDGET)
    first = simulate_sparse(network, states, None, 60.0, max_spikes=BUDGET)
    rest = simulate_sparse(network, first.state, None, 40.0, max_spikes=BUDGET)
    count, others = int(first.spikes.count), int(rest.spikes.count)
    assert int(whole.spikes.count) == count + others
    times = np.concatenate([first.spikes.times[:count], rest.spikes.times[:others] + 60.0])
    np.testing.assert_allclose(whole.spikes.times[: count + others], times, rtol=0, atol=1e-9)


def test_connections():
    rng = np.random.default_rng(2)
    for in_degree in (3, 19):
        weights = fixed_in_degree(rng, 20, in_degree, -0.5)
        matrix = weights.matrix().toarray()
        np.testing.assert_array_equal((matrix != 0).sum(1), in_degree)
        assert not np.diag(matrix).any()
        np.testing.assert_array_equal(matrix[matrix != 0], -0.5)
    dense = np.where(rng.random((7, 5)) < 0.4, rng.normal(size=(7, 5)), 0)
    np.testing.assert_array_equal(from_matrix(scipy.sparse.coo_array(dense)).matrix().toarray(), dense)
    sources, values = rng.permuted(np.tile(np.arange(6), (6, 1)), axis=1)[:, :3], rng.normal(size=(6, 3))
    np.put_along_axis(filled := np.zeros((6, 6)), sources, values, 1)
    np.testing.assert_array_equal(from_sources(sources, values).matrix().toarray(), filled)


def test_what_goes_wrong_is_said():
    matrix = scipy.sparse.csr_array(np.ones((4, 4)) - np.eye(4))
    matrix.indices[2] = 9
    for make, sentence in (
        (lambda: from_matrix(scipy.sparse.csr_array(np.eye(3)), in_degree=2), "neuron 0 has 1 presynaptic"),
        (lambda: from_sources(np.array([[0, 1], [2, 5]]), 1.0), "index 5, which must lie between 0 and 1"),
        (lambda: from_sources(np.array([[0, -1], [1, 0]]), 1.0), "index -1"),
        (lambda: from_matrix(scipy.sparse.csr_array(np.eye(2) * 1j)), "of real numbers"),
        (lambda: fixed_in_degree(np.random.default_rng(0), 5, 5, 1.0), "between 1 and the 4"),
        (lambda: SparseWeights(jnp.array([0, 1], "int32"), jnp.array([7], "int32"), jnp.ones(1), 3), "index 7"),
        (lambda: SparseNetwork(QIF(), fixed_in_degree(np.random.default_rng(0), 5, 2, jnp.inf)), "finite"),
        (lambda: SparseNetwork(QIF(jnp.ones(3)), from_matrix(np.eye(2))), "shape \\[2\\]"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make()
    network = SparseNetwork(QIF(), from_matrix(np.eye(3)[[1, 2, 0]]))
    states = initial_states(QIF(), jnp.zeros(3))
    with pytest.raises(SimulationError, match="stopped spiking"):
        simulate_sparse(network, states, max_spikes=4)
    lifted, start = (
        SparseNetwork(Izhikevich(), from_matrix(np.eye(2)[[1, 0]])),
        initial_states(Izhikevich(), jnp.zeros(2)),
    )
    with pytest.raises(ValueError, match="a pulse alone can make Izhikevich spike"):
        simulate_sparse(lifted, start, max_spikes=4)
    with pytest.raises(ValueError, match="float64"):
        simulate_sparse(network, states.astype(jnp.float32), max_spikes=4)
    with pytest.raises(MemoryError, match="would take"):
        simulate_sparse(network, states, max_spikes=10**12)
    assert memory_needed(network, 100) > 1600
    _, sparse, states, inputs = problem("QIF", several=False)
    with pytest.raises(SimulationError, match=r"budget of 9 was exhausted.*raise `max_spikes` or"):
        simulate_sparse(sparse, states, inputs, DURATION, max_spikes=9)
    bad = Spikes(inputs.times, inputs.sources.at[3].set(CHANNELS))
    with pytest.raises(SimulationError, match="names a channel"):
        simulate_sparse(sparse, states, bad, DURATION, max_spikes=BUDGET)
    flags = jax.jit(lambda: simulate_sparse(sparse, states.at[2].set(jnp.nan), inputs, DURATION, max_spikes=9))()
    assert int(flags.status.flags) & Flag.NOT_FINITE


@pytest.mark.parametrize(("index", "value"), [("int64", "float64"), ("int32", "float32")])
def test_arrays_that_the_kernel_would_misread_are_refused(index, value):
    parts = jnp.asarray([0, 1, 2], index), jnp.asarray([1, 0], "int32"), jnp.asarray([1, 1], value)
    with pytest.raises(ValueError, match="must be int32 and values float64"):
        SparseWeights(*parts, 2)


def test_batched_inputs_are_refused():
    network = SparseNetwork(Theta(), from_matrix(scipy.sparse.eye_array(4)))
    inputs = Spikes(jnp.zeros((2, 3)), jnp.zeros((2, 3), int))
    with pytest.raises(ValueError, match="must be a vector"):
        simulate_sparse(network, initial_states(Theta(), jnp.zeros(4)), inputs, 2.0, max_spikes=8)


def test_a_matrix_with_duplicates_is_summed_and_left_as_it_was():
    given = scipy.sparse.csc_array((np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    np.testing.assert_array_equal(from_matrix(given).matrix().toarray(), [[3, 0], [0, 3]])
    np.testing.assert_array_equal(given.data, [1, 2, 3])
