"""Learning to spike at given times, step limits, and descent as a scan."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.dynamics.neurons.qif import QIF
from stablespike.learning.pseudospikes import continuous_counts
from stablespike.learning.training import StepLimit, TrainingError, descend, gradient_training
from stablespike.tasks.poisson import poisson_spikes
from studies.spike_patterns import (
    InputSpikes,
    largest_move,
    network_pattern_loss,
    network_trial,
    neuron_pattern_loss,
    random_network_pattern,
    random_neuron_pattern,
    spike_move_limit,
)

DURATION = 5.0


@pytest.fixture(scope="module")
def neuron_task():
    return random_neuron_pattern(np.random.default_rng(2), QIF(), 6, 1.0, [2.0], DURATION)


@pytest.fixture(scope="module")
def network_task():
    generator = np.random.default_rng(4)
    inputs = poisson_spikes(generator, 0.5, 4, DURATION, room=40)
    return random_network_pattern(
        generator, QIF(), 4, inputs, 5.0, 0.2, [[2.0, 4.5]], DURATION, watched=3, on=ss.Events(14)
    )


START = InputSpikes(jnp.array([1.0, 1.0]), jnp.array([1.0, 2.0]))


def test_a_silent_neuron_learns_and_bounded_steps_stay_bounded(neuron_task):
    infos = {}
    for name, limit in {"plain": None, "bounded": spike_move_limit(DURATION, 0.1)}.items():
        init, step = gradient_training(neuron_pattern_loss, optax.sgd(0.1), limit)
        _, infos[name] = descend(step, init(START, jax.random.key(0)), neuron_task, steps=300)
        assert infos[name].extra[0, 0, 0] > DURATION
        assert infos[name].loss[-1] < 1e-6
    times = jnp.minimum(infos["bounded"].extra, DURATION)
    assert jnp.abs(jnp.diff(times, axis=0)).max() <= 0.1
    assert infos["bounded"].step_size.min() < 1
    assert (infos["plain"].step_size == 1).all()


def test_gradients_of_both_losses_are_those_of_differences(neuron_task, network_task):
    losses = [
        (lambda trained: neuron_pattern_loss(trained, neuron_task, jax.random.key(0))[0], START),
        (
            lambda weights: network_pattern_loss(weights, network_task, jax.random.key(0))[0],
            network_task.network.layers[0].loop.weights,
        ),
    ]
    for loss, point in losses:
        gradient = jax.grad(loss)(point)
        flat, restore = jax.flatten_util.ravel_pytree(point)
        direction = jnp.asarray(np.random.default_rng(0).normal(size=flat.size))
        up, down = (loss(restore(flat + sign * 1e-6 * direction)) for sign in (1, -1))
        found = (jax.flatten_util.ravel_pytree(gradient)[0] * direction).sum()
        np.testing.assert_allclose(found, (up - down) / 2e-6, rtol=1e-6)


def test_seeds_trained_together_are_trained_as_alone(neuron_task):
    init, step = gradient_training(neuron_pattern_loss, optax.sgd(0.1))
    others = [START, InputSpikes(jnp.array([1.5, 0.5]), jnp.array([0.5, 3.0]))]
    tasks = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), neuron_task)
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *others)
    keys = jax.random.split(jax.random.key(0), 2)
    _, together = descend(eqx.filter_vmap(step), eqx.filter_vmap(init)(starts, keys), tasks, steps=20, chunk=10)
    assert together.loss.shape == (20, 2)
    for place, start in enumerate(others):
        _, alone = descend(step, init(start, keys[place]), neuron_task, steps=20, chunk=10)
        np.testing.assert_allclose(together.loss[:, place], alone.loss, rtol=1e-9)


def test_a_bound_that_no_step_keeps_stops_the_training_with_the_history(neuron_task):
    limit = StepLimit(lambda _, __: jnp.asarray(2.0), 1.0, halvings=3)
    init, step = gradient_training(neuron_pattern_loss, optax.sgd(0.1), limit)
    with pytest.raises(TrainingError, match="Step 1 was not applied") as caught:
        descend(step, init(START, jax.random.key(0)), neuron_task, steps=10)
    assert caught.value.history == []


def test_moves_beyond_the_trial_do_not_count():
    assert largest_move(jnp.array([6.0, 1.0]), jnp.array([9.0, 1.25]), DURATION) == 0.25


def test_continuous_count_is_the_count_at_a_spike_at_the_trial_end(network_task):
    network = network_task.network
    _, run = network_trial(network.layers[0].loop.weights, network_task)
    time, source = run.output.spikes.times[3], int(run.output.spikes.sources[3])
    counts = []
    for end in (time * (1 - 1e-9), time * (1 + 1e-9)):
        one = ss.simulate(network, network_task.inputs, end)
        counts.append(continuous_counts(network, one, coupled=False)[0][source])
        whole = int(one.output.counts[source])
    np.testing.assert_allclose(counts, whole, atol=1e-6)


def test_poisson_spikes_have_their_rate_and_fit_or_raise():
    spikes = poisson_spikes(np.random.default_rng(0), 2.0, 50, 10.0, room=1300)
    assert abs(int(spikes.count) - 1000) < 4 * np.sqrt(1000)
    assert (jnp.diff(spikes.times[: int(spikes.count)]) >= 0).all()
    assert jnp.isinf(spikes.times[int(spikes.count) :]).all()
    with pytest.raises(ValueError, match="room of 10"):
        poisson_spikes(np.random.default_rng(0), 2.0, 50, 10.0, room=10)
