"""Kinds of neuron in `cells_that_hear`: each learns two chords within its bounds, and goes on from its checkpoint."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.studies.test_networks_that_hear import chords

import stablespike as ss
from studies import cells_that_hear as study
from studies import networks_that_hear as hearing_study

HEARING = hearing_study.Hearing(
    channels=8, duration=0.2, hidden=8, mean=1.0, deviation=1.0, gain=30.0, weighting_time_constant=0.1, fewest=1.0,
    shift=1,
)  # fmt: skip
SETTING = study.Setting(hidden_rate=1e-2, dropout=0.1, shift=1, stretch=0.1, readout_rate=5e-2, batch_size=8)


def trained(name, folder, epochs=10):
    training, validation = (hearing_study.trials_of(chords(seed), HEARING) for seed in (0, 1))
    judge = ss.judged(study.task_of(HEARING), validation, 16)
    return study.train(
        study.KINDS[name], training, channels=10, classes=2, seed=0, hearing=HEARING, setting=SETTING, epochs=epochs,
        evaluate=judge, checkpoint=folder / "run.eqx",
    )  # fmt: skip


@pytest.mark.parametrize("name", study.KINDS)
def test_each_kind_learns_within_its_bounds_and_goes_on_from_its_checkpoint(name, tmp_path):
    state, history = trained(name, tmp_path)
    assert history[-1]["test_accuracy"] > 0.8
    assert history[-1]["test_loss"] < 0.8 * history[0]["test_loss"]
    assert history[-1]["rate"] > 0.5
    kind, start = study.KINDS[name], study.network_of(jax.random.key(0), study.KINDS[name], HEARING, 10, 2)
    for parameter, (low, high) in kind.drawn.items():
        before, after = (getattr(one.layers[0].neuron, parameter) for one in (start, state.parameters))
        assert (before >= 0.999 * low).all()
        assert (before <= 1.001 * high).all()
        assert (after >= 0.999 * low / kind.bound).all()
        assert (after <= 1.001 * high * kind.bound).all()
        assert after.dtype == jnp.float32
        assert (after != before).any(), parameter
    assert trained(name, tmp_path)[1] == history


def test_neurons_that_are_not_heard_are_made_up_for_by_the_others():
    network = study.network_of(jax.random.key(0), study.LIF, HEARING._replace(hidden=2000), 10, 2)
    weights = np.asarray(network.layers[1].inputs.weights)
    thinned = np.asarray(study.thinned(network, jax.random.key(1), 0.2).layers[1].inputs.weights)
    heard = (thinned != 0).all(0)
    assert ((thinned == 0).all(0) == ~heard).all()
    assert abs(heard.mean() - 0.8) < 5 * np.sqrt(0.2 * 0.8 / 2000)
    np.testing.assert_allclose(thinned[:, heard], weights[:, heard] / 0.8, rtol=1e-6)


def test_dropout_is_of_training_only():
    loss = study.task_of(HEARING)
    dropped = study.Dropped(loss, 0.5)
    network = study.network_of(jax.random.key(0), study.LIF, HEARING, 10, 2)
    batch = hearing_study.trials_of(chords(0), HEARING)
    assert dropped(network, batch)[0] == loss(network, batch)[0]
    assert dropped(network, batch, jax.random.key(0))[0] != loss(network, batch, jax.random.key(0))[0]


def test_penalties_are_those_of_the_counts():
    held = study.Held(ss.RateBand(4.0, 30.0, 0.5), ss.CountCeiling(60.0, 0.1))
    network = study.network_of(jax.random.key(0), study.LIF, HEARING._replace(hidden=3), 10, 2)
    spikes = hearing_study.trials_of(chords(0, 2), HEARING)[0]
    run = study.task_of(HEARING).run(network, spikes)
    counts = jnp.array([[2.0, 20.0, 50.0], [4.0, 10.0, 70.0]])
    found = held(network, spikes, eqx.tree_at(lambda one: one.layers[0].counts, run, counts))
    band = 0.5 * (1**2 + 0 + 30**2) / 3  # means 3, 15, 60
    np.testing.assert_allclose(found, band + 0.1 * 10**2 / 6)


def test_changes_are_of_the_usual_setting():
    assert study.setting_with([]) == study.Setting()
    both = study.setting_with(["dropout", "more augmentation"])
    assert both == study.Setting(dropout=0.2, shift=10, stretch=0.3)


def test_trained_numbers_are_counted():
    network = study.network_of(jax.random.key(0), study.ADAPTIVE, HEARING, 10, 2)
    assert study.count(network) == 8 * 10 + 8 * 8 + 2 * 8 + 4 * 8
    plain = study.network_of(jax.random.key(0), study.LIF, HEARING, 10, 2)
    assert study.count(plain) == 8 * 10 + 8 * 8 + 2 * 8


def test_quantiles_are_those_of_the_neurons():
    network = study.network_of(jax.random.key(0), study.RESONATING, HEARING._replace(hidden=4000), 10, 2)
    found = {row["parameter"]: row for row in study.quantiles(study.RESONATING, network)}
    low, high = study.RESONATING.drawn["damping"]
    evenly = [low * (high / low) ** part for part in (0.1, 0.5, 0.9)]
    np.testing.assert_allclose([found["damping"][key] for key in ("tenth", "middle", "ninetieth")], evenly, rtol=0.01)
