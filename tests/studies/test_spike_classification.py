"""Classifiers of recorded spikes: their gradients, their twins, and that they learn something easy."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.learning.training import TrainingError
from studies.spoken_digits import (
    Inputs,
    Neurons,
    SumOfLooks,
    event_classification,
    event_classifier,
    grid_classification,
    grid_classifier,
    signals_of,
)

NEURONS, INPUTS = Neurons(0.02, 0.1, 0.004, looks=2), Inputs(6, 2, 100.0)


@pytest.fixture(scope="module")
def trials():
    """Class 0 spikes in the first three channels, class 1 in the others; 24 trials of 0.2 s."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 2
    times = generator.uniform(0, 0.2, (24, 60))
    sources = generator.integers(0, 3, (24, 60)) + 3 * labels[:, None]
    spikes = jax.vmap(ss.in_order)(jnp.asarray(times), jnp.asarray(sources, jnp.int32))
    return spikes, jnp.asarray(labels)


@pytest.fixture(scope="module")
def both():
    key = jax.random.key(0)
    return {
        "exact": (event_classification(NEURONS, 0.2, 100), event_classifier(key, NEURONS, INPUTS, 12, 1.0)),
        "surrogate": (
            grid_classification(NEURONS, 0.2),
            grid_classifier(key, NEURONS, INPUTS, (12,), distance=0.5, recurrence=0.2),
        ),
    }


@pytest.mark.parametrize("kind", ["exact", "surrogate"])
def test_what_is_easy_is_learned(kind, both, trials):
    loss, network = both[kind]
    shorter = dataclasses.replace(
        loss, augment=lambda key, one: ss.Spikes(one.times * jax.random.uniform(key, (), minval=0.9), one.sources)
    )
    init, update = ss.gradient_training(shorter, optax.adam(0.02))
    state, history = ss.fit(update, init(network, jax.random.key(1)), trials, judge=trials, epochs=8, batch_size=8)
    assert history[-1]["test_accuracy"] > 0.9
    assert history[-1]["loss"] < history[1]["loss"]
    judged = ss.accuracy_on(loss, state.parameters, trials)
    assert judged["test_accuracy"] == pytest.approx(history[-1]["test_accuracy"])
    assert judged["test_loss"] == pytest.approx(history[-1]["test_loss"], rel=1e-6)


def test_a_score_is_the_sum_of_its_looks():
    outputs = jnp.arange(40.0).reshape(10, 4)  # [steps, looks classes]
    assert SumOfLooks(2)(outputs).tolist() == [16 + 38, 17 + 39]
    assert SumOfLooks(1)(outputs).tolist() == [36, 37, 38, 39]


def test_both_readouts_agree_on_a_fine_grid():
    """The same input weights without spikes of recurrence: scores converge as the step goes to 0."""
    fine, key = Neurons(0.02, 0.05, 2e-5, looks=2), jax.random.key(3)
    spikes = ss.in_order(jnp.array([0.004, 0.011, 0.013, 0.02, 0.031]), jnp.array([0, 1, 2, 3, 1], jnp.int32))
    batch = jax.tree.map(lambda part: part[None], (spikes, jnp.array(1)))
    network = event_classifier(key, fine, INPUTS, 5, 0.3)
    _, (_, scores) = event_classification(fine, 0.04, 20)(network, batch)
    _, (_, others) = grid_classification(fine, 0.04)(network, batch)
    assert float(abs(scores).max()) > 0.01
    np.testing.assert_allclose(others, scores, rtol=0.02, atol=2e-3)


def test_the_exact_gradient_is_that_of_finite_differences(both, trials):
    loss, network = both["exact"]
    few = jax.tree.map(lambda part: part[:2], trials)

    def at(weights):
        return loss(eqx.tree_at(lambda one: one.layers[0].inputs.weights, network, weights), few)[0]

    weights = network.layers[0].inputs.weights
    gradient, step = jax.grad(at)(weights), jnp.zeros_like(weights).at[3, 1].set(1e-6)
    up, down = at(weights + step), at(weights - step)
    assert gradient[3, 1] == pytest.approx(float(up - down) / 2e-6, rel=1e-4)


def test_the_native_route_has_the_values_of_the_plain_one(both, trials):
    loss, network = both["surrogate"]
    plain = dataclasses.replace(loss, gradient=ss.Recorded())
    assert loss(network, trials)[0] == pytest.approx(float(plain(network, trials)[0]), rel=1e-5)


def test_a_channel_counts_once_in_a_step(both):
    loss, _ = both["surrogate"]
    spikes = ss.Spikes(jnp.array([[0.001, 0.002, 0.005, jnp.inf]]), jnp.array([[4, 4, 4, 0]], jnp.int32))
    signals = signals_of(loss, spikes, 6)
    assert signals.shape == (1, 50, 6)
    assert np.argwhere(np.asarray(signals)).tolist() == [[0, 0, 4], [0, 1, 4]]


def test_a_simulation_that_ran_out_of_its_budget_stops_everything(both, trials):
    loss, network = event_classification(NEURONS, 0.2, 1), both["exact"][1]
    with pytest.raises(ss.SimulationError, match="budget of 1 was exhausted"):
        ss.accuracy_on(loss, network, trials)
    init, update = ss.gradient_training(loss, optax.adam(0.1))
    with pytest.raises(TrainingError, match=r"was not applied\. The budget of 1 was exhausted"):
        ss.fit(update, init(network, jax.random.key(0)), trials, epochs=1, batch_size=8)
