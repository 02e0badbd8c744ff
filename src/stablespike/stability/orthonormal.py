"""Orthonormalisation of tangent vectors, with the derivative that flossing needs."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from stablespike.native.gram_schmidt import factors as native_factors

Vectors = Float[Array, "count dimension"]


def orthonormalise(vectors: Vectors) -> tuple[Vectors, Float[Array, " count"], Int[Array, " count"]]:
    """Z = L Q with L lower triangular: orthonormal rows Q, growth log L_ii > -inf, 1 where a row is independent.

    `vectors` `[count, dimension]` holds one vector per row. A row that is a combination of those above, to rounding, is
    marked 0; its growth is -inf and must not be used. The derivative, in forward and in reverse mode, has a closed
    form: with Y = L^-1 dZ, X = Y Q^T and U the strict upper part of X, d log L_ii = X_ii and dQ = Y - (X - U + U^T) Q,
    so that neither L nor its derivative is stored. First derivatives only.
    """
    basis, growth, _, independent = _factors(vectors)
    return basis, growth, independent


def random_basis(key: Key[Array, ""], count: int, dimension: int, dtype: Any) -> Vectors:
    """`count` random orthonormal rows, uniformly distributed."""
    return orthonormalise(jax.random.normal(key, (count, dimension), dtype))[0]


@jax.custom_jvp
def _factors(vectors: Array) -> tuple[Array, Array, Array, Array]:
    return jax.lax.platform_dependent(vectors, cpu=native_factors, default=_xla_factors)


@_factors.defjvp
def _factors_jvp(
    primals: tuple[Array], tangents: tuple[Any]
) -> tuple[tuple[Array, Array, Array, Array], tuple[Any, ...]]:
    (vectors,), (change,) = primals, tangents
    basis, growth, inverse, independent = _factors(vectors)
    y = inverse @ change
    x = y @ basis.T
    upper = jnp.triu(x, 1)
    derivatives = y - (x - upper + upper.T) @ basis, jnp.diagonal(x), _unknown(inverse), _none(independent)
    return (basis, growth, inverse, independent), derivatives


def _unknown(inverse: Array) -> Array:
    """The tangent of a result that is used inside derivatives only."""
    return jnp.zeros_like(inverse)


def _none(integers: Array) -> Any:
    return jnp.zeros(integers.shape, jax.dtypes.float0)


def _xla_factors(vectors: Array) -> tuple[Array, Array, Array, Array]:
    """The same by a Householder QR, for other devices than the CPU."""
    columns, upper = jnp.linalg.qr(vectors.T)
    signs = jnp.where(jnp.diagonal(upper) < 0, -1, 1).astype(vectors.dtype)
    lower, basis = (signs[:, None] * upper).T, (columns * signs).T
    lengths = jnp.diagonal(lower)
    rounding = vectors.shape[1] * jnp.finfo(vectors.dtype).eps * jnp.linalg.norm(vectors, axis=1)
    independent = lengths > rounding
    identity = jnp.eye(vectors.shape[0], dtype=vectors.dtype)
    solvable = jnp.where(independent[:, None], lower, identity)
    inverse = jax.lax.linalg.triangular_solve(solvable, identity, left_side=True, lower=True)
    inverse = jnp.where(independent[:, None], inverse, 0)
    growth = jnp.where(independent, jnp.log(jnp.where(independent, lengths, 1)), -jnp.inf)
    return jnp.where(independent[:, None], basis, 0), growth, inverse, independent.astype(jnp.int32)
