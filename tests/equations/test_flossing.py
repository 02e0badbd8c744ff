"""Equation flossing: (1/k) sum_i (lambda_i - target)^2 over the leading k exponents."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.stability.flossing import Flossing, flossing_loss


def test_loss_of_a_diagonal_map():
    rates = np.array([0.3, -0.1, -0.7])
    step = lambda state, _: jnp.exp(jnp.asarray(rates)) * state  # noqa: E731
    flossing = Flossing(2, 0.1, transient=200)
    value, (status, exponents) = flossing_loss(flossing, step, jnp.ones(3), None, jax.random.key(0), 220)
    assert status.ok
    np.testing.assert_allclose(exponents, rates[:2], atol=1e-12)
    np.testing.assert_allclose(value, np.mean((rates[:2] - 0.1) ** 2), rtol=1e-10)
