"""Competitors of `networks_that_hear`: each tells two chords of spikes apart, and goes on from its checkpoint."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.tasks.recordings import gather
from studies import networks_that_hear as study

HEARING = study.Hearing(
    channels=8, duration=0.2, hidden=8, mean=1.0, deviation=1.0, gain=30.0, weighting_time_constant=0.1, budget=64,
    fewest=1.0, dt=0.004, shift=1, limit=5.0,
)  # fmt: skip
LEARNING = study.Learning(epochs=12, batch_size=8, hidden_rate=5e-3, readout_rate=5e-2, judged_at_once=12)


def chords(seed, trials=32):
    generator, labels = np.random.default_rng(seed), np.arange(trials) % 2
    trains = []
    for label in labels:
        times = np.sort(generator.uniform(0, 0.15, 12))
        trains.append((times, generator.integers(0, 4, 12) + 4 * label))
    return gather(trains, labels, None, ("low", "high"), 8)


@pytest.mark.parametrize(
    "competitor",
    [
        study.Competitor(ss.LIF),
        study.Competitor(ss.LIF, recurrent=False),
        study.Competitor(ss.QIF),
        study.Competitor(ss.LIF, exact=False),
    ],
)
def test_each_competitor_learns_and_goes_on_from_its_checkpoint(competitor, tmp_path):
    training, validation = (study.trials_of(chords(seed), HEARING) for seed in (0, 1))
    assert training[0].times.dtype == jnp.float32

    def run():
        return study.train(
            competitor, training, validation, channels=10, classes=2, seed=0, hearing=HEARING, learning=LEARNING,
            checkpoint=tmp_path / "run.eqx",
        )  # fmt: skip

    _, history = run()
    assert [row["epoch"] for row in history] == list(range(13))
    assert history[-1]["test_loss"] < 0.8 * history[0]["test_loss"]
    assert history[-1]["test_accuracy"] > 0.8
    assert history[-1]["rate"] > 0.5
    assert run()[1] == history


@pytest.mark.parametrize(  # of Newcombe (1998), Statistics in Medicine 17, table I, method 3
    ("right", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(right, trials, low, high):
    np.testing.assert_allclose(study.wilson(right / trials, trials), (low, high), atol=5e-5)


def test_mcnemars_test_is_that_of_the_binomial_law():
    both, mine, others = [True] * 7, [True] * 8 + [False] * 2, [False] * 8 + [True] * 2
    only, only_other, p = study.mcnemar(both + mine, both + others)
    assert (only, only_other) == (8, 2)
    np.testing.assert_allclose(p, 2 * (45 + 10 + 1) / 2**10)  # twice the chance of 8, 9 or 10 of ten fair coins
    assert study.mcnemar(both, both) == (0, 0, 1.0)


@pytest.mark.parametrize(("recurrent", "reached"), [(True, 10 + 20), (False, 20)])
def test_operations_count_every_spike_once_for_each_neuron_that_it_reaches(recurrent, reached):
    hearing, generator = study.FOR_LIF._replace(hidden=10), np.random.default_rng(0)
    network = study.hearing_network(jax.random.key(0), study.Competitor(recurrent=recurrent), hearing, 10, 20)
    trials, rates = study.trials_of(chords(0), HEARING), generator.poisson(3.0, 10).astype(float)
    found = study.operations(network, trials, rates, 0.2)
    np.testing.assert_allclose(found, 12 * 10 + rates.sum() * reached)  # chords have 12 spikes
    silenced = eqx.tree_at(lambda one: one.layers[1].inputs.weights, network, jnp.zeros((20, 10), jnp.float32))
    np.testing.assert_allclose(study.operations(silenced, trials, rates, 0.2), found - rates.sum() * 20)
