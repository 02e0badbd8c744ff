"""Classifiers of recorded spikes: their gradients, their twins, and that they learn something easy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stablespike.dynamics.grid_network import run_on_grid
from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.learning.spike_classification import (
    GridClassification,
    Inputs,
    Neurons,
    accuracy_on,
    event_classification,
    event_classifier,
    grid_classification,
    grid_classifier,
    train_on_spikes,
)
from stablespike.learning.training import TrainingError

NEURONS, INPUTS = Neurons(0.02, 0.1, 0.004), Inputs(6, 2, 100.0)


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
    trained, history = train_on_spikes(
        loss, network, optax.adam(0.02), trials, trials, jax.random.key(1), epochs=8, batch_size=8,
        augment=lambda key, spikes: Spikes(spikes.times * jax.random.uniform(key, (), minval=0.9), spikes.sources),
    )  # fmt: skip
    assert history[-1]["test_accuracy"] > 0.9
    assert history[-1]["loss"] < history[1]["loss"]
    assert accuracy_on(loss, trained, trials)["test_accuracy"] == pytest.approx(history[-1]["test_accuracy"])


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
    plain = GridClassification(loss.duration, loss.steps, route=run_on_grid)
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
            loss, weights, optax.adam(0.1), trials, silent, jax.random.key(0), epochs=1, batch_size=8
        )  # fmt: skip
