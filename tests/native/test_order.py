"""The native order of spike times is that of a stable sort."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.layers import merge
from stablespike.native.order import spike_order


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_order_is_that_of_a_stable_sort_in_every_batch(dtype):
    rng = np.random.default_rng(0)
    times = rng.integers(0, 20, (3, 5, 64)).astype(float)  # many ties
    times[rng.random(times.shape) < 0.6] = np.inf
    times[0, 0], times[1, 1] = np.inf, 1.0
    times = jnp.asarray(times, dtype)
    for one, order in ((times, spike_order), (times[0], jax.vmap(spike_order)), (times[0, 1], spike_order)):
        np.testing.assert_array_equal(order(one), jnp.argsort(one, axis=-1, stable=True))
        np.testing.assert_array_equal(jax.jit(order)(one), jnp.argsort(one, axis=-1, stable=True))


def test_merged_spikes_carry_their_derivatives():
    times = jnp.array([[0.3, 0.9, jnp.inf], [0.1, 0.3, 0.5]])
    spikes = merge(times)
    np.testing.assert_array_equal(spikes.times[:5], [0.1, 0.3, 0.3, 0.5, 0.9])
    np.testing.assert_array_equal(spikes.sources[:5], [1, 0, 1, 1, 0])
    slopes = jax.grad(lambda t: merge(t).times[:5] @ jnp.arange(1.0, 6.0))(times)
    np.testing.assert_array_equal(slopes, [[2, 5, 0], [1, 3, 4]])
    tangent = jax.jvp(lambda t: merge(t).times[:5], (times,), (jnp.ones_like(times),))[1]
    np.testing.assert_array_equal(tangent, np.ones(5))
