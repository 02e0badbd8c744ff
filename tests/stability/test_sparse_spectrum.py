"""Exponents of sparse networks against the tangents of the dense event step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from stablespike.dynamics.engines.sparse import SparseNetwork, simulate_sparse
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.charts import Phase
from stablespike.dynamics.neurons.general_lif import GeneralLIF
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states, over_neurons
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sparse_weights import from_matrix
from stablespike.dynamics.status import SimulationError
from stablespike.stability.event_tangent import NextSpike, spike_to_spike_spectrum
from stablespike.stability.sparse_spectrum import push_sparse_tangents, sparse_network_spectrum

SIZE = 8
KINDS = {  # neuron from a spread of time constants, largest weight, sign of the weights, initial current
    "oscillatory LIF": (lambda spread: OscillatoryLIF(spread, 1.3, 1.0), 0.3, -1, 0.0),
    "LIF": (lambda spread: LIF(spread, 1.0), 2.0, 1, 9.0),
    "theta": (lambda spread: Theta(spread, 0.8), 0.5, -1, 0.0),
    "QIF": (lambda spread: QIF(spread), 4.0, 1, 20.0),
    "GeneralLIF": (lambda spread: GeneralLIF(spread, 0.4), 2.0, 1, 8.0),
}


def networks(kind, *, several):
    """The same network dense and sparse, and its states."""
    make, weight, sign, current = KINDS[kind]
    rng = np.random.default_rng(2)
    neuron = make(jnp.asarray(rng.uniform(0.9, 1.1, SIZE)) if several else 1.0)
    matrix = np.where(rng.random((SIZE, SIZE)) < 0.5, sign * weight * rng.uniform(0.3, 1, (SIZE, SIZE)), 0)
    np.fill_diagonal(matrix, 0)
    dense = Recurrent(neuron, jnp.asarray(matrix), jnp.zeros((SIZE, 1)))
    sparse = SparseNetwork(neuron, from_matrix(scipy.sparse.csr_array(matrix)))
    voltages, currents = rng.uniform(0, 0.9, SIZE), current * rng.uniform(0.5, 1, SIZE)
    return dense, sparse, initial_states(neuron, jnp.asarray(voltages), jnp.asarray(currents))


@pytest.mark.parametrize("several", [False, True], ids=["homogeneous", "heterogeneous"])
@pytest.mark.parametrize("kind", KINDS)
def test_tangents_equal_differences_of_neighbouring_runs(kind, several):
    """Differences of states at one and the same time, a little after the last spike, taken back to it."""
    _, sparse, states = networks(kind, several=several)
    neuron, spikes, later, step = sparse.neuron, 12, 1e-3, 1e-6
    run = simulate_sparse(sparse, states, max_spikes=spikes)
    direction = np.random.default_rng(3).normal(size=states.shape)

    def at_the_end(states):
        end = run.spikes.times[-1] + later
        ended = simulate_sparse(sparse, states, None, end, max_spikes=spikes)
        back = over_neurons(neuron, "flow")(ended.state, -later)
        assert int(ended.spikes.count) == spikes
        return np.asarray(back)

    difference = (at_the_end(states + step * direction) - at_the_end(states - step * direction)) / (2 * step)
    tangents, flags = push_sparse_tangents(sparse, states, run.spikes, jnp.asarray(direction)[:, None])
    assert not np.any(flags)
    np.testing.assert_allclose(difference, tangents[:, 0], rtol=0, atol=1e-6 * np.abs(difference).max())


def test_the_sum_of_all_exponents_equals_that_of_the_dense_step():
    """Of a run too short for chaos to part the two; after a first interval the sum does not depend on the vectors."""
    dense, sparse, states = networks("theta", several=False)
    options = {"spikes": 440, "transient": 40, "count": SIZE, "interval": 4, "key": jax.random.key(0)}
    one = spike_to_spike_spectrum(NextSpike(dense, Phase()), states, **options)
    other = sparse_network_spectrum(sparse, states, **options)
    np.testing.assert_allclose(one.duration, other.duration, rtol=1e-9)
    np.testing.assert_allclose(one.exponents.sum(), other.exponents.sum(), rtol=1e-6, atol=1e-6)
    assert np.all(np.abs(one.exponents - other.exponents) < 0.05)


def test_refusals():
    _, sparse, states = networks("theta", several=False)
    options = {"transient": 0, "key": jax.random.key(0), "blocks": 2}
    for settings, sentence in (
        ({"count": 17, "spikes": 80, "interval": 8}, "between 1 and 16"),
        ({"count": 2, "spikes": 81, "interval": 8}, "multiples of the interval"),
        ({"count": 9, "spikes": 80, "interval": 8}, "Only the first 8 of 9"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=sentence):
            sparse_network_spectrum(sparse, states, **options | settings)
    silent = SparseNetwork(QIF(1.0), sparse.weights)
    with pytest.raises(SimulationError, match="stopped spiking"):
        sparse_network_spectrum(
            silent, initial_states(QIF(1.0), jnp.zeros(SIZE)), count=2, spikes=80, interval=8, **options
        )
