"""Exponents of sparse networks against the tangents of the dense event step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neuron import initial_states
from stablespike.dynamics.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.qif import QIF
from stablespike.dynamics.sparse import SparseNetwork
from stablespike.dynamics.sparse_weights import from_matrix
from stablespike.dynamics.spikes import SimulationError
from stablespike.dynamics.theta import Theta
from stablespike.stability.event_tangent import AsItIs, NextSpike, Phase, spike_to_spike_spectrum
from stablespike.stability.sparse_spectrum import sparse_network_spectrum

SIZE = 8


def networks(kind, *, several):
    """The same network dense and sparse, its states and a chart."""
    rng = np.random.default_rng(2)
    spread = jnp.asarray(rng.uniform(0.9, 1.1, SIZE)) if several else 1.0
    neuron = Theta(1.0 * spread, 0.8) if kind == "theta" else OscillatoryLIF(1.0 * spread, 1.3, 1.0)
    matrix = np.where(rng.random((SIZE, SIZE)) < 0.5, -rng.uniform(0.1, 0.5, (SIZE, SIZE)), 0)
    np.fill_diagonal(matrix, 0)
    dense = Recurrent(neuron, jnp.asarray(matrix), jnp.zeros((SIZE, 1)))
    sparse = SparseNetwork(neuron, from_matrix(scipy.sparse.csr_array(matrix)))
    chart = Phase() if kind == "theta" else AsItIs()
    return dense, sparse, initial_states(neuron, jnp.asarray(rng.uniform(0, 0.9, SIZE))), chart


@pytest.mark.parametrize("several", [False, True], ids=["homogeneous", "heterogeneous"])
@pytest.mark.parametrize("kind", ["theta", "oscillatory LIF"])
def test_the_whole_spectrum_equals_that_of_the_dense_step(kind, several):
    """The sum does not depend on the first vectors, nor, after the transient, does each exponent but by its error."""
    dense, sparse, states, chart = networks(kind, several=several)
    options = {"spikes": 4000, "transient": 800, "count": SIZE, "interval": 4, "key": jax.random.key(0)}
    one = spike_to_spike_spectrum(NextSpike(dense, chart), states, **options)
    other = sparse_network_spectrum(sparse, states, **options)
    np.testing.assert_allclose(one.duration, other.duration, rtol=1e-9)
    np.testing.assert_allclose(one.exponents.sum(), other.exponents.sum(), rtol=1e-3, atol=1e-3)
    assert np.abs(other.exponents).min() < 0.01  # shifts along the trajectory neither grow nor shrink
    tolerance = 5 * np.hypot(one.standard_errors, other.standard_errors) + 0.01
    assert np.all(np.abs(one.exponents - other.exponents) < tolerance)


def test_refusals():
    _, sparse, states, _ = networks("theta", several=False)
    options = {"transient": 0, "key": jax.random.key(0), "blocks": 2}
    for settings, sentence in (
        ({"count": 17, "spikes": 80, "interval": 8}, "between 1 and 16"),
        ({"count": 2, "spikes": 81, "interval": 8}, "whole intervals"),
        ({"count": 9, "spikes": 80, "interval": 8}, "Only the first 8 of 9"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=sentence):
            sparse_network_spectrum(sparse, states, **options | settings)
    silent = SparseNetwork(QIF(1.0), sparse.weights)
    with pytest.raises(SimulationError, match="falls silent"):
        sparse_network_spectrum(
            silent, initial_states(QIF(1.0), jnp.zeros(SIZE)), count=2, spikes=80, interval=8, **options
        )
