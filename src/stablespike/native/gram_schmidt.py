"""Orthonormal rows by modified Gram-Schmidt, for the small matrices that tangent dynamics meets at every step.

A factorisation of 50 rows of length 128 takes less time than the threads of a general linear-algebra library need to
start. A row that loses more than half its length is projected a second time, which is enough for orthonormality to
rounding (Giraud et al. 2005).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Array, Float, Int
from numba import njit

from stablespike.native.kernel import Buffers, Kernel, number, whole
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
    return tuple(FACTORS(vectors))


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
def factorise(source, result, growth, inverse, independent):
    """One matrix."""
    dtype = source.dtype.type
    lower = np.empty((growth.shape[0], growth.shape[0]), source.dtype)
    for i in range(source.shape[0]):
        for c in range(source.shape[1]):
            result[i, c] = source[i, c]
    orthonormalise_rows(result, growth, lower, independent, dtype)
    invert(lower, independent, inverse, dtype)


FACTORS = Kernel(
    Buffers(
        f"{__name__}.FACTORS",
        own={"vectors": number("count dimension")},
        results={
            "basis": number("count dimension"),
            "growth": number("count"),
            "inverse": number("count count"),
            "independent": whole("count"),
        },
    ),
    trial=factorise,
    parallel=False,
)
