"""Entire functions that replace cos, sin and their hyperbolic twins where the sign of the current may change.

    c_k(z) = sum_j (-z)^j / (2j + k)!,   c_0 = cos sqrt z,   c_1 = sin sqrt z / sqrt z   (cosh, sinh for z < 0)

They are smooth through z = 0, so neither a value nor a derivative of any order meets a 0/0 there
(Stumpff 1959; the derivative rule is c_k' = (k c_{k+2} - c_{k+1}) / 2).
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SERIES_RADIUS = 1.0
SERIES_TERMS = 11  # the first term left out is below 1e-22 at the radius


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def stumpff(order: int, z: Float[Array, ""]) -> Float[Array, ""]:
    """Stumpff function c_order(z), elementwise for any real z; derivatives of any order are exact.

    Shapes: `z` any shape, the result the same. Dimensionless.
    """
    near = jnp.abs(z) < SERIES_RADIUS
    return jnp.where(near, _series(order, jnp.where(near, z, 0)), _closed_form(order, jnp.where(near, 4, z)))


@stumpff.defjvp
def _stumpff_jvp(order, primals, tangents):
    (z,), (dz,) = primals, tangents
    slope = 0.5 * (order * stumpff(order + 2, z) - stumpff(order + 1, z)) if order else -0.5 * stumpff(1, z)
    return stumpff(order, z), slope * dz


def _series(order, z):
    coefficients = [(-1) ** j / math.factorial(2 * j + order) for j in range(SERIES_TERMS)]
    return jnp.polyval(jnp.asarray(coefficients[::-1], z.dtype), z, unroll=SERIES_TERMS)


def _closed_form(order, z):
    root = jnp.sqrt(jnp.abs(z))
    positive = z > 0
    if order % 2:
        value = jnp.where(positive, jnp.sin(root), jnp.sinh(jnp.where(positive, 0, root))) / root
    else:
        value = jnp.where(positive, jnp.cos(root), jnp.cosh(jnp.where(positive, 0, root)))
    for k in range(order % 2, order, 2):
        value = (1 / math.factorial(k) - value) / z
    return value
