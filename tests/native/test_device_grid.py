"""Layers on a time grid by the kernels for GPUs, run by a processor, against the kernels for processors."""

import jax.numpy as jnp
import numpy as np
import pytest
from tests.native.device_cases import close, made

from stablespike.learning.gradients import grid_on_gpu, native_grid
from stablespike.learning.gradients.native_grid import LayerUse
from stablespike.learning.surrogates import SuperSpike
from stablespike.native.cuda.targets import grid_on_processor
from stablespike.native.grid.forward import Gates
from stablespike.native.trial_rule import Trials

STEPS, NEURONS, SETS, TRIALS = 14, 45, 2, 3
LEADS = {"constants": (SETS, 1), "weights": (SETS, 1), "start": (1, 1), "drive": (1, TRIALS)}
GATES = [
    Gates(1, 1, 0, 1, 1, 0, 1, 0),
    Gates(1, 1, 0, 1, 1, 0, 0, 1),
    Gates(1, 0, 0, 1, 0, 0, 1, 0),
    Gates(0, 0, 1, 0, 0, 1, 1, 1),
    Gates(1, 1, 0, 0, 0, 0, 0, 0),
]


def use_of(gates):
    return LayerUse(gates, None, SuperSpike())


def by_processor(kind, arrays, count, threads):
    """Run a kernel: `count` threads, or blocks of so many `threads`."""
    grid_on_processor(kind.backwards, kind.by_blocks, threads)(count, arrays)


def launcher(threads, run=by_processor):
    """What runs a kernel, in blocks of so many threads."""

    def launch(kind, unpack, operands, count, **sizes):
        assert unpack is None
        arrays = [np.ascontiguousarray(one) for one in operands]
        found = made(kind.arrays, arrays, **sizes)
        idle = 0 if kind.by_blocks else 5  # threads that have nothing to do
        run(kind, (*arrays, *found.values()), count + idle, threads)
        return {name: jnp.asarray(one) for name, one in found.items()}

    return launch


def problem(recurrent, seed=0):
    """Two sets of constants and weights, three trials for each."""
    rng = np.random.default_rng(seed)
    shapes = {"constants": (4, NEURONS), "weights": (NEURONS if recurrent else 0, NEURONS)}
    shapes |= {"start": (3, NEURONS), "drive": (STEPS, NEURONS)}
    made = {name: rng.normal(size=LEADS[name] + one) for name, one in shapes.items()}
    made["constants"] = rng.uniform(0.5, 1, made["constants"].shape)
    made["start"][..., 2, :] = made["start"][..., 2, :] > 0.5
    made["weights"] *= 0.3
    return Trials([jnp.asarray(one) for one in made.values()], (2, 2, 2, 2), (SETS, TRIALS))


def kept_of(results):
    """Those that the adjoint needs."""
    return [results[place] for place in (0, 2, 3, 4)]


def wanted():
    """All operands, and their trial axes."""
    return (0, 1, 2, 3), tuple(LEADS.values())


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("gates", GATES)
def test_values_and_cotangents_are_those_of_the_kernels_for_processors(recurrent, gates):
    trials, use, rng = problem(recurrent), use_of(gates), np.random.default_rng(1)
    expected = native_grid._layer_run(use, trials)
    found = grid_on_gpu.layer_run(launcher(32), use, trials)
    np.testing.assert_array_equal(found[0], expected[0])
    assert 0.1 < float(found[0].mean()) < 0.9
    for place in (1, 2, 3):
        close(expected[place], found[place], 1e-12)
    np.testing.assert_array_equal(found[5], expected[5])
    np.testing.assert_array_equal(found[5], STEPS)
    bars = [jnp.asarray(rng.normal(size=expected[place].shape)) for place in (0, 1)]
    pulled = native_grid._layer_pull(use, trials, kept_of(expected), bars, *wanted())
    back = grid_on_gpu.layer_pull(launcher(32), use, trials, kept_of(expected), bars, *wanted())
    for one, other in zip(pulled, back, strict=True):
        assert one.shape == other.shape
        close(one, other, 1e-12)


def test_a_thread_has_any_number_of_neurons_with_the_same_bits():
    trials, use = problem(True), use_of(GATES[0])
    one, other = (grid_on_gpu.layer_run(launcher(threads), use, trials) for threads in (16, 128))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_first_step_that_fails_is_that_of_the_kernels_for_processors(recurrent):
    trials, use = problem(recurrent), use_of(GATES[0])
    drive = trials.flat[3].at[1, 4, 7].set(jnp.inf).at[2, -1, 3].set(jnp.nan).at[2, -1, 40].set(jnp.inf)
    trials.flat[3] = drive
    found, expected = grid_on_gpu.layer_run(launcher(32), use, trials)[5], native_grid._layer_run(use, trials)[5]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.reshape(found, (SETS, TRIALS)), [[STEPS, 4, STEPS - 1]] * SETS)


@pytest.mark.parametrize("wants", [(0,), (1,), (0, 1)])
def test_products_with_spikes_are_those_of_rows(wants):
    rng, leads = np.random.default_rng(2), [(1, 4), (3, 1)]
    spikes = jnp.asarray(rng.random((*leads[0], 5, 40)) < 0.1, float)
    trials = Trials([spikes, jnp.asarray(rng.normal(size=(*leads[1], 40, 7)))], (2, 2), (3, 4))
    use = native_grid._Product(2.0)
    one, other = native_grid._product_run(use, trials), grid_on_gpu.product_run(None, use, trials)
    close(one[0], other[0], 1e-13)
    assert [(a.shape, a.dtype) for a in one] == [(b.shape, b.dtype) for b in other]
    bar = [jnp.asarray(rng.normal(size=one[0].shape))]
    lead = tuple(leads[i] for i in wants)
    pulled = native_grid._product_pull(use, trials, one[1:], bar, wants, lead)
    back = grid_on_gpu.product_pull(None, use, trials, other[1:], bar, wants, lead)
    assert len(pulled) == len(back) == len(wants)
    for a, b in zip(pulled, back, strict=True):
        close(a, b, 1e-12)
