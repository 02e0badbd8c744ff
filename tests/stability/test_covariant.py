"""Covariant vectors: eigenvectors of a constant matrix, carried into each other by the tangent map, of known growth."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from stablespike.stability.covariant import covariant_vectors
from stablespike.stability.lyapunov import SingularJacobian, lyapunov_spectrum, push_tangents

KEY, SIZE = jax.random.key(0), 5


class Rate(eqx.Module):
    """x <- tanh(J x + input)."""

    weights: Float[Array, "n n"]

    def __call__(self, state, drive):
        return jnp.tanh(self.weights @ state + drive)


class Linear(eqx.Module):
    """x <- D x, whatever the input."""

    matrix: Float[Array, "n n"]

    def __call__(self, state, drive):
        return self.matrix @ state + 0 * drive


def along(vectors, others):
    """|cos| between vectors of unit length, row by row."""
    return np.abs(np.sum(np.asarray(vectors) * np.asarray(others), -1))


def test_a_constant_matrix_has_its_eigenvectors():
    generator = np.random.default_rng(0)
    values, frame = np.array([2.0, -1.2, 0.7, 0.3]), generator.normal(size=(4, 4))
    frame /= np.linalg.norm(frame, axis=0)
    step = Linear(jnp.asarray(frame @ np.diag(values) @ np.linalg.inv(frame)))
    found = covariant_vectors(step, jnp.ones(4), jnp.zeros((130, 4)), count=4, transient=60, settle=60, key=KEY)
    np.testing.assert_allclose(along(found.vectors, frame.T), 1, rtol=1e-9)
    np.testing.assert_allclose(found.growth, np.log(np.abs(values)) + np.zeros((10, 1)), atol=1e-9)
    np.testing.assert_allclose(found.cosines(0, 1), abs(frame[:, 0] @ frame[:, 1]), rtol=1e-9)
    assert found.resolved.all()


def run(step, inputs):
    return covariant_vectors(step, jnp.zeros(SIZE), inputs, count=3, transient=300, settle=300, key=KEY)


class Scaled(eqx.Module):
    """A step in other units of the state."""

    step: Rate
    scale: Float[Array, " n"]

    def __call__(self, state, drive):
        return self.scale * self.step(state / self.scale, drive)


def test_the_tangent_map_carries_them_into_each_other():
    generator = np.random.default_rng(1)
    step = Rate(jnp.asarray(1.4 * generator.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)))
    inputs = jnp.asarray(0.3 * generator.normal(size=(700, SIZE)))
    found = run(step, inputs)
    state = jnp.zeros(SIZE)
    for drive in inputs[:300]:
        state = step(state, drive)
    for place in range(20):
        state, pushed = push_tangents(step, state, inputs[300 + place], found.vectors[place])
        lengths = np.linalg.norm(pushed, axis=1)
        np.testing.assert_allclose(along(pushed / lengths[:, None], found.vectors[place + 1]), 1, rtol=1e-9)
        np.testing.assert_allclose(np.log(lengths), found.growth[place], atol=1e-9)


def test_growth_is_that_of_the_exponents_and_vectors_know_no_metric():
    generator = np.random.default_rng(2)
    step = Rate(jnp.asarray(1.4 * generator.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)))
    inputs = jnp.asarray(0.3 * generator.normal(size=(3000, SIZE)))
    scale = jnp.asarray([1.0, 3.0, 0.2, 5.0, 0.5])
    found, other = run(step, inputs), run(Scaled(step, scale), inputs)
    exponents = lyapunov_spectrum(step, jnp.zeros(SIZE), inputs[:-300], transient=300, count=3, key=KEY).exponents
    np.testing.assert_allclose(found.growth.mean(0), exponents, atol=0.01)  # edges: |log of angles|/steps
    rescaled = found.vectors * scale
    rescaled /= np.linalg.norm(rescaled, axis=-1, keepdims=True)
    np.testing.assert_allclose(along(rescaled, other.vectors), 1, rtol=1e-8)


def test_singular_jacobians_are_told_and_leave_the_other_vectors_alone():
    step, options = Linear(jnp.diag(jnp.asarray([1.0, 0.5, 0.0]))), {"transient": 10, "settle": 10, "key": KEY}
    with pytest.raises(SingularJacobian, match="first 2 of 3"):
        covariant_vectors(step, jnp.ones(3), jnp.zeros((30, 3)), count=3, **options)
    found = jax.jit(lambda state: covariant_vectors(step, state, jnp.zeros((30, 3)), count=3, **options))(jnp.ones(3))
    assert found.resolved.tolist() == [True, True, False]
    np.testing.assert_allclose(found.growth[:, :2], np.log([1, 0.5]) + np.zeros((10, 1)), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"count": 3, "transient": 20, "settle": 10}, "leave nothing of a run of 30"),
        ({"count": 3, "transient": -1, "settle": 10}, "leave nothing"),
        ({"count": 4, "transient": 5, "settle": 10}, "the state has 3 dimensions"),
    ],
)
def test_what_cannot_be_asked_for(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        covariant_vectors(Linear(jnp.eye(3)), jnp.ones(3), jnp.zeros((30, 3)), key=KEY, **options)
