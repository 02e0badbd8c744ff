"""`electrocardiogram`: pieces of trials, the loss of every step and its exact gradient, and that both ways learn."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.tasks.electrocardiograms import RATE, STEPS, UNMARKED, MarkedRecordings, wave_accuracy
from stablespike.tasks.recordings import gather
from studies import electrocardiogram as study


def made_up(trials, seed=0, period=50):
    """Events of channel 0 or 4 every `period` steps; the wave of a step is 1 after one of channel 0, else 3."""
    rng, trains, waves = np.random.default_rng(seed), [], np.empty((trials, STEPS), np.int8)
    for one in waves:
        steps = np.arange(0, STEPS, period)
        low = rng.random(steps.size) < 0.5
        trains.append((np.repeat(steps, 3) / RATE, np.repeat(np.where(low, 0, 4), 3)))
        one[:] = np.repeat(np.where(low, 1, 3), period)[:STEPS]
    kind = np.zeros(trials, int)
    return MarkedRecordings(gather(trains, kind, None, ("electrocardiogram",), 8, dtype=np.float32), waves)


def test_pieces_hold_the_events_and_waves_of_their_steps():
    marked = made_up(2)
    marked.waves[0, :7] = UNMARKED
    spikes, waves = study.trials_of(marked, 130)
    assert waves.shape == (20, 130)
    np.testing.assert_array_equal(waves.reshape(2, -1)[:, 7:], marked.waves[:, 7:1300])
    assert not waves[0, :7].any()
    assert (spikes.times[:, 1:] >= spikes.times[:, :-1]).all()
    for piece in (0, 1, 13):
        trial, first = piece // 10, piece % 10 * 130
        real = np.asarray(spikes.real[piece])
        times, sources = np.asarray(spikes.times[piece])[real], np.asarray(spikes.sources[piece])[real]
        ticks = sources == 8
        np.testing.assert_allclose(times[ticks], np.arange(0, 130, 10) / RATE, rtol=1e-6)
        whole, channels = marked.recordings.trial(trial)
        here = (np.rint(whole * RATE) >= first) & (np.rint(whole * RATE) < first + 130)
        np.testing.assert_allclose(times[~ticks], whole[here] - first / RATE, atol=1e-6)
        np.testing.assert_array_equal(sources[~ticks], channels[here])


def test_held_out_trials_are_no_training_trials():
    marked = made_up(9)
    rest, held = study.held_out(marked, 3)
    sides = [{one.tobytes() for one in part.waves} for part in (rest, held)]
    assert (len(rest.waves), len(held.waves)) == (6, 3)
    assert not sides[0] & sides[1]
    assert len(rest.recordings) == 6


def small(exact, dtype=jnp.float64, steps=40):
    """A competitor, a network of two neurons and a batch of four pieces."""
    competitor = study.Competitor("LIF", exact, steps=steps)
    network = study.network_of(
        jax.random.key(0), study.KINDS["LIF"], study.setup(competitor, 2)._replace(mean=1.5), study.CHANNELS, 6
    )
    spikes, waves = study.trials_of(made_up(1, period=9), steps)
    batch = ss.Spikes(spikes.times[:4].astype(dtype), spikes.sources[:4]), waves[:4]
    network = jax.tree.map(lambda leaf: leaf.astype(dtype) if isinstance(leaf, jax.Array) else leaf, network)
    return study.naming(competitor, study.setup(competitor, 2), whole=False), network, batch


@pytest.mark.parametrize("exact", [False, True])
def test_without_a_readout_every_wave_is_as_likely(exact):
    loss, network, batch = small(exact)
    hidden, readout = network.layers
    silent = ss.Network(hidden, ss.Layer(readout.neuron, ss.Dense(0 * readout.inputs.weights)))
    assert abs(loss(silent, batch)[0] - np.log(6)) < 1e-12


def test_the_exact_gradient_is_that_of_finite_differences():
    loss, network, batch = small(exact=True)

    def cost(weights):
        layer = network.layers[0]
        moved = ss.Layer(layer.neuron, ss.Dense(weights), layer.loop)
        return loss(ss.Network(moved, network.layers[1]), batch)[0]

    weights = network.layers[0].inputs.weights
    assert loss(network, batch)[1][1][1].sum() > 10, "hardly a spike"
    found = jax.grad(cost)(weights)
    for place in [(0, 0), (1, 4), (0, 8), (1, 8)]:
        step = jnp.zeros_like(weights).at[place].set(1e-6)
        expected = (cost(weights + step) - cost(weights - step)) / 2e-6
        np.testing.assert_allclose(found[place], expected, rtol=1e-5, atol=1e-8)
    assert (jnp.abs(found[:, 8]) > 1e-4).all()


def test_the_drive_is_added_to_the_clock_alone():
    plain, driven = (
        study.start_of(study.Competitor("LIF", drive=drive), 3, 0).layers[0].inputs for drive in (0.0, 2.0)
    )
    added = np.zeros((3, study.CHANNELS))
    added[:, -1] = 2.0
    np.testing.assert_allclose(driven.weights - plain.weights, added, atol=1e-6)


@pytest.mark.parametrize("apart", [False, True])
def test_gradients_that_are_clipped_apart_have_the_norm_each(apart):
    gradient = eqx.filter(study.start_of(study.Competitor("LIF"), 8, 0), eqx.is_inexact_array)
    clip = study.clip_of(study.Competitor("LIF", clipped=0.3, apart=apart))
    moved, _ = clip.update(gradient, clip.init(gradient))
    norms = [float(optax.tree.norm(layer)) for layer in moved.layers]
    np.testing.assert_allclose(norms if apart else np.hypot(*norms), 0.3, rtol=1e-5)
    before = [float(optax.tree.norm(layer)) for layer in gradient.layers]
    assert apart or norms[0] / norms[1] == pytest.approx(before[0] / before[1], rel=1e-5)


def test_how_many_trials_run_at_once_does_not_matter():
    loss, network, batch = small(exact=False)
    one, other = (study.named(loss, network, batch, at_once) for at_once in (3, 4))
    np.testing.assert_array_equal(one.waves, other.waves)
    np.testing.assert_array_equal(one.rates, other.rates)
    assert one.waves.shape == batch[1].shape


@pytest.mark.parametrize(("kind", "exact"), [("LIF", False), ("BRF", False), ("QIF", True)])
def test_networks_learn_which_event_came_last(kind, exact, tmp_path):
    competitor = study.Competitor(
        kind, exact, steps=130, skipped=10, hidden_rate=1e-2 if exact else 2e-2, limit=1.0 if exact else 0.0, budget=500
    )
    arguments = {"hidden": 8, "epochs": 8, "batch_steps": 1040, "seeds": [0], "folder": tmp_path}
    marked = made_up(8), made_up(2, seed=1)
    _, history = study.train(competitor, *marked, **arguments)[0]
    assert history[-1]["test_accuracy"] > 0.7, "half of the steps are of either wave"
    assert history[-1]["loss"] < 0.8 * history[1]["loss"]
    assert history[-1]["test_accuracy"] == history[-1]["marked"], "all steps are marked"
    assert study.train(competitor, *marked, **arguments)[0][1] == history


def test_competitors_have_names_of_their_own():
    chosen = [study.Competitor("LIF"), study.Competitor("LIF", exact=True), study.Competitor("LIF", hidden_rate=0.0)]
    assert [study.name_of(one) for one in chosen] == ["LIF surrogate", "LIF exact", "LIF readout"]


def test_the_interval_of_a_mean_is_that_of_a_normal_one_where_trials_are_many():
    accuracy = np.random.default_rng(0).random(2000)
    low, high = study.interval(accuracy)
    spread = 1.96 * accuracy.std() / np.sqrt(2000)
    np.testing.assert_allclose([low, high], accuracy.mean() + np.array([-spread, spread]), atol=0.1 * spread)
    assert study.interval(np.full(9, 0.5)) == (0.5, 0.5)


def test_a_linear_classifier_of_traces_knows_which_event_came_last():
    found = study.linear_waves(made_up(6), made_up(2, seed=1))
    assert wave_accuracy(found, made_up(2, seed=1).waves).marked > 0.9


def test_traces_decay_by_their_time_constants():
    marked = made_up(1, period=1300)
    features = study.filtered(marked).reshape(STEPS, -1, 8)
    for place, constant in enumerate(study.FILTERS, start=1):
        np.testing.assert_allclose(
            features[:1300, place].max(1), 3 * np.exp(-np.arange(1300) / RATE / constant), rtol=1e-4, atol=1e-30
        )
    assert len(study.filtered(marked, 10)) == 131
