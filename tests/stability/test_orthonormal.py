import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from stablespike.stability.orthonormal import _factors, _xla_factors, orthonormalise, random_basis


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_become_orthonormal_and_keep_their_volume(dtype):
    rng = np.random.default_rng(2)
    vectors = jnp.asarray(rng.normal(size=(3, 6, 9)) * 10.0 ** np.arange(-3, 3)[:, None], dtype)
    vectors = vectors.at[:, 3].set(vectors[:, 2] + dtype(1e-2) * vectors[:, 3])  # nearly parallel
    basis, growth, independent = jax.vmap(orthonormalise)(vectors)
    rounding = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(basis @ basis.mT, np.broadcast_to(np.eye(6), (3, 6, 6)), atol=rounding)
    volume = np.linalg.slogdet(np.asarray(vectors, float) @ np.asarray(vectors, float).swapaxes(1, 2))[1] / 2
    np.testing.assert_allclose(growth.sum(1), volume, rtol=100 * rounding)
    assert independent.all()
    for native, xla in zip(_factors(vectors[0]), _xla_factors(vectors[0]), strict=True):
        np.testing.assert_allclose(native, xla, rtol=1e5 * rounding, atol=1e3 * rounding)


def test_dependent_rows_are_marked():
    rng = np.random.default_rng(2)
    vectors = jnp.asarray(rng.normal(size=(4, 6))).at[2].set(0)
    vectors = vectors.at[3].set(vectors[0] - 2 * vectors[1])
    for basis, growth, inverse, independent in (_factors(vectors), _xla_factors(vectors)):
        np.testing.assert_array_equal(independent, [1, 1, 0, 0])
        assert np.all(np.isneginf(growth[2:]))
        assert np.isfinite(growth[:2]).all()
        assert not np.any(np.asarray(basis[2:]))
        assert np.isfinite(inverse).all()


def test_derivative_in_both_modes():
    rng = np.random.default_rng(2)
    vectors = jnp.asarray(rng.normal(size=(3, 5)))
    weights = jnp.asarray(rng.normal(size=(3, 5)))

    def function(vectors):
        basis, growth, _ = orthonormalise(jnp.asarray(vectors))
        return jnp.sum(weights * basis), growth

    check_grads(function, (vectors,), order=1, modes=["fwd", "rev"], rtol=1e-7)


def test_random_basis_is_orthonormal():
    basis = random_basis(jax.random.key(0), 3, 8, jnp.float64)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-14)
