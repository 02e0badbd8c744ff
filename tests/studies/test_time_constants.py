"""Networks that hear with time constants of their own: drawn as said, moved by their logarithms, kept within bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from studies import networks_that_hear as hearing_study
from studies import time_constants as study

HEARING = hearing_study.Hearing(channels=6, hidden=400, duration=0.08, shift=0)
LEARNING = hearing_study.Learning(1, 8)


def test_time_constants_are_drawn_evenly_by_their_logarithm_and_named():
    mixed = study.Membranes(0.02, 0.1)
    network = study.network_of(jax.random.key(0), mixed, HEARING, 6, 3)
    constants = np.asarray(network.layers[0].neuron.membrane_time_constant)
    np.testing.assert_allclose(np.quantile(constants, [0, 0.5, 1]), [0.02, np.sqrt(0.002), 0.1], rtol=0.06)
    names = [study.name_of(one) for one in (study.Membranes(), mixed, mixed._replace(rate=0.1))]
    assert names == ["20 ms", "20 to 100 ms", "20 to 100 ms, trained"]


def test_logarithms_are_trained_and_stay_within_their_bounds():
    membranes = study.Membranes(0.02, 0.1, rate=0.5)
    network = study.network_of(jax.random.key(0), membranes, HEARING, 6, 3)
    arrays = study.eqx.filter(network, study.eqx.is_inexact_array)
    gradient = jax.tree.map(jnp.ones_like, arrays)
    rule = study.optimiser(membranes, LEARNING, 10)
    with jax.numpy_dtype_promotion("standard"):  # as in training: optax mixes integer step counts with floats
        updates, _ = rule.update(gradient, rule.init(arrays), arrays)
    before, after = (
        np.asarray(tree.layers[0].neuron.membrane_time_constant)
        for tree in (arrays, optax.apply_updates(arrays, updates))
    )
    free = before * np.exp(-0.5)  # the first step of Adam has the length of the rate
    np.testing.assert_allclose(after, np.maximum(free, 0.02 / 1.25), rtol=1e-4)
    still = study.optimiser(membranes._replace(rate=0.0), LEARNING, 10)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = still.update(gradient, still.init(arrays), arrays)
    assert (updates.layers[0].neuron.membrane_time_constant == 0).all()
    assert (updates.layers[0].loop.weights != 0).all()


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_a_network_is_trained_its_time_constants_if_they_are_to_be(rate):
    hearing = HEARING._replace(hidden=8, mean=1.0)
    membranes = study.Membranes(0.02, 0.1, rate=rate)
    generator = np.random.default_rng(0)
    times = jnp.asarray(np.sort(generator.uniform(0, 0.08, (16, 30))), jnp.float32)
    trials = ss.Spikes(times, jnp.asarray(generator.integers(0, 6, (16, 30)))), jnp.arange(16) % 3
    options = {"channels": 6, "classes": 3, "seed": 0, "hearing": hearing, "learning": LEARNING}
    state, history = study.train(membranes, trials, **options, evaluate=lambda _: {"seen": 1.0})
    start = study.network_of(jax.random.key(0), membranes, hearing, 6, 3)
    before, after = (one.layers[0].neuron.membrane_time_constant for one in (start, state.parameters))
    assert (before != after).all() if rate else (before == after).all()
    assert (start.layers[0].loop.weights != state.parameters.layers[0].loop.weights).any()
    assert [one["seen"] for one in history] == [1.0, 1.0]
