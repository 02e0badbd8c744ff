"""Rates that are driven into a band, and gradients of trials that are shortened one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.learning.classify import limited
from stablespike.learning.regularisers import driven_counts

UNTIL = 0.2
TIMES = jnp.array([[0.01, 0.02, 0.03, 0.1], [0.01, 0.04, jnp.inf, jnp.inf], [0.02, 0.021, 0.022, 0.12]])
SPIKES = ss.Spikes(TIMES, jnp.array([[0, 1, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]]))
LABELS = jnp.array([0, 1, 1])


def network(scale, key=0):
    first, second, third = jax.random.split(jax.random.key(key), 3)
    layer = ss.Layer(
        ss.LIF(0.02),
        ss.Dense(scale * (4 + jax.random.normal(first, (3, 2)))),
        loop=ss.Dense(0.5 * jax.random.normal(second, (3, 3))),
    )
    return ss.Network(layer, ss.Layer(ss.ShapedReadout(0.02, 0.1), ss.Dense(jax.random.normal(third, (2, 3)))))


def task(**options):
    return ss.classify(UNTIL, score=ss.Outputs(gain=10.0), on=ss.Events(16), **options)


def test_driven_counts_are_the_counts_with_the_slope_of_neurons_without_leak():
    layer, below, own = network(1.0).layers[0], jnp.array([[2.0, 1.0]]), jnp.array([[0.0, 3.0, 1.0]])
    np.testing.assert_array_equal(driven_counts(layer, below, own), own)
    slope = jax.grad(lambda layer: driven_counts(layer, below, own)[0, 1])(layer)
    np.testing.assert_allclose(slope.inputs.weights, [[0, 0], [1.0, 0.5], [0, 0]])
    np.testing.assert_allclose(slope.loop.weights, [[0, 0, 0], [0, 1.5, 0.5], [0, 0, 0]])


def test_silent_neurons_are_driven_until_they_spike_and_those_in_the_band_left_alone():
    penalty = ss.DrivenRates(ss.RateBand(0.5))
    silent, spiking = network(0.01), network(2.0)

    def value(network):
        return penalty(network, SPIKES, task().run(network, SPIKES))

    assert value(silent) == pytest.approx(0.25)
    np.testing.assert_array_equal(jax.tree.leaves(eqx.filter_grad(value)(spiking))[0], 0)
    init, step = ss.gradient_training(task(penalty=ss.DrivenRates(ss.RateBand(0.5, strength=100.0))), optax.adam(0.1))
    state = init(silent, jax.random.key(1))
    for _ in range(60):
        state, info = step(state, (SPIKES, LABELS))
        assert info.applied
        if value(state.parameters) == 0:
            break
    assert value(state.parameters) == 0


def test_the_penalty_is_that_of_training_only():
    loss, silent = task(penalty=ss.DrivenRates(ss.RateBand(0.5))), network(0.01)
    plain = task()(silent, (SPIKES, LABELS))[0]
    assert loss(silent, (SPIKES, LABELS))[0] == plain
    assert loss(silent, (SPIKES, LABELS), jax.random.key(0))[0] == pytest.approx(plain + 0.25)


def test_the_gradient_of_a_batch_is_the_mean_of_shortened_gradients_of_its_trials():
    spiking, limit = network(2.0), 0.5

    def gradient(loss, trials):
        batch = jax.tree.map(lambda leaf: leaf[trials], (SPIKES, LABELS))
        return eqx.filter_grad(lambda one: loss(one, batch, jax.random.key(0))[0])(spiking)

    alone = [gradient(task(), np.array([k])) for k in range(3)]
    norms = np.array([optax.tree.norm(one.layers[0]) for one in alone])
    assert norms.min() < limit < norms.max()
    factors = np.minimum(1, limit / norms)
    expected = jax.tree.map(lambda *parts: sum(f * part for f, part in zip(factors, parts, strict=True)) / 3, *alone)
    found = gradient(task(limit=limit), np.arange(3))
    for ours, theirs in zip(jax.tree.leaves(found.layers[0]), jax.tree.leaves(expected.layers[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_limited_network_is_the_same_network():
    spiking = network(2.0)
    for ours, theirs in zip(jax.tree.leaves(limited(spiking, 1.0, TIMES[0])), jax.tree.leaves(spiking), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_sparse_connections_are_refused():
    weights = ss.from_matrix(np.ones((3, 2)))
    with pytest.raises(ValueError, match="driven rates know Dense and Delayed"):
        driven_counts(ss.Layer(ss.LIF(0.02), ss.Sparse(weights)), jnp.ones((1, 2)), jnp.ones((1, 3)))


def test_a_ceiling_counts_single_trials_and_drives_only_what_is_loud():
    ceiling = ss.CountCeiling(3.0, 2.0)
    counts = jnp.array([[0.0, 5.0], [0.0, 1.0]])  # the mean of 3 is not above, the single 5 is
    assert ceiling(counts) == pytest.approx(2.0 * 4 / 4)
    np.testing.assert_allclose(jax.grad(ceiling)(counts), 2.0 * np.array([[0, 4], [0, 0]]) / 4)
    assert ss.RateBand(0.0, 3.0)(counts) == 0
    with pytest.raises(ValueError, match="must not be negative or nan"):
        ss.CountCeiling(-1.0)
    quiet, loud = ss.DrivenRates(ss.CountCeiling(1e3)), ss.DrivenRates(ss.CountCeiling(0.0))
    spiking = network(2.0)
    run = task().run(spiking, SPIKES)
    for penalty, moved in ((quiet, False), (loud, True)):
        gradient = eqx.filter_grad(lambda one, penalty=penalty: penalty(one, SPIKES, run))(spiking)
        assert bool(np.any(jax.tree.leaves(gradient)[0])) is moved
