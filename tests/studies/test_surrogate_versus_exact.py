"""Two simulations of one network: their losses agree as the step shrinks, and the exact gradient is the true one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss
from stablespike.tasks.poisson import poisson_spikes
from studies.surrogate_versus_exact import (
    Classification,
    Method,
    SpikeTimes,
    SpikeTiming,
    align,
    random_network,
    read_network,
    stacked,
    surrogate,
    train_to_spike,
)

T, CHANNELS = 3.0, 10
RANDOM = np.random.default_rng(0)
BATCH = stacked([poisson_spikes(RANDOM, 0.8, CHANNELS, T, room=60) for _ in range(3)])
LABELS = jnp.asarray([0, 1, 1])
NETWORK = read_network(jax.random.key(1), ss.LIF(1.0), CHANNELS, (8, 6), 2, mean=3.0, spread=2.5, loop=0.4)
EXACT = Method(T, ss.Events(24))
CLASSIFY = eqx.filter_jit(lambda network: Classification(EXACT)(network, (BATCH, LABELS))[0])
TARGETS = jnp.asarray([[0.5, 2.0], [1.0, jnp.inf]])


def moved(network, direction, step):
    return eqx.apply_updates(network, jax.tree.map(lambda one: step * one, direction))


def difference(function, network, direction, step=1e-5):
    far, near = (
        function(moved(network, direction, k * step)) - function(moved(network, direction, -k * step)) for k in (2, 1)
    )
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("kind", ["classification", "timing"])
def test_the_exact_gradient_is_the_slope_of_the_loss(kind):
    timing = eqx.filter_jit(lambda one: SpikeTiming(EXACT, TARGETS, 40)(one.network, BATCH)[0])
    loss = CLASSIFY if kind == "classification" else timing
    gradient = eqx.filter_grad(loss)(NETWORK)
    random = np.random.default_rng(3)
    direction = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape)), gradient)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, difference(loss, NETWORK, direction), rtol=1e-6)


def test_the_loss_on_the_grid_approaches_the_exact_one():
    losses = [float(Classification(surrogate(T, steps, 10.0))(NETWORK, (BATCH, LABELS))[0]) for steps in (60, 3000)]
    exact = float(CLASSIFY(NETWORK))
    assert abs(losses[1] - exact) < 0.2 * abs(losses[0] - exact)
    assert abs(losses[1] - exact) < 0.01 * exact


def test_alignments_of_all_sharpnesses_and_their_refusals():
    found = align(NETWORK, (BATCH, LABELS), EXACT, 60, [1.0, 30.0])
    assert found.cosine.shape == (2,)
    assert np.all(np.abs(np.asarray(found.cosine)) <= 1)
    assert found.norm_ratio[0] > found.norm_ratio[1] > 0, "a blunter surrogate gives a larger gradient"
    assert float(found.loss[0]) == float(found.loss[1]), "the forward pass must not know the sharpness"
    weak = jax.tree.map(lambda leaf: 0.01 * leaf if eqx.is_array(leaf) else leaf, NETWORK)
    with pytest.raises(ValueError, match="a layer was silent"):
        align(weak, (BATCH, LABELS), EXACT, 60, [1.0, 30.0])


def test_training_to_spike_is_gradient_descent_judged_after_every_round():
    network = random_network(jax.random.key(1), ss.LIF(1.0), 20, (12,), mean=4.0, spread=2.5, loop=0.5)
    trial = poisson_spikes(np.random.default_rng(1), 0.5, 20, T, room=100)
    method, judge = surrogate(T, 60, 10.0), EXACT
    loss, key = SpikeTiming(method, TARGETS), jax.random.key(0)
    rows = train_to_spike(loss, judge, TARGETS, network, optax.sgd(1e-2), trial, rounds=2, steps=2, key=key)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda one: SpikeTiming(method, TARGETS)(one, stacked([trial]))[0]))
    expected = []
    for done in range(5):
        if done % 2 == 0:
            expected.append(
                {"step": done, "distance": float(SpikeTiming(judge, TARGETS)(network, stacked([trial]))[0])}
            )
        network = moved(network, gradient(network), -1e-2)
    assert [row["step"] for row in rows] == [0, 2, 4]
    np.testing.assert_allclose([row["distance"] for row in rows], [row["distance"] for row in expected], rtol=1e-9)
    assert rows[0]["distance"] != rows[2]["distance"]


@pytest.mark.parametrize("neuron", [ss.LIF(1.0), ss.QIF(1.0)])
def test_a_neuron_that_owes_a_spike_is_told_so_by_its_pseudospike(neuron):
    """Weights of a network that is silent: the distance of trains has no gradient, that of spike times has one."""
    network = random_network(jax.random.key(1), neuron, 20, (6,), mean=0.2, spread=0.1, loop=0.5)
    trial = stacked([poisson_spikes(np.random.default_rng(1), 0.5, 20, T, room=100)])
    targets = jnp.asarray([[0.5 * T], [0.7 * T]])

    def gradient(loss):
        return np.asarray(eqx.filter_grad(lambda one: loss(one, trial)[0])(network).layers[0].inputs.weights)

    assert not gradient(SpikeTiming(EXACT, targets)).any()
    told = gradient(SpikeTimes(EXACT, targets))
    assert (np.abs(told[:2]).sum(1) > 0).all()
    weights = network.layers[0].inputs.weights

    def moved_by(step):
        layer = eqx.tree_at(lambda one: one.inputs.weights, network.layers[0], weights.at[0, 3].add(step))
        return float(SpikeTimes(EXACT, targets)(ss.Network(layer), trial)[0])

    assert told[0, 3] == pytest.approx((moved_by(1e-5) - moved_by(-1e-5)) / 2e-5, rel=1e-5)


def test_a_spike_that_nobody_asked_for_is_pushed_out():
    """By hand: distance 0 for the spike that is asked for, (T - t)^2 for the one that is not, over two places."""
    network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(jnp.array([[6.0]])), ss.Dense(jnp.zeros((1, 1)))))
    trial = ss.Spikes(jnp.array([0.1, 2.0]), jnp.zeros(2, int))
    times = ss.simulate(network, trial, T).output.spike_times(2)[0]
    loss = SpikeTimes(EXACT, times[None, :1])(network, stacked([trial]))[0]
    assert float(loss) == pytest.approx(float((T - times[1]) ** 2) / 2, rel=1e-12)
