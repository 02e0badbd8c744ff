"""Initial weights do what their formulas promise: membrane statistics, norms, the critical gain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import NoReset
from stablespike.learning.grid_initialisation import (
    Drive,
    critical_gain,
    fluctuation_driven,
    normal_by_fan_in,
    orthogonal,
    response_area,
    response_energy,
)
from stablespike.learning.regularisers import RateBand
from stablespike.learning.surrogates import Gaussian, SuperSpike

CELL = GridLIF(20.0, 10.0, 1.0, reset=NoReset())
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("drives", "mean", "distance"),
    [((Drive(200, 0.01),), 0.0, 1.0), ((Drive(150, 0.012, 0.7), Drive(100, 0.008, 0.3)), 0.2, 2.0)],
)
def test_the_membrane_has_the_mean_and_deviation_asked_for(drives, mean, distance):
    """Averages over 4000 neurons, whose realised means scatter by 0.8 deviations; a mean of 0 in deviations."""
    weights = jnp.concatenate(fluctuation_driven(KEY, CELL, 4000, drives, mean=mean, distance=distance), 1)
    rates = np.concatenate([np.full(drive.sources, drive.rate) for drive in drives])
    spikes = np.random.default_rng(1).poisson(rates, (1700, rates.size)).astype(float)
    voltages = run_on_grid(GridNetwork((Layer(CELL, Dense(weights)),)), jnp.asarray(spikes)).cells[0].voltage[200:]
    deviation = (1 - mean) / distance
    found = float(jnp.mean(voltages)), float(jnp.sqrt(jnp.mean(jnp.var(voltages, 0))))
    print(f"mean {found[0]:.4f} ({mean}), deviation {found[1]:.4f} ({deviation})")
    assert abs(found[0] - mean) <= 0.05 * max(abs(mean), deviation)
    assert abs(found[1] - deviation) <= 0.05 * deviation


def test_areas_are_those_of_the_simulated_response():
    network = GridNetwork((Layer(CELL, Dense(jnp.ones((1, 1)))),))
    response = run_on_grid(network, jnp.zeros((2000, 1)).at[0].set(1)).cells[0].voltage
    np.testing.assert_allclose(response_area(CELL), response.sum(), rtol=1e-12)
    np.testing.assert_allclose(response_energy(CELL), (response**2).sum(), rtol=1e-12)
    fine = GridLIF(20.0, 10.0, 1e-3)
    np.testing.assert_allclose(response_energy(fine), 10.0**2 / (2 * 30.0), rtol=1e-3)


def test_a_mean_that_brings_too_much_variance_is_refused():
    with pytest.raises(ValueError, match="mean alone brings more variance"):
        fluctuation_driven(KEY, CELL, 10, (Drive(2, 0.01),), mean=0.9, distance=5.0)
    with pytest.raises(ValueError, match="shares must add up to 1"):
        fluctuation_driven(KEY, CELL, 10, (Drive(2, 0.01, 0.5),), distance=1.0)
    with pytest.raises(ValueError, match="at least one source"):
        fluctuation_driven(KEY, CELL, 10, (Drive(0, 0.01),), distance=1.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mean": 2.0}, "must lie below the threshold"),
        ({"rate": float("nan")}, "a positive rate"),
        ({"neurons": 0}, "at least one"),
    ],
)
def test_what_cannot_be_driven_is_refused(changes, sentence):
    asked = {"mean": 0.0, "rate": 1.0, "neurons": 3} | changes
    with pytest.raises(ValueError, match=sentence):
        fluctuation_driven(
            jax.random.key(0), GridLIF(2.0, 1.0, 0.1), asked["neurons"], (Drive(5, asked["rate"]),), mean=asked["mean"],
            distance=1.0,
        )  # fmt: skip


def test_the_critical_gain_of_each_threshold_is_its_own():
    both = critical_gain(GridLIF(2.0, 1.0, 0.1, jnp.array([1.0, 1.5])), SuperSpike(), 0.3, 0.4)
    each = [critical_gain(GridLIF(2.0, 1.0, 0.1, one), SuperSpike(), 0.3, 0.4) for one in (1.0, 1.5)]
    np.testing.assert_allclose(both, each, rtol=1e-14)


def test_at_the_critical_gain_the_leading_mode_neither_grows_nor_shrinks():
    """Modulus of the leading eigenvalue of the public Jacobian with slopes drawn once: 1 within the finite size."""
    size, mean, deviation, slope = 300, 0.3, 0.5, SuperSpike(5.0)
    gain = critical_gain(CELL, slope, mean, deviation)
    first, second = jax.random.split(KEY)
    slopes = slope(mean + deviation * jax.random.normal(first, (size,)) - 1)
    recurrent = normal_by_fan_in(second, size, size, gain) * slopes
    a, b = np.exp(-1 / 10), np.exp(-1 / 20)
    jacobian = np.block(
        [[a * np.eye(size), recurrent], [(1 - b) * a * np.eye(size), b * np.eye(size) + (1 - b) * recurrent]]
    )
    leading = np.abs(np.linalg.eigvals(jacobian)).max()
    print(f"gain {gain:.4f}, leading modulus {leading:.5f}")
    assert abs(leading - 1) <= 0.2 * (1 - b)


def test_the_mean_square_slope_is_that_of_the_integral():
    """Gaussian slope of sharpness c: <slope^2> = (1 + 2 c^2 s^2)^(-1/2) exp(-(c m)^2/(1 + 2 c^2 s^2))."""
    sharpness, mean, deviation = 2.0, 0.4, 0.3
    spread = 1 + 2 * (sharpness * deviation) ** 2
    exact = np.exp(-((sharpness * (mean - 1)) ** 2) / spread) / np.sqrt(spread)
    found = critical_gain(CELL, Gaussian(sharpness), mean, deviation)
    np.testing.assert_allclose(found, (1 - np.exp(-0.1)) / np.sqrt(exact), rtol=1e-12)


def test_orthogonal_and_normal_weights():
    wide = orthogonal(KEY, 4, 9, 0.5)
    np.testing.assert_allclose(wide @ wide.T, 0.25 * np.eye(4), atol=1e-12)
    assert abs(float(jnp.std(normal_by_fan_in(KEY, 300, 400, 2.0))) * 20 / 2 - 1) < 0.01


def test_the_band_of_rates():
    counts = jnp.asarray([[0.0, 2.0, 9.0], [0.0, 4.0, 11.0]])
    band = RateBand(1.0, 8.0, 3.0)
    np.testing.assert_allclose(band(counts), 3.0 * (1.0 + 0 + 4.0) / 3)
    np.testing.assert_allclose(jax.grad(band)(counts)[:, 0], -3.0 * 2 * 1.0 / 3 / 2)
    assert float(RateBand(0.0)(counts)) == 0
    with pytest.raises(ValueError, match="0 <= lower <= upper"):
        RateBand(2.0, 1.0)
