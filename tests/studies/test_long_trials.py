"""`long_trials`: gradients of single trials, whether they agree, and the loss along a direction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.studies.test_electrocardiogram import made_up, small

from studies import long_trials as study
from studies.electrocardiogram import trials_of


@pytest.mark.parametrize("exact", [False, True])
def test_the_mean_of_the_gradients_of_trials_is_that_of_the_batch(exact):
    loss, network, batch = small(exact)
    found = study.gradients_of(loss, network, batch)
    whole = eqx.filter_grad(lambda net: loss(net, batch)[0])(network)
    np.testing.assert_allclose(found.hidden.mean(0), study.hidden_weights(whole), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.readout.mean(0), whole.layers[1].inputs.weights.ravel(), rtol=1e-9, atol=1e-12)
    assert (np.linalg.norm(found.hidden, axis=1) > 1e-4).all()


def test_the_slope_of_the_loss_along_a_direction_is_that_of_the_gradient():
    loss, network, batch = small(exact=True)
    mean = study.gradients_of(loss, network, batch).hidden.mean(0)
    along = jax.random.normal(jax.random.key(0), mean.shape)
    sizes = 1e-6 * jnp.array([-1.0, 0.0, 1.0])
    values = study.losses_along(loss, network, batch, along, sizes)
    np.testing.assert_allclose(values[1], loss(network, batch)[0], rtol=1e-12)
    unit = along * jnp.linalg.norm(study.hidden_weights(network)) / jnp.linalg.norm(along)
    np.testing.assert_allclose((values[2] - values[0]) / 2e-6, mean @ unit, rtol=1e-4)


def test_halves_of_trials_that_all_say_the_same_agree_and_of_noise_do_not():
    same = np.tile(np.array([1.0, -2.0, 3.0]), (16, 1))
    assert study.agreement(same) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=(400, 3000))
    assert abs(study.agreement(noise)) < 0.02
    # a common part of length a in noise of d dimensions and n trials: cosine a^2/(a^2 + 2 d/n) for halves of n/2
    signal = np.full(3000, np.sqrt(15 / 3000))
    assert study.agreement(noise + signal) == pytest.approx(15 / (15 + 2 * 3000 / 400), abs=0.03)


def test_long_gradients_are_shortened_and_short_ones_left():
    gradients = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(study.shortened(gradients, 1.0), [[0.6, 0.8], [0.3, 0.4], [0, 0]])
    np.testing.assert_array_equal(study.shortened(gradients, 0.0), gradients)


def test_what_is_said_of_gradients():
    hidden, readout = np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([[2.0], [2.0]])
    found = study.described(study.Gradients(hidden, readout))
    assert found["hidden"] == pytest.approx(np.sqrt(5))
    assert found["readout"] == pytest.approx(2)
    assert found["mean"] == pytest.approx(np.sqrt(10) / 2)
    assert found["loudest"] == pytest.approx(0.9)
    assert found["agreement"] == pytest.approx(0)
    assert found["readout agreement"] == pytest.approx(1)


def test_the_exponent_of_a_power_is_its_own():
    assert study.exponent([10.0, 20.0, 80.0], [2.0, 2 * 2**1.5, 2 * 8**1.5]) == pytest.approx(1.5)


def test_changes_add_up_and_are_called_by_their_names():
    one = study.changed("QIF", ["driven", "large steps"])
    assert (one.kind, one.exact, one.drive, one.hidden_rate, one.limit) == ("QIF", True, 3.0, 5e-3, 0.2)
    assert study.changed("LIF", ["large steps", "readout alone"]).hidden_rate == 0
    assert study.called("QIF", ["driven"]) == "QIF exact, driven"


def test_in_double_nothing_but_the_precision_changes():
    _, network, batch = small(exact=True, dtype=jnp.float32)
    found = study.in_double((network, batch))
    types = {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(found, eqx.is_inexact_array))}
    assert types == {jnp.dtype(jnp.float64)}
    jax.tree.map(
        np.testing.assert_array_equal, eqx.filter(found, eqx.is_array), eqx.filter((network, batch), eqx.is_array)
    )


def test_pieces_are_spread_over_all_and_trials_are_those_asked_for():
    marked = made_up(6)
    some = study.some_of(marked, [4, 1])
    np.testing.assert_array_equal(some.waves, marked.waves[[4, 1]])
    for k, trial in enumerate((4, 1)):
        np.testing.assert_array_equal(some.recordings.trial(k)[0], marked.recordings.trial(trial)[0])
    trials = trials_of(marked, 650)
    spikes, waves = study.spread(trials, 3)
    np.testing.assert_array_equal(waves, trials[1][jnp.array([0, 6, 11])])
    np.testing.assert_array_equal(spikes.times, trials[0].times[jnp.array([0, 6, 11])])
