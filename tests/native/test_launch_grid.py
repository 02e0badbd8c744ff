"""Layers on a time grid by the kernels for GPUs, launched on a stand-in of the driver: values, gradients, lowering."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learning.test_grid_route import CASES, SIZES, TRIALS, batch, both, network_of
from tests.native.stand_in import STREAM, StandIn
from tests.native.test_launch import registered as registered  # a fixture

import stablespike as ss
from stablespike.learning.gradients import grid_on_gpu, native_grid, on_gpu
from stablespike.native import platforms
from stablespike.native.cuda.absent import refuse_on_gpus
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


@pytest.mark.parametrize("loop", [False, True])
def test_programs_for_cuda_hold_two_launches_no_loop_over_steps_and_no_warning(loop, registered):
    stand_in = StandIn()
    registered(stand_in.launcher)
    among = {"loop": ss.Dense(jnp.zeros((4, 4)))} if loop else {}
    inputs = ss.Spikes(jnp.array([0.1, 0.3]), jnp.array([0, 1]))

    def loss(weights):
        network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(weights), **among))
        return jnp.sum(ss.simulate(network, inputs, until=3.0, on=ss.Grid(0.1, ss.SuperSpike())).output.signals)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = jax.jit(jax.grad(loss)).trace(jnp.ones((4, 2))).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count(f"custom_call @{stand_in.launcher.target}") == 2
    assert "stablehlo.while" not in text
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)


@pytest.fixture
def refused():
    """Programs for CUDA are refused by `native.cuda.absent`; undone at the end."""
    refuse_on_gpus()
    jax.clear_caches()
    yield
    jax.interpreters.mlir.register_lowering(platforms._here, platforms._refused, platform="cuda")
    jax.clear_caches()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_sparse_network_is_refused_with_its_rule_and_the_platform_before_it_is_compiled(backwards, refused):
    weights, among = (ss.Sparse(ss.from_matrix(jnp.eye(3) / part)) for part in (0.5, 9))
    network = ss.Network(ss.Layer(ss.LIF(1.0), weights, loop=among))

    def last(times):
        inputs = ss.Spikes(times, jnp.array([0, 1, 2]))
        times = ss.simulate(network, inputs, until=2.0).output.spikes.times
        return jnp.max(jnp.where(jnp.isfinite(times), times, 0))

    run = jax.jit(jax.grad(last) if backwards else last).trace(jnp.array([0.1, 0.3, 0.9]))
    sentence = (
        r"^sparse networks, whose one rule is Recorded\(\), run on processors only, by the kernel stablespike\.native\."
        r"sparse\.forward\.\w+, and this program is for cuda: start Python with JAX_PLATFORMS=cpu\.$"
    )
    with pytest.raises(NotImplementedError, match=sentence):
        run.lower(lowering_platforms=("cuda",))
