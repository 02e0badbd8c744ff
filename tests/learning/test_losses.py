"""Losses against their closed forms."""

import jax
import jax.numpy as jnp
import pytest

from stablespike.learning.losses import (
    count_error,
    first_spike_cross_entropy,
    first_to_spike,
    spike_time_error,
    voltage_error,
)


def test_first_spike_cross_entropy_is_softmax_of_minus_time_with_a_cost_of_lateness():
    times = jnp.array([1.0, 2.0, 4.0])
    odds = jnp.exp(-times / 0.5)
    expected = -jnp.log(odds[1] / odds.sum()) + 0.1 * (jnp.exp(2.0 / 3.0) - 1)
    value = first_spike_cross_entropy(times, jnp.array(1), time_scale=0.5, late_cost=0.1, duration=3.0)
    assert value == pytest.approx(float(expected), rel=1e-14)
    slope = jax.grad(first_spike_cross_entropy)(times, jnp.array(1))
    assert slope[1] > 0 > slope[0]


def test_first_to_spike_is_nobody_in_silence():
    assert first_to_spike(jnp.array([3.0, 1.0, jnp.inf])) == 1
    assert first_to_spike(jnp.full(3, jnp.inf)) == -1


@pytest.mark.parametrize("loss", [spike_time_error, count_error, voltage_error])
def test_mean_squared_errors(loss):
    assert loss(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])) == pytest.approx(2.5)
