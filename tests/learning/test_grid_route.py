"""Native kernels for networks on a grid against the plain scan, float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import (
    Detached,
    NewCurrent,
    NoReset,
    OldCurrent,
    ResetBeforeInput,
    ResetBySubtraction,
    ResetToZero,
    Unfelt,
)
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients import native_grid
from stablespike.learning.gradients.grid_route import layer_use, run_on_grid_natively
from stablespike.learning.gradients.native_grid import spike_product
from stablespike.learning.surrogates import Gaussian, SuperSpike, SurrogateSpike, Triangle
from stablespike.native.trial_rule import Trials

TRIALS, STEPS, CHANNELS, SIZES = 19, 12, 40, (21, 10)


def network_of(reset, driving, slope):
    generator = np.random.default_rng(3)

    def dense(post, pre, scale):
        return Dense(jnp.asarray(scale * generator.normal(size=(post, pre))))

    def cell(size):
        taus = [jnp.asarray(generator.uniform(2, 6, size)) for _ in range(2)]
        threshold = jnp.asarray(generator.uniform(0.5, 1.5, size))
        return GridLIF(*taus, 1.0, threshold, SurrogateSpike(slope), reset, driving)

    first = Layer(cell(SIZES[0]), dense(SIZES[0], CHANNELS, 1.0), dense(SIZES[0], SIZES[0], 0.5))
    second = Layer(cell(SIZES[1]), dense(SIZES[1], SIZES[0], 2.0))  # not recurrent
    return GridNetwork((first, second, Layer(GridLeakyReadout(5.0, 1.0), dense(3, SIZES[1], 1.0))))


def batch(density=0.1):
    return jnp.asarray(np.random.default_rng(5).random((TRIALS, STEPS, CHANNELS)) < density, float)


@eqx.filter_jit
def both(network, inputs):
    """Outputs and gradients in weights, time constants, thresholds and inputs, by the scan and by the kernels."""

    def gradient(route):
        def loss(network, inputs):
            run = jax.vmap(lambda one: route(network, one))(inputs)
            final = sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(run.final[0].cell))
            return jnp.sum(jnp.sin(run.readout)) + final, run.outputs

        arrays, rest = eqx.partition(network, eqx.is_inexact_array)
        return jax.value_and_grad(lambda *a: loss(eqx.combine(a[0], rest), a[1]), (0, 1), has_aux=True)(arrays, inputs)

    return gradient(run_on_grid), gradient(run_on_grid_natively)


CASES = [
    (ResetToZero(), NewCurrent(), SuperSpike()),
    (ResetToZero(), OldCurrent(), Gaussian()),
    (Detached(ResetToZero()), OldCurrent(), SuperSpike(5.0)),
    (ResetBeforeInput(), NewCurrent(), Triangle()),
    (ResetBySubtraction(), NewCurrent(), SuperSpike()),
    (Detached(ResetBySubtraction()), OldCurrent(), SuperSpike()),
    (Unfelt(ResetToZero()), NewCurrent(), SuperSpike()),
    (NoReset(), NewCurrent(), SuperSpike()),
]


@pytest.mark.parametrize(("reset", "driving", "slope"), CASES)
def test_spikes_and_gradients_are_those_of_the_scan(reset, driving, slope):
    ((scanned, outputs), slow), ((found, fired), fast) = both(network_of(reset, driving, slope), batch())
    assert all(jnp.array_equal(one, other) for one, other in zip(outputs[:2], fired[:2], strict=True))
    assert min(float(one.mean()) for one in fired[:2]) > 0.02
    np.testing.assert_allclose(found, scanned, rtol=1e-12)
    for one, other in zip(jax.tree.leaves(fast), jax.tree.leaves(slow), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * max(1.0, float(jnp.abs(other).max())))


@pytest.mark.parametrize("density", [0.0, 0.1, 0.6])
def test_product_is_the_same_by_rows_and_by_matrices(density):
    spikes, generator = batch(density), np.random.default_rng(0)
    weights = jnp.asarray(generator.normal(size=(CHANNELS, 7)))
    bar = jnp.asarray(generator.normal(size=(TRIALS, STEPS, 7)))
    for dense_from in (0.0, 2.0):
        product = jax.vmap(lambda one, dense_from=dense_from: spike_product(one, weights, dense_from))
        np.testing.assert_allclose(jax.jit(product)(spikes), spikes @ weights, rtol=1e-13, atol=1e-13)
    total = lambda weights: jnp.sum(bar * jax.vmap(lambda one: spike_product(one, weights, 2.0))(spikes))  # noqa: E731
    expected = jnp.einsum("btc,btn->cn", spikes, bar)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(weights), expected, rtol=1e-12, atol=1e-12)


def test_rows_are_counted_and_numbers_other_than_spikes_are_seen():
    trials = Trials((batch(), jnp.zeros((1, CHANNELS, 7))), (2, 2), (TRIALS,))
    _, words, counts = native_grid._product_run(native_grid._Product(0.5), trials)
    assert jnp.array_equal(counts, batch().sum(2).astype(counts.dtype))
    bits = (words[..., None] >> jnp.arange(32, dtype=words.dtype)) & 1
    assert jnp.array_equal(bits.reshape(TRIALS, STEPS, -1)[..., :CHANNELS], batch().astype(bits.dtype))
    spikes = batch().at[3, 4, 5].set(0.5)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(CHANNELS, 7)))
    np.testing.assert_allclose(jax.vmap(lambda one: spike_product(one, weights))(spikes), spikes @ weights, rtol=1e-13)


def test_weights_of_their_own_for_every_ensemble_member():
    generator = np.random.default_rng(1)
    spikes, weights = batch(), jnp.asarray(generator.normal(size=(3, CHANNELS, 7)))
    bar = jnp.asarray(generator.normal(size=(3, TRIALS, STEPS, 7)))

    def total(weights):
        over_trials = jax.vmap(spike_product, (0, None))
        return jnp.sum(bar * jax.vmap(over_trials, (None, 0))(spikes, weights))

    expected = jnp.einsum("btc,ebtn->ecn", spikes, bar)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(weights), expected, rtol=1e-12, atol=1e-12)


def test_cells_and_what_breaks():
    network = network_of(ResetToZero(), NewCurrent(), SuperSpike())
    one, other = run_on_grid(network, batch()[0]), run_on_grid_natively(network, batch()[0])
    for slow, fast in zip(jax.tree.leaves(one.cells), jax.tree.leaves(other.cells), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-13)
    huge = eqx.tree_at(lambda net: net.layers[0].inputs.weights, network, replace_fn=lambda w: jnp.full_like(w, 1e308))
    with pytest.raises(SimulationError):
        run_on_grid_natively(huge, batch(0.5)[0])
    with pytest.raises(ValueError, match="inputs must have shape"):
        run_on_grid_natively(network, batch()[0][:, 1:])


def test_what_has_no_kernel_is_left_to_the_scan():
    network = network_of(lambda decayed, driven, spikes, threshold: decayed + driven, NewCurrent(), SuperSpike())
    assert layer_use(network.layers[0]) is None
