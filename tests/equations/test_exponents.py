"""Equation exponents: D Q = Q' R, lambda_i = <ln R_ii>/dt."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.stability.lyapunov import lyapunov_spectrum

SIZE, STEPS, LENGTH = 4, 12, 0.3


def test_exponents_are_those_of_repeated_factorisations():
    """All exponents: their sums do not depend on the first Q, whose volume every product of Jacobians scales alike."""
    matrices = np.random.default_rng(0).normal(size=(STEPS, SIZE, SIZE))
    found = lyapunov_spectrum(
        lambda state, matrix: matrix @ state, jnp.ones(SIZE), jnp.asarray(matrices), count=SIZE, transient=0,
        blocks=2, key=jax.random.key(0), duration=lambda state, matrix: LENGTH,
    )  # fmt: skip
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(SIZE, SIZE)))[0]
    logarithms = np.zeros(SIZE)
    for matrix in matrices:
        basis, upper = np.linalg.qr(matrix @ basis)
        logarithms += np.log(np.abs(np.diagonal(upper)))
    np.testing.assert_allclose(found.exponents.sum(), logarithms.sum() / (STEPS * LENGTH), rtol=1e-12)
    assert np.ptp(found.exponents) > 1
