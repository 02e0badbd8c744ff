"""Entire functions that replace cos, sin and their hyperbolic twins where the sign of the current may change.

    c_k(z) = sum_j (-z)^j / (2j + k)!,   c_0 = cos sqrt z,   c_1 = sin sqrt z / sqrt z   (cosh, sinh for z < 0)

They are smooth through z = 0, so neither a value nor a derivative of any order meets a 0/0 there
(Stumpff 1959; the derivative rule is c_k' = (k c_{k+2} - c_{k+1}) / 2). The values are computed in a form
that can also be differentiated as it stands: when the gradient of a loop is differentiated again, JAX forgets the rule.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stablespike.native.conventions import FAR

SERIES_RADIUS = 4.0  # (1/k! - c_k)/z would lose digits inside it
TINY = 2e-6  # z^3/720 is below 2e-20 inside it
SERIES_TERMS = 12  # the first term left out is below 1e-19 of c_k at the radius, for k >= 2


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def stumpff(order: int, z: Float[Array, "..."] | float) -> Float[Array, "..."]:
    """Stumpff function c_order(z), elementwise for any real z; derivatives of any order are exact.

    Shapes: `z` any shape, the result the same. Dimensionless. Relative error: a few units of rounding times the
    condition number, also of the first derivative.
    """
    z = jnp.asarray(z)
    if order == 0:
        return _cosine_of_root(z)
    if order == 1:
        return _sine_over_root(z)
    if order == 2:  # half the square of the sine of half the angle: no cancellation anywhere
        return 0.5 * _sine_over_root(0.25 * z) ** 2
    near = jnp.abs(z) < SERIES_RADIUS
    far = jnp.where(near, SERIES_RADIUS, z)
    upward = (1 / math.factorial(order - 2) - stumpff(order - 2, far)) / far
    return jnp.where(near, _series(order, jnp.where(near, z, 0)), upward)


@stumpff.defjvp
def _stumpff_jvp(order: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (z,), (dz,) = primals, tangents
    slope = 0.5 * (order * stumpff(order + 2, z) - stumpff(order + 1, z)) if order else -0.5 * stumpff(1, z)
    return stumpff(order, z), slope * dz


def stumpff_pair(z: Float[Array, "..."], too_large: Bool[Array, "..."]) -> tuple[Float[Array, "..."], ...]:
    """(c_0(z), c_1(z)) where only their ratio matters: for z < -400 times cosh(20)/cosh sqrt(-z), lest they overflow.

    Shapes: all the same. c_1 is nan where `too_large`, which needs z < 0. Errors as for `stumpff`.
    """
    far = (z < -(FAR**2)) | too_large
    near = jnp.where(far, -(FAR**2), z)
    fading = jnp.sqrt(FAR**2 / jnp.where(far, jnp.where(too_large, jnp.nan, -z), FAR**2))
    odd = stumpff(1, near)
    return stumpff(0, near), jnp.where(far, odd * fading, odd)


def _cosine_of_root(z: Array) -> Array:
    tiny, root = _guarded_root(z)
    far = jnp.where(z > 0, jnp.cos(root), jnp.cosh(jnp.where(z > 0, 0, root)))
    return jnp.where(tiny, 1 - z / 2 + z**2 / 24, far)


def _sine_over_root(z: Array) -> Array:
    tiny, root = _guarded_root(z)
    sine = jnp.where(z > 0, jnp.sin(root), jnp.sinh(jnp.where(z > 0, 0, root)))
    return jnp.where(tiny, 1 - z / 6 + z**2 / 120, sine / root)


def _guarded_root(z: Array) -> tuple[Array, Array]:
    """Whether |z| is so small that three terms of a series hold all digits, and sqrt|z|, there 1 instead."""
    tiny = jnp.abs(z) < TINY
    return tiny, jnp.sqrt(jnp.abs(jnp.where(tiny, 1, z)))


def _series(order: int, z: Array) -> Array:
    coefficients = [(-1) ** j / math.factorial(2 * j + order) for j in range(SERIES_TERMS)]
    return jnp.polyval(jnp.asarray(coefficients[::-1], z.dtype), z, unroll=SERIES_TERMS)
