"""Readouts and losses of networks on a grid: closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.learning import readouts

OUTPUTS = jnp.array([[1.0, 0.0], [3.0, -1.0], [2.0, 5.0]])


@pytest.mark.parametrize(
    ("readout", "expected"),
    [
        (readouts.maximum_over_time, [3, 5]),
        (readouts.sum_over_time, [6, 4]),
        (readouts.mean_over_time, [2, 4 / 3]),
        (readouts.last_in_time, [2, 5]),
    ],
)
def test_readouts(readout, expected):
    np.testing.assert_allclose(readout(OUTPUTS), expected, rtol=1e-15)


def test_cross_entropy_has_its_closed_form_and_gradient():
    scores = jnp.array([0.3, -1.2, 2.0])
    softmax = np.exp(scores) / np.exp(scores).sum()
    value, gradient = jax.value_and_grad(readouts.cross_entropy)(scores, 1)
    assert float(value) == pytest.approx(-np.log(softmax[1]), rel=1e-14)
    np.testing.assert_allclose(gradient, softmax - np.array([0, 1, 0]), rtol=1e-13)


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(ValueError, match="labels must lie between 0 and 1"):
        readouts.require_labels(jnp.array([0, 1, 2]), 2)
    with pytest.raises(ValueError, match="labels must lie between 0 and 2"):
        readouts.cross_entropy(jnp.zeros(3), -1)
    traced = jax.jit(jax.vmap(readouts.cross_entropy, (None, 0)))(jnp.zeros(3), jnp.array([0, 3, -1, 2]))
    np.testing.assert_array_equal(jnp.isnan(traced), [False, True, True, False])


def test_van_rossum_error_of_one_and_of_two_spikes():
    tau, dt, steps, lag = 2.0, 0.1, 1000, 13
    one, other, none = (jnp.zeros((steps, 1)).at[place].set(1.0) for place in (5, 5 + lag, steps))
    k = np.exp(-dt / tau)
    single = dt / tau / (1 - k**2)
    error = jax.jit(lambda s, t: readouts.van_rossum_error(s, t, tau, dt))
    assert float(error(one, none)) == pytest.approx(single, rel=1e-12)
    assert single == pytest.approx(0.5, rel=0.06)
    assert float(error(one, other)) == pytest.approx(2 * single * (1 - k**lag), rel=1e-12)
    assert float(error(one, one)) == 0
    gradient = jax.grad(lambda s: readouts.van_rossum_error(s, other, tau, dt))(one)
    h = 1e-4
    move = jnp.zeros((steps, 1)).at[40].set(h)
    difference = (error(one + move, other) - error(one - move, other)) / (2 * h)
    assert float(gradient[40, 0]) == pytest.approx(float(difference), rel=1e-8)
    with pytest.raises(ValueError, match="at least one step"):
        readouts.van_rossum_error(one, other, 0.05, dt)
