"""Classifiers with flossing: rounds that resume, exponents that move, norms and counts by other routes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.dynamics.status import sentence_of
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.learning.readouts import cross_entropy
from stablespike.stability.surrogate_tangent import GridStep
from studies.flossing_spoken_digits import (
    ClassifierFlossing,
    activity,
    dynamics_tables,
    flossed_task,
    gradient_norms_of_answer,
    hidden_layers,
    setting,
    spectra_of_layers,
    train_in_rounds,
)
from studies.spoken_digits import Inputs, Neurons, grid_classifier, signals_of

NEURONS, INPUTS, KEY = Neurons(0.02, 0.1, 0.01, 3.0), Inputs(6, 2, 100.0), jax.random.key(0)
TASK = flossed_task(NEURONS, 0.2)
FLOSSING = ClassifierFlossing(ss.Flossing(3, transient=2), TASK, 2)


@pytest.fixture(scope="module")
def trials():
    """Class 0 spikes in the first three channels, class 1 in the others; 12 trials of 20 steps."""
    generator = np.random.default_rng(0)
    labels = np.arange(12) % 2
    times = generator.uniform(0, 0.2, (12, 40))
    sources = generator.integers(0, 3, (12, 40)) + 3 * labels[:, None]
    return jax.vmap(ss.in_order)(jnp.asarray(times), jnp.asarray(sources, jnp.int32)), jnp.asarray(labels)


def network(*sizes):
    return grid_classifier(KEY, NEURONS, INPUTS, sizes, distance=0.25, recurrence=1.0, hidden_rate=20.0)


def test_layers_of_a_classifier():
    two = network(8, 7)
    assert [layer.inputs.weights.shape for layer in two.layers] == [(8, 6), (7, 8), (2, 7)]
    assert [layer.loop is None for layer in two.layers] == [False, False, True]
    assert len(hidden_layers(two).layers) == 2
    with pytest.raises(ValueError, match="at least one layer"):
        network()
    with pytest.raises(ValueError, match="hidden layer below its readout"):
        hidden_layers(ss.Network(*two.layers[-1:]))
    with pytest.raises(ValueError, match="a positive rate"):
        grid_classifier(KEY, NEURONS, INPUTS, (8, 7), distance=0.25, recurrence=1.0)


def test_exponents_of_all_layers_sum_up_to_the_time_constants(trials):
    exponents, errors = spectra_of_layers(TASK, network(5, 4), trials, KEY, count=8, transient=20)
    assert exponents.shape == errors.shape == (2, 8)
    np.testing.assert_allclose(exponents[1].sum(), -4 * (0.01 / 0.02 + 0.01 / 0.01), rtol=1e-5)


def test_flossing_brings_exponents_to_the_target_and_training_goes_on_from_its_files(trials, tmp_path):
    given = setting(TASK, FLOSSING, optimiser=optax.adam(1e-2), flossing_optimiser=optax.adam(1e-2))
    options = {"batch_size": 4, "rounds": [(3, 2), (1, 1)]}
    found = train_in_rounds(given, network(8), trials, trials, KEY, checkpoint=tmp_path / "a", **options)
    before, after = (
        np.abs(spectra_of_layers(TASK, one, trials, KEY, count=3, transient=20)[0]) for one in (network(8), found.start)
    )
    assert after.mean() < before.mean()
    assert [row["epoch"] for row in found.history] == [0, 1, 2, 3]
    assert found.history[-1]["loss"] < found.history[1]["loss"]
    (tmp_path / "a" / "training-1.eqx").unlink()
    again = train_in_rounds(given, network(8), trials, trials, KEY, checkpoint=tmp_path / "a", **options)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_flossing_during_training_is_part_of_the_loss(trials):
    task = setting(TASK, FLOSSING, optimiser=optax.sgd(1.0), flossing_optimiser=optax.sgd(1.0))
    both = setting(TASK, FLOSSING, optimiser=optax.sgd(1.0), flossing_optimiser=optax.sgd(1.0), strength=0.5)
    losses = [one.descent[1](one.descent[0](network(8), KEY), trials)[1] for one in (task, both)]
    penalty, (status, exponents) = FLOSSING(network(8), trials, KEY)
    assert sentence_of(status) is None
    assert exponents.shape == (2, 1, 3)
    np.testing.assert_allclose(penalty, np.mean(np.asarray(exponents) ** 2), rtol=1e-5)
    assert losses[1].extra[1].shape == (2, 1, 3)
    regular = jnp.mean(losses[1].extra[1] ** 2)
    np.testing.assert_allclose(losses[1].loss, losses[0].loss + 0.5 * regular, rtol=1e-5)


def test_gradients_of_an_answer_by_a_change_of_the_input(trials):
    one = network(8, 7)
    norms, of_inputs = gradient_norms_of_answer(TASK, one, jax.tree.map(lambda leaf: leaf[:3], trials), 6)
    assert norms.shape == of_inputs.shape == (3, 6)
    signals = signals_of(TASK, trials[0], 6)[0, :6].astype(jnp.float32)
    hidden, readout = as_grid_network(hidden_layers(one), TASK.on), one.layers[-1].inputs.weights
    step = GridStep(hidden)

    def loss(signals):
        state = step.rest()
        for signal in signals:
            state = step(state, signal)
        return cross_entropy(readout @ hidden.layers[-1].cell.output(state[-1].cell), trials[1][0])

    np.testing.assert_allclose(of_inputs[0], np.linalg.norm(jax.jit(jax.grad(loss))(signals), axis=1), rtol=1e-4)


def test_activity_and_tables(trials):
    one = network(8, 7)
    found = activity(TASK, one, trials)
    outputs = [layer.signals for layer in TASK.run(one, trials[0]).layers[:2]]
    np.testing.assert_allclose(found.spikes, [float(each.sum(1).mean()) for each in outputs], rtol=1e-6)
    assert found.silent[1] == np.mean(np.asarray(outputs[1]).sum((0, 1)) == 0)
    spectra, norms, rates = dynamics_tables(
        TASK, one, trials, KEY, count=3, transient=20, spectrum_trials=4, probed_trials=3, probed_steps=6
    )
    assert list(spectra["layer"]) == [1, 1, 1, 2, 2, 2]
    assert list(norms["distance"]) == [6, 5, 4, 3, 2, 1]
    assert rates["spikes"][0] == pytest.approx(found.spikes.mean())


def test_what_cannot_be_asked_for(trials, tmp_path):
    with pytest.raises(ValueError, match="strength of flossing"):
        setting(TASK, FLOSSING, optimiser=optax.sgd(1.0), flossing_optimiser=optax.sgd(1.0), strength=-1.0)
    with pytest.raises(ValueError, match="batches of so many"):
        FLOSSING(network(8), jax.tree.map(lambda leaf: leaf[:1], trials), KEY)
    given = setting(TASK, FLOSSING, optimiser=optax.sgd(1.0), flossing_optimiser=optax.sgd(1.0))
    with pytest.raises(ValueError, match="at least one round"):
        train_in_rounds(given, network(8), trials, trials, KEY, rounds=[], batch_size=4, checkpoint=tmp_path)
