"""`costs_of_training`: memory that grows as it must, time that is that of the steps, and a network that stays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.studies.test_networks_that_hear import HEARING, chords

import stablespike as ss
from studies import costs_of_training as study
from studies import networks_that_hear


def workload(competitor):
    training = networks_that_hear.trials_of(chords(0), HEARING)
    network = networks_that_hear.hearing_network(jax.random.key(0), competitor, HEARING, 10, 2)
    optimiser = networks_that_hear.optimiser(networks_that_hear.Learning(batch_size=8), training[1].shape[0])
    return networks_that_hear.hearing_task(competitor, HEARING), optimiser, network, training


def test_memory_holds_the_inputs_and_grows_with_the_batch_and_not_with_the_trials():
    loss, optimiser, network, trials = workload(networks_that_hear.Competitor(ss.LIF, exact=False))
    small, large = (study.epoch_cost(loss, optimiser, network, trials, size, repeats=1) for size in (4, 16))
    half = jax.tree.map(lambda leaf: leaf[:16], trials)
    assert large.memory > sum(leaf.nbytes for leaf in jax.tree.leaves(half))
    assert 1.5 * small.memory < large.memory < 4.5 * small.memory
    assert study.epoch_cost(loss, optimiser, network, half, 4, repeats=1).memory == small.memory


def test_an_epoch_is_so_many_steps_and_a_step_is_that_of_training(monkeypatch):
    loss, optimiser, network, trials = workload(networks_that_hear.Competitor(ss.LIF, exact=False))
    batch = jax.tree.map(lambda leaf: leaf[:8], trials)
    one = study.step_cost(loss, optimiser, network, batch)
    init, update = ss.gradient_training(loss, optimiser)
    expected = update(init(network, jax.random.key(0)), batch)[0].parameters.layers[0].inputs.weights
    np.testing.assert_allclose(one.result.parameters.layers[0].inputs.weights, expected, rtol=1e-4, atol=1e-6)
    assert jnp.abs(expected - network.layers[0].inputs.weights).max() > 0
    monkeypatch.setattr(study, "cost", lambda *_, **__: one)
    found = study.epoch_cost(loss, optimiser, network, trials, 8)
    assert found.seconds == pytest.approx(4 * one.processor_median)
    assert found.seconds > 0
