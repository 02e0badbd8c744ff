"""Orthonormal rows by modified Gram-Schmidt, for the small matrices that tangent dynamics meets at every step.

A factorisation of 50 rows of length 128 takes less time than the threads of a general linear-algebra library need to
start. A row that loses more than half its length is projected a second time, which is enough for orthonormality to
rounding (Giraud et al. 2005).
"""

from typing import no_type_check

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from numba import njit
from numba.extending import register_jitable

from stablespike.native import bridge as native
from stablespike.native.bridge import ARGUMENTS, RESULTS, rows
from stablespike.native.overrides.lines import PLAIN

SUMMED = PLAIN | {"fastmath": {"contract", "reassoc", "nsz"}}  # sums of products may be taken in any order


def factors(
    vectors: Float[Array, "*batch count dimension"],
) -> tuple[
    Float[Array, "*batch count dimension"],
    Float[Array, "*batch count"],
    Float[Array, "*batch count count"],
    Int[Array, "*batch count"],
]:
    """Z = L Q: Q with orthonormal rows, log L_ii, the inverse of L, and 1 for rows that are independent of those above.

    A row whose remainder is rounding of the row itself is not: it gets Q = 0, log L_ii = -inf and an inverse of 0.
    """
    return _called(vectors)


def _called(vectors):
    *batch, count, _ = vectors.shape
    shapes = [vectors.shape, (*batch, count), (*batch, count, count)]
    results = [jax.ShapeDtypeStruct(shape, vectors.dtype) for shape in shapes]
    results.append(jax.ShapeDtypeStruct((*batch, count), np.int32))
    target = native.target(factors_entry, nothing, np.dtype(vectors.dtype).type)
    return tuple(jax.ffi.ffi_call(target, results, vmap_method="broadcast_all")(vectors))


@njit(**SUMMED)
@no_type_check
def project(vectors, lower, i, dtype):
    """Take the rows above out of row `i`, adding the parts to `lower[i]`; the squared length that is left."""
    left = dtype(0)
    for j in range(i):
        part = dtype(0)
        for c in range(vectors.shape[1]):
            part += vectors[j, c] * vectors[i, c]
        for c in range(vectors.shape[1]):
            vectors[i, c] -= part * vectors[j, c]
        lower[i, j] += part
    for c in range(vectors.shape[1]):
        left += vectors[i, c] * vectors[i, c]
    return left


@njit(**PLAIN)
@no_type_check
def orthonormalise_rows(vectors, growth, lower, independent, dtype):
    """Replace the rows by orthonormal ones; `lower` gets the strict lower part of L, `growth` log L_ii."""
    for i in range(vectors.shape[0]):
        whole = dtype(0)
        for c in range(vectors.shape[1]):
            whole += vectors[i, c] * vectors[i, c]
        lower[i] = dtype(0)
        left = project(vectors, lower, i, dtype)
        if dtype(4) * left < whole:
            left = project(vectors, lower, i, dtype)
        length = np.sqrt(left)
        lower[i, i] = length
        independent[i] = 0 if length <= dtype(vectors.shape[1] * np.finfo(dtype).eps) * np.sqrt(whole) else 1
        growth[i] = np.log(length) if independent[i] else dtype(-np.inf)
        factor = dtype(1) / length if independent[i] else dtype(0)
        for c in range(vectors.shape[1]):
            vectors[i, c] *= factor


@njit(**PLAIN)
@no_type_check
def invert(lower, independent, inverse, dtype):
    """Inverse of a lower triangular matrix, by rows; 0 in the rows that are not independent."""
    for i in range(lower.shape[0]):
        inverse[i] = dtype(0)
        if independent[i]:
            inverse[i, i] = dtype(1)
            for j in range(i):
                for c in range(j + 1):
                    inverse[i, c] -= lower[i, j] * inverse[j, c]
            for c in range(i + 1):
                inverse[i, c] /= lower[i, i]


@njit(**PLAIN)
@no_type_check
def factors_all(source, result, growth, inverse, independent, dtype):
    """All matrices of a batch, whose rows lie one after the other."""
    count = growth.shape[1]
    lower = np.empty((count, count), dtype)
    for b in range(growth.shape[0]):
        vectors = result[b * count : (b + 1) * count]
        for i in range(count):
            for c in range(vectors.shape[1]):
                vectors[i, c] = source[b * count + i, c]
        orthonormalise_rows(vectors, growth[b], lower, independent[b], dtype)
        invert(lower, independent[b], inverse[b * count : (b + 1) * count], dtype)


@register_jitable
@no_type_check
def factors_entry(frame, unpack, dtype):
    """Argument: vectors; results: orthonormal rows, growth, inverse factor, independence."""
    factors_all(
        rows(frame, ARGUMENTS, 0, dtype),
        rows(frame, RESULTS, 0, dtype),
        rows(frame, RESULTS, 1, dtype),
        rows(frame, RESULTS, 2, dtype),
        rows(frame, RESULTS, 3, np.int32),
        dtype,
    )
    return 0


@register_jitable
@no_type_check
def nothing(constants):
    """A factorisation needs no neuron."""
    return constants
