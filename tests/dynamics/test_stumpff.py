"""Stumpff functions and their derivatives against forty digits, through zero and around the radius of the series."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.dynamics.exact import ROUNDING

from stablespike.dynamics.neurons.logarithm import arctanh, log1p
from stablespike.dynamics.neurons.stumpff import SERIES_RADIUS, stumpff

EDGE = SERIES_RADIUS * np.asarray([1 - 1e-15, 1.0, 1 + 1e-15, 1.2])
MAGNITUDES = np.concatenate([np.geomspace(1e-30, 90, 40), EDGE])
POINTS = np.concatenate([-MAGNITUDES, [0.0], MAGNITUDES])


def true_stumpff(order, z):
    with mp.workdps(90):
        z = mp.mpf(float(z))
        if abs(z) < 1:
            return mp.fsum((-z) ** j / mp.factorial(2 * j + order) for j in range(40))
        root = mp.sqrt(abs(z))
        values = [mp.cos(root), mp.sin(root) / root] if z > 0 else [mp.cosh(root), mp.sinh(root) / root]
        for k in range(2, order + 1):
            values.append((1 / mp.factorial(k - 2) - values[k - 2]) / z)
        return values[order]


def true_slope(order, z):
    return (order * true_stumpff(order + 2, z) - true_stumpff(order + 1, z)) / 2


@pytest.mark.parametrize("order", range(6))
def test_values_and_slopes(order):
    values = np.asarray(jax.jit(lambda z: stumpff(order, z))(POINTS))
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(lambda z: stumpff(order, z))))(POINTS))
    units, slope_errors = [], []
    for z, value, slope in zip(POINTS, values, slopes, strict=True):
        true, true_derivative = true_stumpff(order, z), true_slope(order, z)
        units.append(float(abs(value - true) / (abs(true) + abs(z * true_derivative))) / ROUNDING)
        second = (order * true_slope(order + 2, z) - true_slope(order + 1, z)) / 2
        slope_errors.append(float(abs(slope - true_derivative) / (abs(true_derivative) + abs(z * second))))
    print(f"order {order}: value {max(units):.1f} units of rounding, slope {max(slope_errors):.1e}")
    assert max(units) <= 20
    assert max(slope_errors) <= 1e-13


def test_second_derivatives_at_zero():
    for order in range(4):
        second = jax.grad(jax.grad(lambda z, order=order: stumpff(order, z)))(0.0)
        np.testing.assert_allclose(second, 2 / float(mp.factorial(order + 4)), rtol=1e-14)


def test_logarithm_near_one():
    x = np.concatenate([np.linspace(-0.999, 0.999, 801), np.geomspace(1e-20, 0.5, 100), -np.geomspace(1e-20, 0.5, 100)])
    x = x[x != 0]
    computed, slopes = jax.jit(log1p)(x), jax.jit(jax.vmap(jax.grad(log1p)))(x)
    true = [mp.log1p(float(y)) for y in x]
    errors = [abs((float(c) - t) / t) for c, t in zip(computed, true, strict=True)]
    print(f"log1p: {float(max(errors)) / ROUNDING:.1f} units of rounding")
    assert max(errors) <= 4 * ROUNDING
    np.testing.assert_allclose(slopes, 1 / (1 + x), rtol=1e-14)
    assert float(jax.grad(log1p)(0.0)) == 1.0
    inside = x[(x > -0.7) & (x < 0.99)]
    np.testing.assert_allclose(jax.jit(arctanh)(inside), [float(mp.atanh(float(y))) for y in inside], rtol=2e-15)


def test_dtype_is_kept():
    assert stumpff(2, jnp.ones(3, jnp.float32)).dtype == jnp.float32
    assert log1p(jnp.ones(3, jnp.float32)).dtype == jnp.float32
