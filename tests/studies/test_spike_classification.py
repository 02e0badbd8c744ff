"""Classifiers of recorded spikes: their gradients, their twins, and that they learn something easy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stablespike.dynamics.grid.network import run_on_grid
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.learning.training import TrainingError
from studies.spoken_digits import (
    GridClassification,
    Inputs,
    Neurons,
    SumOfLooks,
    accuracy_on,
    event_classification,
    event_classifier,
    grid_classification,
    grid_classifier,
    sampled_voltages,
    spike_training,
    train_on_spikes,
)
from studies.surrogate_versus_exact import Train

NEURONS, INPUTS = Neurons(0.02, 0.1, 0.004, looks=2), Inputs(6, 2, 100.0)


@pytest.fixture(scope="module")
def trials():
    """Class 0 spikes in the first three channels, class 1 in the others; 24 trials of 0.2 s."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 2
    times = generator.uniform(0, 0.2, (24, 60))
    sources = generator.integers(0, 3, (24, 60)) + 3 * labels[:, None]
    spikes = jax.vmap(in_order)(jnp.asarray(times), jnp.asarray(sources, jnp.int32))
    return spikes, jnp.asarray(labels)


@pytest.fixture(scope="module")
def both():
    key = jax.random.key(0)
    return {
        "exact": (event_classification(NEURONS, 0.2, 100), event_classifier(key, NEURONS, INPUTS, 12, 1.0)),
        "surrogate": (grid_classification(NEURONS, 0.2), grid_classifier(key, NEURONS, INPUTS, 12, 0.5, 0.2)),
    }


@pytest.mark.parametrize("kind", ["exact", "surrogate"])
def test_what_is_easy_is_learned(kind, both, trials):
    loss, network = both[kind]
    training = spike_training(
        loss,
        optax.adam(0.02),
        lambda key, spikes: Spikes(spikes.times * jax.random.uniform(key, (), minval=0.9), spikes.sources),
    )
    trained, history = train_on_spikes(training, network, trials, trials, jax.random.key(1), epochs=8, batch_size=8)
    assert history[-1]["test_accuracy"] > 0.9
    assert history[-1]["loss"] < history[1]["loss"]
    assert accuracy_on(loss, trained, trials)["test_accuracy"] == pytest.approx(history[-1]["test_accuracy"])


def test_the_readout_looks_at_leaky_voltages():
    times = jnp.array([[0.01, 0.06, 0.1], [0.05, 0.0, 0.0]])
    train = Train(times, jnp.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), (), jnp.zeros((), int))
    at = jnp.array([0.05, 0.1, 0.15])
    found = sampled_voltages(train, 0.02, 0.15, 3)
    np.testing.assert_allclose(found.T, train.voltages(0.02, at), rtol=1e-12, atol=1e-15)


def test_a_score_is_the_sum_of_its_looks():
    outputs = jnp.arange(40.0).reshape(10, 4)  # [steps, looks classes]
    assert SumOfLooks(2)(outputs).tolist() == [16 + 38, 17 + 39]
    assert SumOfLooks(1)(outputs).tolist() == [36, 37, 38, 39]


def test_both_readouts_agree_on_a_fine_grid():
    """The same input weights without spikes of recurrence: scores converge as the step goes to 0."""
    fine, key = Neurons(0.02, 0.05, 2e-5, looks=2), jax.random.key(3)
    spikes = in_order(jnp.array([0.004, 0.011, 0.013, 0.02, 0.031]), jnp.array([0, 1, 2, 3, 1], jnp.int32))
    batch = jax.tree.map(lambda part: part[None], (spikes, jnp.array(1)))
    weights = event_classifier(key, fine, INPUTS, 5, 0.3)
    grid = grid_classifier(key, fine, INPUTS, 5, 0.3, 0.0)
    grid = eqx.tree_at(
        lambda one: (one.layers[0].inputs.weights, one.layers[1].inputs.weights),
        grid,
        (weights.inputs[0].astype(jnp.float32), weights.readout.astype(jnp.float32)),
    )
    _, (_, scores) = event_classification(fine, 0.04, 20)(weights, batch)
    _, (_, others) = grid_classification(fine, 0.04)(grid, batch)
    assert float(abs(scores).max()) > 0.01
    np.testing.assert_allclose(others, scores, rtol=0.02, atol=2e-3)


def test_the_exact_gradient_is_that_of_finite_differences(both, trials):
    loss, weights = both["exact"]
    few = jax.tree.map(lambda part: part[:2], trials)
    gradient = jax.grad(lambda one: loss(one, few)[0])(weights).inputs[0]
    step = jnp.zeros_like(gradient).at[3, 1].set(1e-6)
    up, down = (
        loss(eqx.tree_at(lambda one: one.inputs[0], weights, weights.inputs[0] + sign * step), few)[0]
        for sign in (1, -1)
    )
    assert gradient[3, 1] == pytest.approx(float(up - down) / 2e-6, rel=1e-4)


def test_the_native_route_has_the_values_of_the_plain_one(both, trials):
    loss, network = both["surrogate"]
    plain = GridClassification(loss.duration, loss.steps, loss.score, route=run_on_grid)
    assert loss(network, trials)[0] == pytest.approx(float(plain(network, trials)[0]), rel=1e-5)


def test_a_channel_counts_once_in_a_step(both):
    loss, _ = both["surrogate"]
    spikes = Spikes(jnp.array([[0.001, 0.002, 0.005, jnp.inf]]), jnp.array([[4, 4, 4, 0]], jnp.int32))
    signals = loss.signals(spikes, 6)
    assert signals.shape == (1, 50, 6)
    assert np.argwhere(np.asarray(signals)).tolist() == [[0, 0, 4], [0, 1, 4]]


def test_a_simulation_that_ran_out_of_its_budget_stops_everything(both, trials):
    loss, weights = event_classification(NEURONS, 0.2, 1), both["exact"][1]
    with pytest.raises(ValueError, match="a simulation of the evaluation failed"):
        accuracy_on(loss, weights, trials)
    silent = jax.tree.map(lambda part: part[:2], trials)
    silent = (Spikes(jnp.full_like(silent[0].times, jnp.inf), silent[0].sources), silent[1])
    with pytest.raises(TrainingError, match="was not applied"):
        train_on_spikes(
            spike_training(loss, optax.adam(0.1)), weights, trials, silent, jax.random.key(0), epochs=1, batch_size=8
        )
