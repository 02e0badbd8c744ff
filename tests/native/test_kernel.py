"""A kernel does what its declaration says: rows of trials, sums over trials, shapes of results, what does not fit."""

from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba import njit

from stablespike.native.kernel import Buffers, Kernel, number, whole

CHANNELS, NEURONS, TRIALS = 3, 2, 5


@njit
@no_type_check
def weighted(weights, times, factor, weight_sums, products, places):
    """A trial of the kernel below; it returns the results without axes."""
    total = times[0] - times[0]
    for i in range(weights.shape[0]):
        places[i] = i
        for j in range(weights.shape[1]):
            products[j] = (
                factor * times[i] * weights[i, j] if i == 0 else products[j] + factor * times[i] * weights[i, j]
            )
            weight_sums[i, j] += times[i]
            total += weights[i, j]
    return total, weights.shape[0]


@njit
@no_type_check
def twice(values, doubled):
    """Each value doubled, in every column."""
    for i in range(values.shape[0]):
        for j in range(doubled.shape[1]):
            doubled[i, j] = 2 * values[i]


WEIGHTED = Kernel(
    Buffers(
        f"{__name__}.WEIGHTED",
        rows={"weights": number("channels neurons")},
        own={"times": number("channels")},
        common={"factor": number("")},
        sums={"weight_sums": number("channels neurons")},
        results={"products": number("neurons"), "places": whole("channels"), "total": number(""), "count": whole("")},
    ),
    trial=weighted,
)


@njit
@no_type_check
def scaled(weights, factor, product):
    """A matrix times a number."""
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            product[i, j] = factor * weights[i, j]


SCALED = Kernel(
    Buffers(
        f"{__name__}.SCALED",
        rows={"weights": number("channels neurons")},
        common={"factor": number("")},
        results={"product": number("channels neurons")},
    ),
    trial=scaled,
)
DOUBLED = Kernel(
    Buffers(f"{__name__}.DOUBLED", own={"values": number("size")}, results={"doubled": number("size more")}),
    trial=twice,
)


def drawn(rows, dtype=np.float64):
    generator = np.random.default_rng(0)
    weights, times = generator.normal(size=(rows, CHANNELS, NEURONS)), generator.normal(size=(TRIALS, CHANNELS))
    return weights.astype(dtype), times.astype(dtype)


@pytest.mark.parametrize(("rows", "dtype"), [(1, np.float32), (2, np.float64)])
def test_rows_sums_and_numbers_that_a_trial_returns(rows, dtype):
    weights, times = drawn(rows, dtype)
    table = np.arange(TRIALS)[:, None] % rows
    members = np.array([[0, 2, 4], [1, 3, -1]])
    factor = np.asarray(3, dtype)
    sums, products, places, total, count = WEIGHTED(
        *map(jnp.asarray, (weights, table.astype(np.int32), times, factor, members.astype(np.int32)))
    )
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    used = weights[table[:, 0]]
    np.testing.assert_allclose(products, 3 * np.einsum("bi,bij->bj", times, used), rtol=tolerance)
    np.testing.assert_array_equal(places, np.tile(np.arange(CHANNELS), (TRIALS, 1)))
    np.testing.assert_allclose(total, used.sum((1, 2)), rtol=tolerance)
    np.testing.assert_array_equal(count, np.full(TRIALS, CHANNELS))
    expected = np.stack([times[[0, 2, 4]].sum(0), times[[1, 3]].sum(0)])[:, :, None]
    np.testing.assert_allclose(sums, np.broadcast_to(expected, sums.shape), rtol=tolerance)
    assert (products.dtype, places.dtype) == (dtype, np.int32)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (3, 2, 4)])
def test_any_leading_axes_are_trials_and_vmap_adds_one(shape):
    values = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    (alone,) = DOUBLED(values, more=1)
    (mapped,) = jax.vmap(lambda one: DOUBLED(one, more=1))(values[None])
    np.testing.assert_array_equal(alone[..., 0], 2 * values)
    np.testing.assert_array_equal(mapped[0], alone)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a | {"times": a["times"][:, :2]}, "times has 2 channels, not 3"),
        (lambda a: a | {"times": a["times"][:4]}, "leading axes"),
        (lambda a: a | {"times": a["times"].astype(jnp.float32)}, "times is float32"),
        (lambda a: a | {"table": a["table"].astype(jnp.int64)}, "table is int64"),
        (lambda a: a | {"factor": jnp.ones(1)}, "factor is float64"),
    ],
)
def test_arrays_that_compiled_code_would_misread_are_refused(change, sentence):
    weights, times = drawn(1)
    arrays = {"weights": weights, "table": np.zeros((TRIALS, 1), np.int32), "times": times}
    arrays |= {"factor": np.ones(()), "members": np.zeros((1, 5), np.int32)}
    arrays = change({name: jnp.asarray(one) for name, one in arrays.items()})
    with pytest.raises(ValueError, match=sentence):
        WEIGHTED(*arrays.values())


def test_what_vmap_would_batch_wrongly_is_refused():
    weights, times = drawn(1)
    arrays = [weights, np.zeros((TRIALS, 1), np.int32), times, np.ones(()), np.zeros((1, 5), np.int32)]
    with pytest.raises(NotImplementedError, match="vmap"):
        jax.vmap(lambda one: WEIGHTED(one, *map(jnp.asarray, arrays[1:]))[1])(jnp.asarray(weights)[None])
    with pytest.raises(ValueError, match="all trials share factor"):
        jax.vmap(lambda factor: SCALED.over_trials(jnp.asarray(weights[0]), factor))(jnp.ones(2))


def test_trials_of_a_batch_are_one_call_that_shares_what_they_share():
    weights, factor = jnp.asarray(drawn(3)[0]), jnp.asarray(2.0)
    (each,) = jax.vmap(lambda one: SCALED.over_trials(one, factor))(weights)
    (alone,) = SCALED.over_trials(weights[1], factor)
    np.testing.assert_array_equal(each, 2 * weights)
    np.testing.assert_array_equal(alone, 2 * weights[1])


def test_a_group_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="there is no group row, only rows, own, common and sums"):
        Buffers("here", row={"weights": number("size")}, results={})


def test_a_size_that_no_operand_has_is_asked_for():
    with pytest.raises(ValueError, match="DOUBLED: give the size of more"):
        DOUBLED(jnp.ones(3))
