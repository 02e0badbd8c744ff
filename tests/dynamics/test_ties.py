"""Neurons that are equal spike at the same time, and every engine lists them by index."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.engines.sparse import SparseNetwork, simulate_sparse
from stablespike.dynamics.engines.windows import simulate_relaxed
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sparse_weights import from_matrix
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed

SIZE, DURATION, EVENTS, CAPACITY = 7, 6.0, 300, 40
TIMES = (0.3, 0.9, 1.7, 2.9, 3.3, 3.35, 4.4)
CASES = {  # neuron, recurrent and input weight of all
    "LIF": (LIF(1.0, 1.0), 0.1, 6.1),
    "QIF": (QIF(1.0), 1.1, 6.1),
    "theta": (Theta(1.0, 1.25), 0.3, 6.1),
    "oscillatory LIF": (OscillatoryLIF(1.0, 1.7, 1.0), -0.13, 0.1),
}


def problem(name):
    """A network of equal neurons, everyone coupled to everyone else, its states and its inputs."""
    neuron, weight, input_weight = CASES[name]
    weights = np.full((SIZE, SIZE), weight)
    np.fill_diagonal(weights, 0)
    network = Recurrent(neuron, jnp.asarray(weights), jnp.full((SIZE, 1), input_weight))
    inputs = Spikes(jnp.asarray(TIMES), jnp.zeros(len(TIMES), int))
    return network, initial_states(neuron, jnp.full(SIZE, 0.1)), inputs


def sparse(network):
    """The same network for the sparse engine."""
    parts = (from_matrix(scipy.sparse.csr_array(np.asarray(one))) for one in (network.weights, network.input_weights))
    return SparseNetwork(network.neuron, *parts)


def trains(name):
    """Times and sources of spikes by each engine that knows the neuron."""
    network, states, inputs = problem(name)
    found = [simulate(network, states, inputs, DURATION, max_events=EVENTS)]
    found.append(simulate_sparse(sparse(network), states, inputs, DURATION, max_spikes=EVENTS))
    if name != "oscillatory LIF":
        found.append(simulate_relaxed(network, states, inputs, DURATION, max_events=EVENTS)[0])
        for at_once in (False, True):
            engine = time_reversed(simulate, at_once=at_once)
            found.append(engine(network, states, inputs, DURATION, max_events=EVENTS))
    return [(np.asarray(one.spikes.times), np.asarray(one.spikes.sources), int(one.spikes.count)) for one in found]


@pytest.mark.parametrize("name", CASES)
def test_simultaneous_spikes_are_listed_by_index(name):
    engines = trains(name)
    times, sources, count = engines[0]
    assert count >= 2 * SIZE
    assert np.sum(np.diff(times[:count]) == 0) >= SIZE - 1
    for other_times, other_sources, other_count in engines[1:]:
        assert other_count == count
        np.testing.assert_allclose(other_times[:count], times[:count], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(other_sources[:count], sources[:count])


def test_a_layer_lists_them_by_index():
    network, states, inputs = problem("LIF")
    layer = simulate_layer(network.neuron, network.input_weights, states, inputs, DURATION, CAPACITY)
    owners = jnp.repeat(jnp.arange(SIZE), layer.times.shape[1])
    spikes = in_order(layer.times.ravel(), owners)
    count = int(spikes.count)
    assert count >= SIZE
    np.testing.assert_array_equal(spikes.sources[:count], np.tile(np.arange(SIZE), count // SIZE))


@pytest.mark.parametrize("name", ["LIF", "QIF", "theta"])
def test_inputs_at_one_time_are_one_pulse_of_their_sum(name):
    network, states, inputs = problem(name)
    parts = jnp.array([0.5, -0.2, 0.4, 0.3])
    split = Recurrent(network.neuron, network.weights, network.input_weights * parts)
    volleys = Spikes(jnp.repeat(inputs.times, len(parts)), jnp.tile(jnp.arange(len(parts)), len(TIMES)))
    for engine in (simulate, lambda *given, **budget: simulate_relaxed(*given, **budget)[0]):
        whole = engine(network, states, inputs, DURATION, max_events=EVENTS)
        found = engine(split, states, volleys, DURATION, max_events=EVENTS)
        count = int(whole.spikes.count)
        assert int(found.spikes.count) == count >= 2 * SIZE
        np.testing.assert_allclose(found.spikes.times[:count], whole.spikes.times[:count], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(found.spikes.sources[:count], whole.spikes.sources[:count])


@pytest.mark.parametrize("name", ["LIF", "QIF", "theta"])
def test_a_budget_that_ends_within_a_volley_is_exhausted(name):
    network, states, _ = problem(name)
    volley = Spikes(jnp.full(5, 0.1), jnp.zeros(5, int))
    with pytest.raises(SimulationError, match="budget"):
        simulate_relaxed(network, states, volley, 0.11, max_events=3)
    assert int(simulate_relaxed(network, states, volley, 0.11, max_events=EVENTS)[0].status.flags) == 0
