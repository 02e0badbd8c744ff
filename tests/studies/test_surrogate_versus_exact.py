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
    rows = train_to_spike(
        method, judge, TARGETS, network, optax.sgd(1e-2), trial, rounds=2, steps=2, key=jax.random.key(0)
    )
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
