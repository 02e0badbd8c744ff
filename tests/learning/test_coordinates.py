"""Optimisers of logarithms: plain descent in another coordinate, bounds, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import stablespike as ss


def test_a_step_is_that_of_the_logarithm():
    at = jnp.array([0.02, 0.5, 7.0])
    descent = ss.in_logarithms(optax.sgd(0.1))
    gradient = jax.grad(lambda p: (p**2).sum())(at)
    found = optax.apply_updates(at, descent.update(gradient, descent.init(at), at)[0])
    by_hand = jax.grad(lambda z: (jnp.exp(z) ** 2).sum())(jnp.log(at))
    np.testing.assert_allclose(found, jnp.exp(jnp.log(at) - 0.1 * by_hand), rtol=1e-12)


def test_adam_moves_fast_and_slow_neurons_by_the_same_factor():
    at = jnp.array([0.001, 1.0, 1000.0], jnp.float32)
    adam = ss.in_logarithms(optax.adam(0.01))
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integer step counts with floats
        found = optax.apply_updates(at, adam.update(1 / at, adam.init(at), at)[0])
    np.testing.assert_allclose(found / at, np.exp(-0.01), rtol=1e-6)
    assert found.dtype == at.dtype


def test_parameters_stay_within_their_bounds():
    at, descent = jnp.array([0.2, 0.9]), ss.in_logarithms(optax.sgd(1.0), 0.1, 1.0)
    pushes = jnp.array([1e3, -1e3])
    found = optax.apply_updates(at, descent.update(pushes, descent.init(at), at)[0])
    np.testing.assert_allclose(found, [0.1, 1.0])


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (2.0, 1.0), (jnp.nan, 1.0)])
def test_bounds_that_are_none_are_refused(low, high):
    with pytest.raises(ValueError, match="bounds need 0 <= low < high"):
        ss.in_logarithms(optax.sgd(0.1), low, high)
