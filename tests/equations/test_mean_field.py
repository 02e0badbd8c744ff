"""Equation mean_field: c(s) = g^2 C_h(s) sum_r G(s - r) c(r), the exponent being where its largest eigenvalue is 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import stablespike as ss
from stablespike.stability.surrogate_tangent import PUBLIC
from stablespike.tasks.poisson import poisson_spikes

STEPS, UNTIL, LAGS, NEURONS = 10, 30.0, 80, 60
A, B = np.exp(-2 / STEPS), np.exp(-1 / STEPS)


def largest_eigenvalue(slopes, strength, rate):
    """By the sums as they stand: `slopes` `[steps, neurons]`, `strength` g^2 a neuron, `rate` per step."""
    u = np.arange(4000)
    kernel = (1 - B) * (B ** (u + 1) - A ** (u + 1)) / (B - A) * np.exp(-rate * (u + 1))
    lags = np.arange(-LAGS, LAGS + 1)
    green = np.array([kernel[: kernel.size - s] @ kernel[s:] for s in range(2 * LAGS + 1)])
    steps = slopes.shape[0]
    of_slopes = np.array([((slopes[: steps - s] * slopes[s:]) @ strength).sum() / (steps - s) for s in range(LAGS + 1)])
    matrix = of_slopes[np.abs(lags)][:, None] * green[np.abs(lags[:, None] - lags)] / NEURONS
    return np.abs(np.linalg.eigvals(matrix)).max()


@pytest.mark.parametrize("sharpness", [1.0, 4.0])
def test_the_exponent_is_the_root_of_this_equation(sharpness):
    keys = jax.random.split(jax.random.key(0))
    inputs = ss.Dense(0.3 * jax.random.normal(keys[0], (NEURONS, 50)))
    loop = 3 * jax.random.normal(keys[1], (NEURONS, NEURONS)) / np.sqrt(NEURONS)
    network = ss.Network(ss.Layer(ss.LIF(1.0), inputs, ss.Dense(loop)))
    spikes = poisson_spikes(np.random.default_rng(1), 4.0, 50, UNTIL)
    on = ss.Grid(1 / STEPS, ss.SuperSpike(sharpness), reset=PUBLIC, watched=True)
    run = ss.simulate(network, spikes, UNTIL, on=on)
    before = jnp.concatenate([jnp.zeros((1, NEURONS)), run.cells[0].voltage[:-1]])
    slopes, strength = np.asarray(on.slope(before - 1)), np.square(np.asarray(loop)).sum(0)

    def excess(rate):
        return largest_eigenvalue(slopes, strength, rate) - 1

    exact = STEPS * scipy.optimize.brentq(excess, -0.5 / STEPS, 1.0, xtol=1e-7)
    assert ss.mean_field_exponent(network, spikes, UNTIL, on=on) == pytest.approx(exact, abs=5e-3)
