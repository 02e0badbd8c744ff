"""Complexity of both classifiers: the same network with the same spikes costs the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from studies.network_complexity import event_complexity, grid_complexity
from studies.spoken_digits import (
    Inputs,
    Neurons,
    event_classification,
    grid_classification,
    grid_classifier,
)

NEURONS, INPUTS = Neurons(0.02, 0.1, 0.004), Inputs(3, 2, 100.0)
SPIKES = ss.Spikes(
    jnp.array([[0.01, 0.03, 0.05], [0.02, jnp.inf, jnp.inf]]), jnp.array([[0, 2, 2], [1, 0, 0]], jnp.int32)
)


def test_silent_networks_cost_their_input():
    """Weights of 0 but one: three effective operations per spike of channel 2 at most, none elsewhere."""
    weights = jnp.zeros((4, 3)).at[:3, 2].set(1e-3)
    network = NEURONS.network([(weights, None)], jnp.ones((2, 4)))
    found = event_complexity(event_classification(NEURONS, 0.1, 5), network, SPIKES, steps=25)
    assert found.effective_acs == 2 * 3 / 2  # two spikes of channel 2 in the first of two trials
    assert found.dense == 25 * (12 + 8)
    assert found.activation_sparsity == 1
    assert found.hidden_spikes == 0
    assert found.connection_sparsity == pytest.approx(9 / 20)
    assert found.footprint == 8 * 20


def test_a_grid_network_counts_all_its_projections():
    loss = grid_classification(NEURONS, 0.1)
    network = grid_classifier(jax.random.key(0), NEURONS, INPUTS, [4], distance=0.05, recurrence=0.2)
    found = grid_complexity(loss, network, SPIKES)
    hidden = np.asarray(loss.run(network, SPIKES).layers[0].signals)
    assert found.hidden_spikes == hidden.sum() / 2 > 0
    before = hidden[:, :-1].sum() / 2
    assert found.effective_acs == pytest.approx(4 * 4 / 2 + 4 * before + 2 * found.hidden_spikes)
    assert found.effective_macs == 0
    assert found.dense == 25 * (12 + 16 + 8)
    assert found.activation_sparsity == pytest.approx(1 - hidden.mean())


def test_recurrent_event_networks_are_refused():
    looped = NEURONS.network([(jnp.zeros((4, 3)), jnp.zeros((4, 4)))], jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="feed-forward networks only"):
        event_complexity(event_classification(NEURONS, 0.1, 5), looped, SPIKES, steps=25)
