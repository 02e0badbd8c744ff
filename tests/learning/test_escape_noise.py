"""Stochastic neurons: what a surrogate gradient is on average, against sums over all spike patterns."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import NoReset, ResetToZero
from stablespike.learning.escape_noise import LogisticEscape, NoisyCell, drawn_spikes, with_key

STEPS, ESCAPE = 6, LogisticEscape(4.0)
INPUTS = jnp.asarray(np.random.default_rng(0).uniform(0, 3, (STEPS, 2)))
COSTS = jnp.asarray(np.random.default_rng(1).normal(size=STEPS))
WEIGHTS = jnp.asarray([[0.9, 0.6]])


def network(weights, reset, escape=ESCAPE):
    return GridNetwork((Layer(NoisyCell(GridLIF(4.0, 2.0, 1.0, reset=reset), escape), Dense(weights)),))


def patterns():
    return jnp.asarray(list(itertools.product((0.0, 1.0), repeat=STEPS)))


def along(weights, pattern, reset, felt):
    """Probability of a spike pattern of one neuron, and its loss with spikes that feel their probability, or not."""
    cell = GridLIF(4.0, 2.0, 1.0, reset=reset)
    state, spike, probability, loss = cell.initial_state(1, weights.dtype), jnp.zeros(1), 1.0, 0.0
    for k in range(STEPS):
        state = cell.advance(state, spike, weights @ INPUTS[k])
        chance = ESCAPE(cell.distance(state))
        probability = probability * jnp.where(pattern[k] > 0, chance, 1 - chance)[0]
        uniform = jnp.where(pattern[k] > 0, -1.0, 2.0)[None]
        spike = drawn_spikes(chance, uniform) if felt else pattern[k][None]
        loss = loss + COSTS[k] * spike[0]
    return probability, loss


@functools.partial(jax.jit, static_argnums=0)
def gradients(reset):
    """Gradient of the expected loss, and the expectation of the surrogate gradient."""
    every = patterns()

    def expected(weights):
        probabilities, losses = jax.vmap(lambda one: along(weights, one, reset, False))(every)
        return jnp.sum(probabilities * losses)

    surrogate = jax.vmap(jax.grad(lambda w, one: along(w, one, reset, True)[1]), (None, 0))(WEIGHTS, every)
    chances = jax.vmap(lambda one: along(WEIGHTS, one, reset, False)[0])(every)
    return jax.grad(expected)(WEIGHTS), jnp.einsum("p,pij->ij", chances, surrogate), chances.sum()


def test_without_reset_the_surrogate_gradient_is_unbiased():
    true, surrogate, total = gradients(NoReset())
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    np.testing.assert_allclose(surrogate, true, rtol=1e-12)


def test_through_resets_it_is_an_approximation():
    true, surrogate, _ = gradients(ResetToZero())
    error = float(jnp.linalg.norm(surrogate - true) / jnp.linalg.norm(true))
    print(f"relative error of the expected surrogate gradient through resets: {error:.3f}")
    assert 1e-6 < error < 0.5


def test_drawn_trains_have_the_probabilities_of_the_patterns():
    """1500 trials of the cell in a network beside the exact mean of every step, within five standard errors."""
    net = network(WEIGHTS, ResetToZero())
    trials = jax.vmap(lambda key: run_on_grid(net, INPUTS, with_key(net.initial_state(), key)).readout[:, 0])
    spikes = np.asarray(trials(jax.random.split(jax.random.key(3), 1500)))
    chances = np.asarray(jax.vmap(lambda one: along(WEIGHTS, one, ResetToZero(), False)[0])(patterns()))
    mean = chances @ np.asarray(patterns())
    error = np.sqrt(mean * (1 - mean) / len(spikes))
    assert np.all(np.abs(spikes.mean(0) - mean) < 5 * error)
    assert np.array_equal(spikes, trials(jax.random.split(jax.random.key(3), 1500)))


def test_a_falling_probability_is_refused():
    with pytest.raises(ValueError, match="sharpness must be positive"):
        LogisticEscape(-1.0)
