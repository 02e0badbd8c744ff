"""Networks that answer bits: their loss by hand, their gradients, and training with flossing in between."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.stability.flossing import Before, Between, Flossing, Never
from stablespike.stability.lyapunov import SingularJacobian
from studies.bit_answers import answer_loss, bit_streams, distances_of
from studies.flossing_delayed_xor import (
    gradient_norms_of_last_answer,
    joint_flossing,
    layered_flossing,
    random_bit_answers,
    tables_of,
    train_to_answer,
    vectors_pushed,
)

CELL, KEY = ss.BinaryCell(0.0, ss.SurrogateSpike(ss.SuperSpike(1.0))), jax.random.key(0)
BITS = np.random.default_rng(0).integers(0, 2, (12, 9, 1))
SCORED = np.arange(9) >= 1
STREAMS = bit_streams(BITS, np.roll(BITS[:, :, 0], 1, 1), SCORED)


def model(sizes=(6,), cell=CELL, **options):
    return random_bit_answers(KEY, cell, sizes, 1, gain=1.0, input_gain=1.0, **options)


TWO, BRIEFLY, PLAIN = Flossing(2, transient=2), Before(2), Never()


def train(start, *, flossing=TWO, schedule=BRIEFLY, **options):
    """Two seeds of one model, the same twice, trained for a moment."""
    models = jax.tree.map(lambda leaf: np.stack([leaf, leaf]) if eqx.is_array(leaf) else leaf, start)
    return train_to_answer(
        models, jax.random.split(KEY, 2), STREAMS, STREAMS, optimiser=optax.adam(1e-2), trials=4, steps=4, chunk=4,
        schedule=schedule, flossing=joint_flossing(flossing), flossing_optimiser=optax.adam(1e-2), **options,
    )  # fmt: skip


def test_signals_are_held_and_answered_in_the_last_step():
    held = bit_streams(BITS, BITS[:, :, 0], SCORED, repeat=3)
    assert held.signals.shape == (12, 27, 1)
    np.testing.assert_array_equal(held.signals[:, 1::3, 0], 2 * BITS[:, :, 0] - 1)
    np.testing.assert_array_equal(np.flatnonzero(held.scored[0]), 3 * np.arange(1, 9) + 2)
    with pytest.raises(ValueError, match="an answer that is scored"):
        bit_streams(BITS, BITS[:, :, 0], np.zeros(9, bool))


def test_loss_by_hand():
    value, (status, right) = answer_loss(model(), STREAMS)
    network, costs, hits = model(), [], []
    layer = network.network.layers[0]
    inward, loop, readout = map(np.asarray, (layer.inputs.weights, layer.loop.weights, network.readout))
    for signals, answers in zip(np.asarray(STREAMS.signals), np.asarray(STREAMS.answers), strict=True):
        voltage = np.zeros(6)
        for place, (signal, answer) in enumerate(zip(signals, answers, strict=True)):
            voltage = loop @ (voltage >= 0) + inward @ signal
            odds = readout @ (voltage >= 0) + float(network.bias)
            if SCORED[place]:
                costs.append(np.logaddexp(0, -odds if answer else odds))
                hits.append((odds > 0) == bool(answer))
    assert status.ok.all()
    np.testing.assert_allclose((value, right), (np.mean(costs), np.mean(hits)), rtol=1e-12)


def test_flossing_by_layer_is_joint_flossing_for_one_layer():
    one, other = (
        maker(Flossing(2, transient=2))(model(), STREAMS, KEY) for maker in (joint_flossing, layered_flossing)
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12)
    np.testing.assert_allclose(one[1][1], other[1][1][0], rtol=1e-12)
    two = layered_flossing(Flossing(2, transient=2))(model((6, 5)), STREAMS, KEY)
    assert two[1][1].shape == (2, 2)


def test_training_with_flossing():
    keys = jax.random.split(KEY, 2)
    models = eqx.filter_vmap(lambda key: random_bit_answers(key, CELL, (6,), 1, gain=1.0, input_gain=1.0))(keys)
    options = {
        "optimiser": optax.adam(1e-2), "trials": 4, "steps": 20, "chunk": 10,
        "flossing": joint_flossing(Flossing(2, transient=2)), "flossing_optimiser": optax.adam(1e-2),
    }  # fmt: skip
    plain = train_to_answer(models, keys, STREAMS, STREAMS, schedule=Never(), **options)
    flossed = train_to_answer(models, keys, STREAMS, STREAMS, schedule=Before(30), **options)
    assert (plain.flossed, flossed.flossed) == (0, 30)
    assert plain.exponents is None
    assert plain.course.shape == flossed.course.shape == (2, 2)
    _, (_, before) = joint_flossing(Flossing(2, transient=2))(jax.tree.map(lambda x: x, model()), STREAMS, KEY)
    assert np.abs(flossed.exponents).max() < np.abs(before).max()
    results, course, back = tables_of(plain, [1, 2], 10, STREAMS)
    assert (len(results), len(course), len(back)) == (2, 4, 18)
    np.testing.assert_allclose(results.accuracy, plain.accuracy)
    norms = gradient_norms_of_last_answer(plain.models, STREAMS)
    assert norms.shape == (2, 12, 9)
    assert np.all(norms[:, :, -1] > 0)


def test_distances_are_read_where_asked_for():
    spikes, distances = model(), model(values=distances_of)
    signals = STREAMS.signals[0]
    voltage, layer = np.zeros(6), spikes.network.layers[0]
    inward, loop, readout = map(np.asarray, (layer.inputs.weights, layer.loop.weights, spikes.readout))
    for signal, both in zip(
        np.asarray(signals), zip(spikes(signals)[0], distances(signals)[0], strict=True), strict=True
    ):
        voltage = loop @ (voltage >= 0) + inward @ signal
        np.testing.assert_allclose(both, (readout @ (voltage >= 0), readout @ voltage), rtol=1e-12)


def test_flossing_during_training_and_its_cost():
    during, plain = (train(model(), schedule=Never(), strength=strength) for strength in (1.0, 0.0))
    assert during.flossed == 0
    assert during.course.shape == plain.course.shape
    weights = [found.models.network.layers[0].loop.weights for found in (during, plain)]
    assert np.abs(weights[0] - weights[1]).max() > 1e-4
    assert vectors_pushed(2, 30, 20, 4, 9) == 9 * (20 * 4 + 30 * 3)
    assert vectors_pushed(2, 0, 20, 4, 9, during=True) == 9 * (20 * 4 + 20 * 3)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: train(model(), flossing=Flossing(7)), ValueError, "7 exponents were asked for, but the state has 6"),
        (lambda: train(model(), flossing=Flossing(2, transient=9)), ValueError, "of 9 steps leaves no interval"),
        (lambda: train(model(), flossing=Flossing(6)), SingularJacobian, "first 5 of 6 exponents can be flossed"),
        (lambda: train(model(cell=ss.BinaryCell(9.0, CELL.spike))), ValueError, "Layer 1 of network 1 is silent"),
        (lambda: train(model((6, 5), ss.BinaryCell(-9.0, CELL.spike))), ValueError, "is saturated"),
        (lambda: train(model(), schedule=Between(2, (0, 6))), ValueError, "multiples of the chunk"),
        (lambda: train(model(), schedule=Before(-1)), ValueError, "must not be negative"),
        (lambda: train(model(), strength=1.0, schedule=Never(), flossing=Flossing(7)), ValueError, "lower count"),
    ],
)
def test_what_cannot_be_flossed_is_said_before_training(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


@pytest.mark.parametrize("options", [{"steps": 5, "chunk": 4}, {"steps": 0}, {"chunk": 0}, {"trials": 0}])
def test_steps_are_whole_chunks(options):
    models = jax.tree.map(lambda leaf: np.stack([leaf, leaf]) if eqx.is_array(leaf) else leaf, model())
    with pytest.raises(ValueError, match="whole chunks"):
        train_to_answer(
            models, jax.random.split(KEY, 2), STREAMS, STREAMS, optimiser=optax.adam(1e-2), schedule=PLAIN,
            flossing=joint_flossing(TWO), flossing_optimiser=optax.adam(1e-2),
            **{"trials": 4, "steps": 4, "chunk": 4, **options},
        )  # fmt: skip
