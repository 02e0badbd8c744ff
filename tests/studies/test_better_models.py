"""The contest of `better-models`: disturbances, search, pairs of seeds, and what came of predictions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import stablespike as ss
from studies import better_models as study
from studies.contestants import ByEvents, Candidate, OnGrid, alike, task_of

BUDGET = study.Budget(trials=32, validation=16, tests=16, epochs=1, batch_size=16, rates=(1e-3, 1e-2))


@pytest.fixture(scope="module")
def candidate():
    network, _ = ByEvents(50, ss.QIF).start(
        jax.random.key(0), task_of(1.0), study.trials_of(task_of(1.0), BUDGET, 1).training
    )
    return Candidate(network, jnp.zeros(()), jnp.zeros(()))


@pytest.fixture(scope="module")
def spikes():
    return study.trials_of(task_of(4.0), BUDGET._replace(tests=200), 3).tests[0]


def test_all_seeds_have_room_for_the_same_spikes_and_their_own_trials():
    first, second = (study.trials_of(task_of(2.0), BUDGET, seed) for seed in (1, 2))
    shapes = [jax.tree.map(jnp.shape, one) for one in (first, second)]
    assert shapes[0] == shapes[1]
    assert not np.array_equal(first.training[1], second.training[1])
    assert not np.array_equal(first.validation[1], first.tests[1])


def test_dropped_spikes_are_a_fifth_and_the_rest_stays(candidate, spikes):
    _, fewer = study.dropped(jax.random.key(1), candidate, spikes)
    kept, before = (int(jnp.isfinite(one.times).sum()) for one in (fewer, spikes))
    assert kept / before == pytest.approx(0.8, abs=0.01)
    assert (fewer.times[:, 1:] >= fewer.times[:, :-1]).all()
    assert set(np.asarray(fewer.times[0]).tolist()) <= set(np.asarray(spikes.times[0]).tolist())


def test_jitter_moves_every_spike_and_loses_none(candidate, spikes):
    _, moved = study.jittered(jax.random.key(1), candidate, spikes)
    assert (jnp.isfinite(moved.times).sum(1) == jnp.isfinite(spikes.times).sum(1)).all()
    assert float(moved.times.min()) >= 0
    known = jnp.isfinite(spikes.times)
    assert float(moved.times[known].mean()) == pytest.approx(float(spikes.times[known].mean()), abs=0.02)


def test_noise_is_a_tenth_of_the_deviation_and_leaves_delays(candidate, spikes):
    changed, _ = study.noisy(jax.random.key(2), candidate, spikes)
    before, after = (one.network.layers[0].inputs for one in (candidate, changed))
    error = after.weights - before.weights
    assert float(error.std() / before.weights.std()) == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(after.delays, before.delays)


def test_eight_bits_are_whole_multiples_no_further_than_half_a_step(candidate, spikes):
    changed, _ = study.in_bits(jax.random.key(2), candidate, spikes)
    before, after = (np.asarray(one.network.layers[0].inputs.weights) for one in (candidate, changed))
    unit = np.abs(before).max() / 127
    np.testing.assert_allclose(after / unit, np.round(after / unit), atol=1e-9)
    assert np.abs(after - before).max() <= unit / 2 * (1 + 1e-12)
    assert np.abs(after - before).max() > unit / 4


def test_the_interval_of_pairs_is_students():
    one, other = (pd.Series(values) for values in ([0.9, 0.8, 1.0], [0.5, 0.6, 0.4]))
    mean, low, high = study.paired(one, other)
    known = scipy.stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((0.4, known.low, known.high))
    assert study.paired(one[:1], other[:1])[1:] == (-math.inf, math.inf)


@pytest.fixture
def table():
    found = {
        "exact QIF, delay lines": ([0.95, 0.97, 0.96], 10.0),
        "exact LIF, delay lines": ([0.9, 0.99, 0.93], 20.0),
        "BRF": ([0.9, 0.91, 0.92], 100.0),
        "gated rates": ([1.0, 1.0, 1.0], 5.0),
    }
    rows = [
        {"model": name, "delay": 10.0, "seed": seed, "test": test, "additions": operations, "multiplications": 0.0}
        for name, (tests, operations) in found.items()
        for seed, test in enumerate(tests)
    ]
    columns = ("rate", "parameters", "seconds", "spikes", "sharpness", "modes", *study.DISTURBANCES)
    return pd.DataFrame(rows).assign(**dict.fromkeys(columns, 0.5))


def test_a_prediction_holds_if_mean_interval_and_level_do(table):
    one = study.Comparison("exact QIF, delay lines", "BRF", 0.02, 0.9)
    found = study.compared(table, one, 10.0)
    assert found["ahead"] == pytest.approx(0.05)
    assert found["held"]
    for stricter in (
        one._replace(ahead=0.06),
        one._replace(least=0.97),
        one._replace(without="exact LIF, delay lines"),
    ):
        assert not study.compared(table, stricter, 10.0)["held"]


def test_the_goal_is_asked_of_networks_with_a_surrogate_alone(table):
    found = study.goal(table)
    assert found["best"] == "BRF"
    assert found["held"]
    assert not study.goal(table.assign(additions=50.0))["held"]


def test_numbers_are_by_delay_and_model(table):
    pairs = pd.DataFrame([study.compared(table, study.COMPARISONS[-1], 10.0)])
    found = study.numbers_of(table, pairs, {10.0: study.goal(table)})
    assert found["models"]["delay 10"]["BRF"]["test"] == pytest.approx(0.91)
    assert found["goal"]["delay 10"]["held"]
    assert len(found["compared"]) == 1


def test_the_best_rate_on_validation_trials_is_that_of_all_seeds():
    model = OnGrid(6, alike)
    tried, rows = study.tables_of("LIF, constant", model, 1.0, [4, 5], BUDGET)
    assert list(tried.rate) == list(BUDGET.rates)
    assert set(rows.rate) == {tried.rate[tried.validation.idxmax()]}
    assert list(rows.seed) == [4, 5]
    assert rows[["test", *study.DISTURBANCES]].isin(np.arange(17) / 16).all(axis=None)
    assert 0 <= rows.modes[0] <= 12
    assert np.isnan(rows.modes[1])  # those of the first seed stand for all


def test_a_training_without_finite_gradients_is_a_row_with_its_reason(monkeypatch):
    monkeypatch.setattr(OnGrid, "critical", lambda *_: math.nan)
    recall, model = task_of(1.0), OnGrid(6, alike, 0.0)
    contest = study.contest_of(model, recall, BUDGET)
    _, row = study.trained(contest, study.trials_of(recall, BUDGET, 1), 1e-2, 1)
    assert row["validation"] == 0.25
    assert "not applied" in row["reason"]


def test_a_run_that_fails_has_the_accuracy_of_chance_and_its_reason():
    contest = study.contest_of(ByEvents(4, ss.QIF, budget=0.2), study.task_of(1.0), BUDGET)
    trials = study.trials_of(contest.recall, BUDGET, 3)
    network, _ = contest.contestant.start(jax.random.key(0), contest.recall, trials.training)
    accuracy, reason = study.right_in(contest, Candidate(network, jnp.zeros(()), jnp.zeros(())), trials.tests)
    assert accuracy == 1 / 4
    assert "budget" in reason
