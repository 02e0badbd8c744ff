"""Layers on a time grid by the kernels for GPUs, launched on a stand-in of the driver: values, gradients, lowering."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learning.test_grid_route import CASES, SIZES, TRIALS, batch, both, network_of
from tests.native.stand_in import STREAM, StandIn

from stablespike.learning.gradients import grid_on_gpu, native_grid, on_gpu
from stablespike.native.cuda.targets import THREADS

NAMES = {
    "recurrent_layer": ("_layer", grid_on_gpu.layer_run, grid_on_gpu.layer_pull),
    "spike_product": ("_product", grid_on_gpu.product_run, grid_on_gpu.product_pull),
}


@pytest.fixture
def launching(monkeypatch):
    """A function that has networks on a grid launch kernels by a stand-in, with what it is made of."""

    def begin(**settings):
        stand_in = StandIn(**settings)
        for name, *routes in NAMES.values():
            call = on_gpu.with_kernels(getattr(native_grid, name), *(partial(one, stand_in.launcher) for one in routes))
            monkeypatch.setattr(native_grid, name, call)
        jax.clear_caches()
        return stand_in

    yield begin
    jax.clear_caches()


@pytest.mark.parametrize(("reset", "driving", "slope"), CASES[1:5:3])
def test_spikes_and_gradients_are_those_of_the_scan(reset, driving, slope, launching):
    stand_in = launching()
    ((scanned, outputs), slow), ((found, fired), fast) = both(network_of(reset, driving, slope), batch())
    assert not stand_in.errors
    assert all(jnp.array_equal(one, other) for one, other in zip(outputs[:2], fired[:2], strict=True))
    np.testing.assert_allclose(found, scanned, rtol=1e-12)
    for one, other in zip(jax.tree.leaves(fast), jax.tree.leaves(slow), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * max(1.0, float(jnp.abs(other).max())))
    alone = -(-TRIALS * SIZES[1] // THREADS)
    kinds = {"grid-loop": TRIALS, "grid-layer": alone, "grid-loop-adjoint": TRIALS, "grid-layer-adjoint": alone}
    assert sorted(stand_in.launches) == sorted((kind, blocks, THREADS, STREAM) for kind, blocks in kinds.items())
