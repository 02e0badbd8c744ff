"""The task of `critical_sharpness`: a cue that can be recalled, networks that learn it, exponents that are flossed."""

import equinox as eqx
import jax
import numpy as np
import pytest

import stablespike as ss
from studies import critical_sharpness as study

RECALL = study.Recall(delay=1.0, classes=2, channels=10, neurons=20)
TRAINING = study.Training(trials=128, tests=64, epochs=4, batch_size=32, rate=1e-2)


@pytest.fixture(scope="module")
def given():
    generator = np.random.default_rng(0)
    trials, tests = (study.recall_trials(generator, RECALL, count) for count in (TRAINING.trials, TRAINING.tests))
    return study.recall_network(jax.random.key(0), RECALL), trials, tests


def test_the_cue_is_in_the_group_of_the_class_and_nowhere_later(given):
    _, (spikes, labels), _ = given
    times, sources = np.asarray(spikes.times), np.asarray(spikes.sources)
    early, late = times < RECALL.cue, (times >= RECALL.cue) & np.isfinite(times)
    own = sources // 5 == np.asarray(labels)[:, None]
    assert not (early & ~own).any()
    assert early.sum() / len(labels) == pytest.approx(6 * 5 * 1, rel=0.1)  # rate, channels of a group, tau
    assert late.sum() / len(labels) == pytest.approx(1 * 10 * 2, rel=0.1)
    assert (late & own).sum() / late.sum() == pytest.approx(0.5, abs=0.03)
    assert (times[:, 1:] >= times[:, :-1]).all()


def test_a_network_learns_to_recall_and_its_row_says_how(given):
    network, trials, tests = given
    row = study.trained(network, trials, tests, RECALL, study.on_grid(10, ss.SuperSpike(5.0)), TRAINING, 0)
    assert row["accuracy"] > 0.9
    assert row["reason"] == ""
    assert 0 < row["norm"] < np.inf


def test_a_training_without_finite_gradients_is_a_row_with_its_reason(given):
    network, trials, tests = given
    loud = 1e20 * network.layers[0].loop.weights
    broken = eqx.tree_at(lambda one: one.layers[0].loop.weights, network, loud)
    row = study.trained(broken, trials, tests, RECALL, study.on_grid(10, ss.SuperSpike(1e-3)), TRAINING, 0)
    assert row["accuracy"] == 0.5
    assert "was not applied" in row["reason"]


def test_flossing_moves_the_leading_exponent_towards_zero(given):
    network, trials, _ = given
    on = study.on_grid(10, ss.SuperSpike(20.0))
    settings = study.Flossed(leading=1, steps=20, rate=2e-2)
    changed, course = study.flossed(network, trials, RECALL, on, settings, jax.random.key(1))
    assert abs(course[-1, 0]) < 0.7 * abs(course[0, 0])
    assert (changed.layers[1].inputs.weights == network.layers[1].inputs.weights).all()
    critical = study.critical_sharpness_of(network, trials, RECALL, 10)
    at = study.on_grid(10, ss.SuperSpike(critical))
    assert study.exponent_of(network, trials, RECALL, at) == pytest.approx(0, abs=0.02)
