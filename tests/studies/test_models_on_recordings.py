"""The contest of `models-on-recordings`: tasks of one form, networks of equal size, intervals, predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import stablespike as ss
from studies import models_on_recordings as study
from studies import recorded_tasks as tasks
from studies import recording_models as models
from studies.better_models import Comparison
from studies.contestants import Candidate

STEPWISE = tasks.Task(
    "steps", channels=3, classes=2, steps=16, dt=0.01, every=4, numbers=60, batch_size=4, mean=0.5, deviation=1.0,
    chance=0.5, pause=0.05, membrane=0.05,
)  # fmt: skip
WHOLE = STEPWISE._replace(name="whole", weighting=0.1, every=2)


@pytest.fixture(scope="module")
def spikes():
    generator = np.random.default_rng(0)
    times = np.sort(generator.uniform(0, 0.16, (8, 12)), 1).astype(np.float32)
    return ss.Spikes(jnp.asarray(times), jnp.asarray(generator.integers(0, 3, (8, 12)), jnp.int32))


def trials_with(spikes, task):
    """Labels that are drawn, one a trial or one a step."""
    shape = (8,) if task.weighting else (8, task.steps)
    return spikes, jnp.asarray(np.random.default_rng(1).integers(0, 2, shape))


def test_a_pause_is_between_spikes_of_the_first_channels():
    times = jnp.asarray([[0.1, 0.2, 0.9, jnp.inf], [0.0, 0.3, 0.4, 0.5]])
    sources = jnp.asarray([[0, 5, 1, 0], [1, 0, 1, 0]], jnp.int32)
    assert tasks.longest_pause(ss.Spikes(times, sources), 2) == pytest.approx((0.8 + 0.3) / 2)


def test_the_loss_looks_at_the_ends_of_steps():
    labels = jnp.asarray(np.arange(16) // 4 % 2)[None]  # 0 in steps 0 to 3, 1 in steps 4 to 7, ...
    voltages = 50.0 * jax.nn.one_hot(labels[:, 3::4], 2)
    assert float(STEPWISE.loss(voltages, labels)[0]) == pytest.approx(0, abs=1e-6)
    assert STEPWISE.right(50.0 * jax.nn.one_hot(labels, 2), labels).shape == (1, 16)
    assert float(STEPWISE.loss(voltages, jnp.roll(labels, 1, 1))[0]) == pytest.approx(0, abs=1e-6)
    assert float(STEPWISE.loss(voltages, jnp.roll(labels, 4, 1))[0]) == pytest.approx(50)


def test_a_whole_trial_is_named_by_a_weighted_mean():
    voltages = jnp.zeros((1, 8, 2)).at[0, 0, 0].set(1.0).at[0, 5, 1].set(1.0)
    first, second = np.asarray(WHOLE.scores(voltages, WHOLE.every))[0]
    assert second / first == pytest.approx(np.exp(-5 * 2 * WHOLE.dt / WHOLE.weighting))


@pytest.mark.parametrize("task", [STEPWISE, WHOLE], ids=lambda task: task.name)
@pytest.mark.parametrize("name", ["LIF, slow modes", "exact QIF, delay lines", "BRF", "gated rates"])
def test_a_model_trains_what_it_says_and_is_as_large_as_may_be(name, task, spikes, monkeypatch):
    monkeypatch.setattr(models, "critical", lambda *_: 5.0)
    trials, model = trials_with(spikes, task), models.MODELS[name]
    contest = study.contest_of(model, task, 8, 1)
    with jax.numpy_dtype_promotion("standard"):  # places of copies are whole numbers beside drawn ones
        start = model.start(jax.random.key(0), task, spikes)
    neurons = models.largest(model.numbers, task)
    assert (
        study.numbers_trained(start[0])
        == model.numbers(neurons, task)
        <= task.numbers
        < model.numbers(neurons + 1, task)
    )
    candidate, row = study.trained(contest, start, tasks.Parts(trials, trials, trials), 0.01, 0)
    assert row["reason"] == ""
    moved = jax.tree.map(lambda one, other: bool(jnp.any(one != other)), start[0], candidate.network)
    assert any(jax.tree.leaves(moved))
    if name == "LIF, slow modes":
        constants = np.asarray(candidate.network.network.layers[0].neuron.membrane_time_constant)
        assert ((constants >= task.pause * 0.999) & (constants <= 3.001 * task.pause)).sum() >= constants.size // 2
        assert not moved.network.layers[0].neuron.membrane_time_constant
    if name == "BRF":
        assert all(jax.tree.leaves(moved.logarithms))
        assert not any(jax.tree.leaves(moved.network.layers[0].neuron))
    if name == "exact QIF, delay lines":
        delays = np.asarray(candidate.network.layers[0].inputs.delays)
        assert ((delays >= 0) & (delays <= models.LONGEST * task.pause)).all()
        assert moved.layers[0].inputs.delays


def test_copies_of_a_channel_come_from_channels_of_their_own(spikes):
    heard = models.ByEvents(ss.QIF, copies=2).heard(spikes, STEPWISE)
    first = heard.sources < STEPWISE.channels
    np.testing.assert_array_equal(np.asarray(heard.times)[first].reshape(8, 12), np.asarray(spikes.times, float))
    later = np.asarray(heard.sources)[~first].reshape(8, 12) - STEPWISE.channels
    np.testing.assert_array_equal(later, np.asarray(spikes.sources))


def test_looking_more_often_does_not_change_what_an_exact_network_says(spikes):
    model = models.ByEvents(ss.QIF)
    with jax.numpy_dtype_promotion("standard"):
        network, _ = model.start(jax.random.key(1), STEPWISE, spikes)
    candidate = Candidate(network, jnp.zeros(()), jnp.zeros(()))
    (_, seldom), (_, often) = (model.voltages(candidate, spikes, STEPWISE, every) for every in (4, 1))
    np.testing.assert_allclose(seldom, often[:, 3::4], atol=1e-9)
    assert float(jnp.abs(seldom).max()) > 0


def test_the_interval_is_that_of_seeds_where_trials_do_not_differ_and_the_other_way_round():
    seeds = np.repeat([[0.0], [1.0]], 50, axis=1)
    assert study.interval(seeds) == (0.0, 1.0)
    trials = np.tile(np.random.default_rng(2).integers(0, 2, 400).astype(float), (3, 1))
    low, high = study.interval(trials)
    assert (high - low) / 2 == pytest.approx(1.96 * trials.std() / np.sqrt(400), rel=0.1)


def test_a_prediction_holds_if_the_lead_is_large_enough_and_sure():
    generator, rows = np.random.default_rng(3), []
    for model, part in (("a", 0.9), ("b", 0.5)):
        for seed in (1, 2, 3):
            right = (generator.random(300) < part).astype(float)
            rows.append(pd.DataFrame({"model": model, "set": "x", "seed": seed, "trial": range(300), "right": right}))
    right = pd.concat(rows)
    found = study.compared(right, Comparison("a", "b", 0.3), "x")
    assert found["held"]
    assert found["low"] < found["ahead"] < found["high"]
    assert not study.compared(right, Comparison("a", "b", 0.5), "x")["held"]
    assert not study.compared(right, Comparison("b", "a", -0.5), "x")["held"]
