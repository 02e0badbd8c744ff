"""Networks with delays, window by window, by the kernels for GPUs, launched on a stand-in of the driver."""

from functools import partial

import jax
import numpy as np
import pytest
from tests.native.launch_cases import END, SHORTEST, delayed_problem
from tests.native.stand_in import STREAM, StandIn
from tests.native.test_launch import registered as registered  # a fixture

from stablespike.learning.gradients import on_gpu, time_reversed
from stablespike.native.cuda.targets import THREADS

WINDOWS = int(END / SHORTEST) + 1


@pytest.mark.parametrize("name", ["LIF", "Theta"])
def test_each_window_is_a_launch_with_the_values_and_gradients_of_processors(name, monkeypatch):
    varied, loss = delayed_problem(name)
    expected, (spikes, counts, flags) = jax.jit(jax.grad(loss, has_aux=True))(varied)
    stand_in = StandIn()
    routes = (partial(one, stand_in.launcher) for one in (on_gpu.layer_run, on_gpu.layer_pull))
    monkeypatch.setattr(time_reversed, "_layer", on_gpu.with_kernels(time_reversed._layer, *routes))
    jax.clear_caches()
    found, (times, number, wrong) = jax.jit(jax.grad(loss, has_aux=True))(varied)
    jax.clear_caches()
    assert not stand_in.errors
    assert not np.any(flags)
    np.testing.assert_array_equal(wrong, flags)
    np.testing.assert_array_equal(number, counts)
    assert np.asarray(counts).sum() > 10
    np.testing.assert_allclose(times, spikes, rtol=0, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert np.any(other)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * max(1, np.abs(other).max()))
    assert stand_in.launches == [
        (kind, 1, THREADS, STREAM) for kind in ("layer", "layer-adjoint") for _ in range(WINDOWS)
    ]


def test_programs_for_cuda_launch_in_the_loop_over_windows(registered):
    stand_in = StandIn()
    registered(stand_in.launcher)
    varied, loss = delayed_problem("LIF")
    gradient = jax.jit(jax.grad(lambda one: loss(one)[0]))
    text = gradient.trace(varied).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count(f"custom_call @{stand_in.launcher.target}") == 2
    assert text.count("custom_call @stablespike") == 0
    assert text.count("stablehlo.while") == 2
