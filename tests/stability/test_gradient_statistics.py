"""Probes and statistics of gradients, against closed forms and sums over all indices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.stability.gradient_statistics import (
    _unbiased,
    _unbiased_centred,
    alignment,
    condition_number,
    dimension_estimate,
    gradient_dimension,
    gradients_through_time,
    group_norms,
    nobody_yet,
    norms_through_time,
    participation_ratio,
)

RNG = np.random.default_rng(0)
MATRIX, INWARD, DRIVES = RNG.normal(0, 0.6, (3, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=(7, 2))


def linear(state, drive):
    return {"x": MATRIX @ state["x"] + INWARD @ drive, "count": state["count"] + 1}


def test_gradients_through_time_of_a_linear_system():
    start, weight = {"x": jnp.ones(3), "count": jnp.array(0)}, RNG.normal(size=3)
    value, of_states, of_drives = gradients_through_time(
        linear, start, jnp.asarray(DRIVES), lambda states: weight @ states["x"][-1]
    )
    back, states, drives = weight, [], []
    for _ in range(7):
        drives.append(INWARD.T @ back)
        back = MATRIX.T @ back
        states.append(back)
    np.testing.assert_allclose(of_states["x"], states[::-1], rtol=1e-12)
    np.testing.assert_allclose(of_drives, drives[::-1], rtol=1e-12)
    np.testing.assert_allclose(norms_through_time(of_states), np.linalg.norm(states[::-1], axis=1), rtol=1e-12)
    plain, state = start, None
    for drive in jnp.asarray(DRIVES):
        plain = state = linear(plain, drive)
    np.testing.assert_allclose(value, weight @ state["x"], rtol=1e-12)


def test_group_norms_and_alignment():
    gradients = {"one": (jnp.asarray([3.0, 0.0]), jnp.asarray([[4.0]])), "two": jnp.asarray([-2.0])}
    assert {name: float(norm) for name, norm in group_norms(gradients).items()} == {"one": 5.0, "two": 2.0}
    turned = {"one": (jnp.asarray([0.0, 3.0]), jnp.asarray([[0.0]])), "two": jnp.asarray([0.0])}
    assert alignment(gradients, jax.tree.map(lambda leaf: -2 * leaf, gradients)) == pytest.approx(-1)
    assert alignment(gradients, turned) == 0
    with pytest.raises(ValueError, match="has no direction"):
        alignment(gradients, jax.tree.map(jnp.zeros_like, gradients))


def test_estimates_are_means_over_different_samples():
    g = RNG.normal(size=(5, 3)) + 1
    gram = jnp.asarray(g @ g.T)
    pairs, fours = list(itertools.permutations(range(5), 2)), list(itertools.permutations(range(5), 4))
    assert _unbiased(gram) == pytest.approx(
        (np.mean([g[i] @ g[i] * (g[j] @ g[j]) for i, j in pairs]), np.mean([(g[i] @ g[j]) ** 2 for i, j in pairs]))
    )
    differences = [(g[i] - g[j], g[k] - g[l]) for i, j, k, l in fours]
    assert _unbiased_centred(gram) == pytest.approx(
        (np.mean([a @ a * (b @ b) for a, b in differences]) / 4, np.mean([(a @ b) ** 2 for a, b in differences]) / 4)
    )


@pytest.mark.parametrize("centred", [False, True])
def test_dimension_of_small_batches_has_no_bias(centred):
    scales, mean = np.sqrt(np.linspace(0.2, 2, 12)), np.array([1.5, *np.zeros(11)])
    batches = jnp.asarray(mean + scales * RNG.normal(size=(4000, 6, 12)))
    covariance = np.diag(scales**2) + (0 if centred else np.outer(mean, mean))
    truth = np.trace(covariance) ** 2 / np.sum(covariance**2)
    init, step = gradient_dimension(centred=centred, dtype=jnp.float64)
    state, _ = jax.lax.scan(lambda state, batch: (step(state, batch), None), init(), batches)
    estimate, naive = dimension_estimate(state)
    assert estimate == pytest.approx(truth, rel=0.03)
    assert naive < 0.7 * truth
    by_singular_values = np.linalg.svd(batches[0] - float(centred) * batches[0].mean(0), compute_uv=False)
    ratio = np.sum(by_singular_values**2) ** 2 / np.sum(by_singular_values**4)
    assert participation_ratio(batches[0] @ batches[0].T, centred=centred) == pytest.approx(ratio)


def test_too_few_gradients_are_refused():
    init, step = gradient_dimension(centred=True, dtype=jnp.float64)
    with pytest.raises(ValueError, match="a batch of 3 is too small"):
        step(init(), jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="no batch"):
        dimension_estimate(init())
    with pytest.raises(ValueError, match="no batch"):
        dimension_estimate(step(init(), jnp.zeros((4, 2))))
    with pytest.raises(ValueError, match="too few"):
        dimension_estimate(step(init(), jnp.asarray(np.eye(4))))
    with pytest.raises(ValueError, match="not all finite"):
        dimension_estimate(step(init(), jnp.asarray(RNG.normal(size=(4, 2))).at[0, 0].set(jnp.nan)))


@pytest.mark.parametrize("factor", [1e-25, 1.0, 1e25])
def test_statistics_of_tiny_and_huge_gradients_do_not_leave_the_range_of_float32(factor):
    gradients = RNG.normal(size=(3, 8, 5))
    init, step = gradient_dimension(centred=False)
    found, expected = init(), init()
    for k, batch in enumerate(gradients):
        found = step(found, jnp.asarray(factor * batch, jnp.float32))
        expected = step(expected, jnp.asarray(batch, jnp.float32))
        found = step(found, jnp.zeros((8, 5), jnp.float32)) if k == 1 else found
    assert dimension_estimate(found) == pytest.approx(dimension_estimate(expected), rel=1e-4)
    one, other = (jnp.asarray(factor * batch, jnp.float32) for batch in gradients[:2])
    assert float(alignment(one, other)) == pytest.approx(float(alignment(gradients[0], gradients[1])), abs=1e-5)
    np.testing.assert_allclose(norms_through_time(one), factor * np.linalg.norm(gradients[0], axis=1), rtol=1e-5)


def test_gradients_of_different_structure_have_no_angle():
    with pytest.raises(ValueError, match="different structure"):
        alignment({"a": jnp.ones(3)}, {"b": jnp.ones(3)})


def test_condition_number_is_that_of_the_product():
    start = {"x": jnp.ones(3), "count": jnp.array(0)}
    expected = np.linalg.cond(np.linalg.matrix_power(MATRIX, 7))
    np.testing.assert_allclose(condition_number(linear, start, jnp.asarray(DRIVES)), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="exceeds what float64 can tell"):
        condition_number(linear, start, jnp.zeros((400, 2)))


def test_silent_fraction_over_batches():
    neurons = nobody_yet(4)
    assert neurons.fraction == 1
    neurons = neurons.seen(jnp.asarray([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 2.0, 0.0]]))
    assert neurons.seen(jnp.asarray([0.0, 0.0, 0.0, 1.0])).fraction == 0.25
