"""Recurrences along time, all of whose terms are found at once: prefixes by associative scans (Blelloch 1990).

The first axis is time. K terms take about 2 log2 K steps, one after the other, of whole arrays, and O(K) work.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Entries = tuple[Array, Array, Array, Array]  # of matrices: nn, nd, dn, dd, each `[steps, ...]`


def affine_prefixes(
    factors: Float[Array, "steps _"], terms: Float[Array, "steps neurons"]
) -> Float[Array, "steps neurons"]:
    """All terms of y_k = a_k y_(k-1) + b_k, with y = 0 before the first; `factors` a of one column serve all neurons.

    Composition of (a, b) then (c, d) is (a c, c b + d). Factors in [0, 1] cannot overflow; a product that underflows
    is 0. Derivatives of any order and mode, from the linear system y - a (y one step before) = b: cotangents obey the
    same recurrence from the end to the start, and nothing but a and y is kept for them.
    """
    after = jnp.concatenate([factors[1:], jnp.zeros_like(factors[:1])])

    def left_over(y: Array) -> Array:
        return y - factors * jnp.concatenate([jnp.zeros_like(y[:1]), y[:-1]])

    def solve(_: Callable, terms: Array) -> Array:
        return jax.lax.associative_scan(_composed, (factors, terms))[1]

    def solve_back(_: Callable, terms: Array) -> Array:
        return jax.lax.associative_scan(_composed, (after, terms), reverse=True)[1]

    return jax.lax.custom_linear_solve(left_over, terms, solve, solve_back)


def _composed(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
    return earlier[0] * later[0], later[0] * earlier[1] + later[1]


def product_prefixes(matrices: Entries) -> Entries:
    """All products M_k ... M_1 M_0 of 2 x 2 matrices `rescaled` before, up to positive factors.

    The largest entry of each is 1: nothing overflows, and an entry that underflows is below the rounding of the largest
    one. Shapes: entries `[steps, neurons]`. Not meant to be differentiated: factors count as constants.
    """
    return jax.lax.associative_scan(_multiplied, matrices)


def _multiplied(earlier: Entries, later: Entries) -> Entries:
    nn, nd, dn, dd = earlier
    a, b, c, d = later
    return rescaled((a * nn + b * dn, a * nd + b * dd, c * nn + d * dn, c * nd + d * dd))[0]


def rescaled(matrices: Entries) -> tuple[Entries, Array]:
    """Matrices whose largest entry is 1, and the positive factors that made them so, which count as constants."""
    largest = jnp.stack([jnp.abs(entry) for entry in matrices]).max(0)
    factor = 1 / jax.lax.stop_gradient(largest)
    nn, nd, dn, dd = (entry * factor for entry in matrices)
    return (nn, nd, dn, dd), factor
