"""A long training is looked at after every epoch, and says where it degrades."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.learning.soundness import Watch, late_spikes

RNG = np.random.default_rng(0)
SIZE, TRIALS = 5, 4
TIMES = jnp.asarray(np.sort(RNG.uniform(0, 20, (TRIALS, 60)), 1))
SPIKES = ss.Spikes(TIMES, jnp.asarray(RNG.integers(0, 3, (TRIALS, 60))))
LABELS = jnp.array([0, 1, 0, 1])
NETWORK = ss.Network(
    ss.Layer(
        ss.LIF(1.0),
        ss.Dense(jnp.asarray(RNG.normal(2, 1, (SIZE, 3)))),
        ss.Dense(jnp.asarray(RNG.normal(0, 0.5, (SIZE, SIZE)))),
    ),
    ss.Layer(ss.LeakyReadout(0.5), ss.Dense(jnp.asarray(RNG.normal(0, 1, (2, SIZE))))),
)


def history(gradient, watch, budget=64, until=15.0):
    loss = ss.classify(until=until, on=ss.Events(budget, looks=10), gradient=gradient)
    init, update = ss.gradient_training(loss, optax.sgd(1e-3))
    return ss.fit(update, init(NETWORK, jax.random.key(0)), (SPIKES, LABELS), epochs=1, batch_size=4, watch=watch)[1]


def test_a_sound_training_has_it_in_its_history_and_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = history(ss.TimeReversed(), Watch())
    assert 0 < rows[1]["reversal_error"] < 1e-8
    assert rows[1]["late_spikes"] == int(np.sum(np.asarray(TIMES) > 15.0)) > 0
    assert rows[1]["not_finite"] == 0
    assert 0 < rows[1]["fullest"] < 0.9


def test_a_reversal_with_too_few_checkpoints_says_so():
    with pytest.warns(RuntimeWarning, match="After epoch 1 the gradient differs .* with more checkpoints, or Recorded"):
        rows = history(ss.TimeReversed(checkpoints=1, tolerance=0.5), Watch())
    assert rows[1]["reversal_error"] > 1e-6


def test_a_budget_that_is_nearly_used_says_so():
    on = ss.Events(64, looks=10)
    used = jax.vmap(lambda one: ss.simulate(NETWORK, one, 15.0, on=on).layers[0].counts)(SPIKES).max()
    loss = ss.classify(until=15.0, on=ss.Events(int(used), looks=10), gradient=ss.Recorded())
    row = Watch()(loss, NETWORK, (SPIKES, LABELS))
    assert row["fullest"] == 1
    assert "a neuron uses 100% of the budget: give on=Events(budget=" in Watch().sentence(row, 1e-6)


def test_what_is_not_finite_is_counted():
    loss = ss.classify(until=15.0, on=ss.Events(64, looks=10), gradient=ss.Recorded())
    bad = eqx.tree_at(lambda one: one.layers[1].inputs.weights, NETWORK, jnp.full((2, SIZE), jnp.nan))
    row = Watch()(loss, bad, (SPIKES, LABELS))
    assert row["not_finite"] >= 2 * SIZE
    assert "not finite: lower the learning rate" in Watch().sentence(row, 1e-6)


def test_what_cannot_be_watched_is_refused():
    init, update = ss.gradient_training(lambda p, b, k: (jnp.sum(p), ((), None)), optax.sgd(0.1))
    state = init(jnp.ones(2), jax.random.key(0))
    with pytest.raises(ValueError, match=r"needs the update that gradient_training\(classify"):
        ss.fit(update, state, jnp.ones((4, 2)), epochs=1, batch_size=2, watch=Watch())
    with pytest.raises(ValueError, match="trials must be a whole number"):
        Watch(trials=0)
    assert late_spikes(jnp.ones((2, 3, 4)), 1.0) == 0
