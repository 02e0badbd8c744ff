"""Two simulations of one network: their losses agree as the step shrinks, and the exact gradient is the true one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.neurons.lif import LIF
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.tasks.poisson import poisson_spikes
from studies.surrogate_versus_exact import Classification, Exact, SpikeTiming, Surrogate, twin_weights
from studies.surrogate_versus_exact_training import stacked

T, CHANNELS = 3.0, 10
RANDOM = np.random.default_rng(0)
BATCH = stacked([poisson_spikes(RANDOM, 0.8, CHANNELS, T, room=60) for _ in range(3)])
LABELS = jnp.asarray([0, 1, 1])
WEIGHTS = twin_weights(jax.random.key(1), CHANNELS, (8, 6), 2, mean=3.0, spread=2.5, loop=0.4)
EXACT = Exact(LIF(1.0), T, capacity=24, max_events=384)
CLASSIFY = jax.jit(lambda weights: Classification(EXACT)(weights, (BATCH, LABELS))[0])
TARGETS = jnp.asarray([[0.5, 2.0], [1.0, jnp.inf]])


def moved(weights, direction, step):
    return jax.tree.map(lambda leaf, d: leaf + step * d, weights, direction)


def difference(function, weights, direction, step=1e-5):
    far, near = (
        function(moved(weights, direction, k * step)) - function(moved(weights, direction, -k * step)) for k in (2, 1)
    )
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("kind", ["classification", "timing"])
def test_the_exact_gradient_is_the_slope_of_the_loss(kind):
    timing = jax.jit(lambda weights: SpikeTiming(EXACT, TARGETS, 40)(weights, BATCH)[0])
    loss = CLASSIFY if kind == "classification" else timing
    gradient = jax.grad(loss)(WEIGHTS)
    random = np.random.default_rng(3)
    direction = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape)), WEIGHTS)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, difference(loss, WEIGHTS, direction), rtol=1e-6)


def test_the_loss_on_the_grid_approaches_the_exact_one():
    spike = SurrogateSpike(SuperSpike(10.0))
    losses = [
        float(Classification(Surrogate(1.0, T, steps, spike))(WEIGHTS, (BATCH, LABELS))[0]) for steps in (60, 3000)
    ]
    exact = float(CLASSIFY(WEIGHTS))
    assert abs(losses[1] - exact) < 0.2 * abs(losses[0] - exact)
    assert abs(losses[1] - exact) < 0.01 * exact
