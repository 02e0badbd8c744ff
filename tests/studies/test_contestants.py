"""Contestants of `better-models`: what is drawn, what is trained and what stays, what a trial costs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from studies import better_models as study
from studies import contestants as those
from studies.cells_that_hear import KINDS, STEP

RECALL = those.task_of(1.0)
BUDGET = study.Budget(trials=32, validation=16, tests=16, epochs=2, batch_size=16, rates=(1e-2,))
SMALL = {
    "grid": those.OnGrid(8, those.alike, those.CRITICAL),
    "exact": those.ByEvents(8, ss.QIF),
    "gated": those.Gated(4),
}


@pytest.fixture(scope="module")
def trials():
    return study.trials_of(RECALL, BUDGET, 1)


@pytest.mark.parametrize("name", study.MODELS)
def test_all_have_as_many_trained_numbers(name, monkeypatch):
    monkeypatch.setattr(those.OnGrid, "critical", lambda *_: 5.0)
    network, _ = study.MODELS[name].start(jax.random.key(0), RECALL, study.trials_of(RECALL, BUDGET, 1).training)
    assert study.count_of(network) == pytest.approx(2560, rel=0.01)


def test_a_part_of_the_neurons_is_slower_than_the_delay_and_others_are_as_slow_in_the_mean():
    key, recall = jax.random.key(1), those.task_of(7.0)
    constants = those.slow(1 / 3, key, 60, recall, 0.1)[0].membrane_time_constant
    assert ((constants >= 7) & (constants <= 21)).sum() == 20
    assert (constants == 1).sum() == 40
    equal = those.equally_slow(1 / 3, key, 60, recall, 0.1)[0].membrane_time_constant
    assert np.ptp(equal) == 0
    np.testing.assert_allclose(np.log(equal[0]), np.log(constants).mean(), rtol=1e-5)


@pytest.mark.parametrize("name", ["SE-adaptive", "BRF"])
def test_published_cells_are_the_same_a_step_whatever_the_step(name):
    published, ours = (those.cells(KINDS[name], jax.random.key(2), 5, RECALL, dt)[0] for dt in (STEP, 0.1))
    for field in KINDS[name].drawn | dict(KINDS[name].shared):
        first, second = getattr(published, field), getattr(ours, field)
        if "time_constant" in field:
            np.testing.assert_allclose(STEP / first, 0.1 / second, rtol=1e-5)
        elif "frequency" in field or "damping" in field:
            np.testing.assert_allclose(STEP * first, 0.1 * second, rtol=1e-5)
        elif field != "reset":
            np.testing.assert_array_equal(first, second)


def test_delay_lines_hear_the_past_and_nothing_else_differs():
    late = those.ByEvents(4, ss.QIF)
    network, _ = late.start(jax.random.key(3), RECALL, study.trials_of(RECALL, BUDGET, 1).training)
    plain, _ = those.ByEvents(4, ss.QIF, delayed=False).start(
        jax.random.key(3), RECALL, study.trials_of(RECALL, BUDGET, 1).training
    )
    delays = network.layers[0].inputs.delays
    np.testing.assert_array_equal(delays[::2], 0)
    assert (jnp.abs(delays[1::2] - RECALL.delay) <= 1).all()
    spikes = ss.Spikes(jnp.array([0.1, 0.2, 0.4]), jnp.array([0, 1, 3]))
    shifted = ss.in_order(spikes.times + delays[spikes.sources], spikes.sources)
    heard, moved = (ss.simulate(one, trial, 4.0) for one, trial in ((network, spikes), (plain, shifted)))
    np.testing.assert_allclose(heard.output.signals, moved.output.signals, rtol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_training_moves_weights_and_delays_alone(name, trials):
    contest = study.contest_of(SMALL[name], RECALL, BUDGET)
    start, sharpness = SMALL[name].start(jax.random.key(1), RECALL, trials.training)
    candidate, row = study.trained(contest, trials, 1e-2, 1)
    assert row["reason"] == ""
    assert (float(candidate.sharpness), float(candidate.rate)) == pytest.approx((sharpness, 1e-2), rel=1e-6)
    moved = [not np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (start, candidate.network)), strict=True)]
    kept = jax.tree.leaves(start.layers[0].neuron) if isinstance(start, ss.Network) else []
    trained = len(jax.tree.leaves(eqx.filter(start, eqx.is_inexact_array)))
    assert sum(moved) == trained - sum(eqx.is_inexact_array(leaf) for leaf in kept)
    if name == "exact":
        delays = candidate.network.layers[0].inputs.delays
        assert ((delays >= 0) & (delays <= RECALL.delay + those.ROOM)).all()


@pytest.mark.parametrize("name", SMALL)
def test_costs_of_silent_input_are_those_of_no_input(name, trials):
    network, sharpness = SMALL[name].start(jax.random.key(1), RECALL, trials.training)
    candidate = study.Candidate(network, jnp.asarray(sharpness), jnp.asarray(0.0))
    spikes = jax.tree.map(lambda leaf: leaf[:4], trials.tests[0])
    silent = ss.Spikes(jnp.full_like(spikes.times, jnp.inf), spikes.sources)
    some, none = (SMALL[name].costs(candidate, one, RECALL) for one in (spikes, silent))
    arrived = float(jnp.isfinite(spikes.times).sum()) / 4
    if name == "gated":
        assert some.multiplications - none.multiplications == pytest.approx(3 * 4 * _steps_heard(spikes), rel=0.3)
    else:
        assert none == (0, 0, 0)
        assert some.additions + some.multiplications >= 8 * 0.7 * arrived


def _steps_heard(spikes):
    on = ss.Grid(1 / those.STEPS)
    return float(jnp.mean(jax.vmap(lambda one: (on.signals(one, 20, 30) > 0).sum())(spikes)))
