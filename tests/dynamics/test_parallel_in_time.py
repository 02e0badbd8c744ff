"""Layers in parallel over time give the spikes and gradients of the loop over inputs, and known closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.layers import simulate_layer, simulate_layers
from stablespike.dynamics.engines.parallel_in_time import parallel_in_time_layer
from stablespike.dynamics.engines.prefixes import affine_prefixes, product_prefixes, rescaled
from stablespike.dynamics.engines.projective import Interval, interval_matrices, settled
from stablespike.dynamics.network import Layered
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from stablespike.native.conventions import Flag

NEURONS, CHANNELS, UNTIL, CAPACITY = 5, 4, 6.0, 24


def problem(seed, inputs=40, strength=4.0, dtype=jnp.float64, heterogeneous=False):
    """Neurons, weights, states and inputs at random, of both signs, some inputs at one time and some after the end."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 1.1 * UNTIL, inputs))
    times[3:6] = times[3]
    inputs = Spikes(
        jnp.asarray(np.append(times, np.inf), dtype), jnp.asarray(rng.integers(CHANNELS, size=len(times) + 1))
    )
    neuron = QIF(jnp.asarray(rng.uniform(0.5, 2, NEURONS), dtype)) if heterogeneous else QIF(1.3)
    states = initial_states(neuron, jnp.asarray(rng.uniform(-2, 0.8, NEURONS), dtype), jnp.asarray(0.3, dtype))
    return neuron, jnp.asarray(1 + strength * rng.standard_normal((NEURONS, CHANNELS)), dtype), states, inputs


def loss(engine, neuron, weights, states, times, sources, until=UNTIL):
    """Something of all spike times and of the final state."""
    solution = engine(neuron, weights, states, Spikes(times, sources), until, CAPACITY)
    real = jnp.isfinite(solution.times)
    spikes = jnp.where(real, jnp.sin(3 * jnp.where(real, solution.times, 0)), 0)
    return spikes.sum() + jnp.cos(jnp.arctan2(solution.state[:, 1], solution.state[:, 0]) + solution.state[:, 2]).sum()


@pytest.mark.parametrize("heterogeneous", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_spikes_and_states_are_those_of_the_loop(seed, heterogeneous):
    given = problem(seed, heterogeneous=heterogeneous)
    one, other = (engine(*given, UNTIL, CAPACITY) for engine in (parallel_in_time_layer, simulate_layer))
    assert int(other.counts.sum()) >= 2 * NEURONS
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_allclose(one.times, other.times, rtol=1e-12)
    np.testing.assert_allclose(one.state, other.state, rtol=1e-12, atol=1e-12)
    assert int(one.status.flags) == int(other.status.flags) == 0
    assert float(one.status.time) == UNTIL


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_loop(seed):
    neuron, weights, states, inputs = problem(seed, heterogeneous=True)
    given = neuron, weights, states, inputs.times
    ours, theirs = (
        jax.grad(lambda *of, e=engine: loss(e, *of, inputs.sources), (0, 1, 2, 3), allow_int=True)(*given)
        for engine in (parallel_in_time_layer, simulate_layer)
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11 * np.abs(other).max())


def test_gradient_is_that_of_differences():
    neuron, weights, states, inputs = problem(4)

    def value(w, times, until):
        return loss(parallel_in_time_layer, neuron, w, states, times, inputs.sources, until)

    given = weights, inputs.times[:-1], jnp.asarray(UNTIL)
    inputs = Spikes(inputs.times[:-1], inputs.sources[:-1])
    rng, step = np.random.default_rng(0), 1e-6
    # Inputs of one volley are pushed together: their order is not to change.
    push = [jnp.asarray(rng.standard_normal(np.shape(one))) for one in given]
    push[1] = push[1].at[3:6].set(push[1][3])
    slope = jax.jvp(value, given, tuple(push))[1]
    back = sum(float(jnp.vdot(g, p)) for g, p in zip(jax.grad(value, (0, 1, 2))(*given), push, strict=True))
    ends = [value(*(one + sign * step * p for one, p in zip(given, push, strict=True))) for sign in (1, -1)]
    expected = float(ends[0] - ends[1]) / (2 * step)
    assert float(slope) == pytest.approx(expected, rel=1e-7)
    assert back == pytest.approx(float(slope), rel=1e-12)


def test_second_derivatives_are_those_of_the_loop():
    neuron, weights, states, inputs = problem(1, inputs=10)

    def along(engine):
        def value(scale):
            return loss(engine, neuron, scale * weights, states, inputs.times, inputs.sources)

        return float(jax.jvp(jax.grad(value), (jnp.asarray(1.0),), (jnp.asarray(1.0),))[1])

    assert along(parallel_in_time_layer) == pytest.approx(along(simulate_layer), rel=1e-9)


@pytest.mark.parametrize("inputs", [1, 2, 1000])
@pytest.mark.parametrize("weight", [3.0, 40.0, 4.0e4])
def test_spikes_of_one_current_have_a_closed_form(inputs, weight):
    """From V = 0 a current w gives u_k = (k + 1/2) pi/sqrt w; inputs of weight 0 in between change nothing."""
    until, root = 1.5, math.sqrt(weight)
    times = jnp.linspace(0.0, 1.4, inputs)
    sources = jnp.ones(inputs, int).at[0].set(0)
    neuron = QIF(1.0)
    found = parallel_in_time_layer(
        neuron, jnp.array([[weight, 0.0]]), initial_states(neuron, jnp.zeros(1)), Spikes(times, sources), until, 64
    )
    u = (np.arange(math.floor(-math.expm1(-until) * root / math.pi + 0.5)) + 0.5) * math.pi / root
    assert int(found.counts[0]) == len(u)
    np.testing.assert_allclose(found.times[0, : len(u)], -np.log1p(-u), rtol=1e-12)


@pytest.mark.parametrize("weight", [-1.0, -900.0, -1e6, -1e15])
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_an_inhibited_neuron_has_a_closed_form(weight, dtype):
    """From V = 0 at I = w < 0, V = -s r tanh(r u), r = sqrt|w|, however many inputs of weight 0 come in between."""
    neuron, until, inputs = QIF(1.0), 0.8, 200
    given = Spikes(jnp.linspace(0.0, 0.7, inputs, dtype=dtype), jnp.ones(inputs, int).at[0].set(0))
    start = initial_states(neuron, jnp.zeros(1, dtype))
    found = parallel_in_time_layer(neuron, jnp.array([[weight, 0.0]], dtype), start, given, until, 2)
    s, root = math.exp(-until), math.sqrt(-weight)
    assert int(found.status.flags) == int(found.counts[0]) == 0
    n, d, _ = np.asarray(found.state[0], float)
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    assert n / d == pytest.approx(-s * root * math.tanh(root * (1 - s)), rel=tolerance)


def test_what_is_silent_and_what_gets_nothing():
    neuron, weights, states, inputs = problem(0)
    quiet = parallel_in_time_layer(neuron, -jnp.abs(weights), states, inputs, UNTIL, CAPACITY)
    assert int(quiet.counts.sum()) == 0
    assert np.isinf(quiet.times).all()
    slopes = jax.grad(lambda w: loss(parallel_in_time_layer, neuron, w, states, inputs.times, inputs.sources))(-weights)
    assert np.isfinite(slopes).all()
    nothing = Spikes(jnp.zeros(0), jnp.zeros(0, int))
    alone = parallel_in_time_layer(neuron, weights, states, nothing, UNTIL, CAPACITY)
    expected = jax.vmap(lambda state: neuron.flow(state, UNTIL))(states)
    np.testing.assert_allclose(alone.state, expected, rtol=1e-13, atol=1e-13)
    assert int(alone.counts.sum()) == 0


def test_inputs_at_one_time_and_at_the_ends():
    """The order of inputs of one time has no meaning; those at time 0 and at the trial's end arrive."""
    neuron, weights, states, _ = problem(2)
    sources = jnp.asarray([0, 1, 2, 3, 0, 1, 2, 3])
    times = jnp.asarray([0.0, 0.0, 1.0, 1.0, 1.0, UNTIL, UNTIL, UNTIL])
    found = parallel_in_time_layer(neuron, weights, states, Spikes(times, sources), UNTIL, CAPACITY)
    other = parallel_in_time_layer(
        neuron, weights, states, Spikes(times, sources[jnp.asarray([1, 0, 4, 2, 3, 7, 5, 6])]), UNTIL, CAPACITY
    )
    np.testing.assert_allclose(found.times, other.times, rtol=1e-13)
    loop = simulate_layer(neuron, weights, states, Spikes(times, sources), UNTIL, CAPACITY)
    np.testing.assert_allclose(found.times, loop.times, rtol=1e-12)
    np.testing.assert_allclose(found.state, loop.state, rtol=1e-12, atol=1e-12)


def test_a_spike_that_is_due_comes_at_once_and_one_that_just_came_does_not():
    neuron, weights, _, inputs = problem(0)
    states = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, -1e-17, 0.0]] + 2 * [[0.0, 1.0, 0.0]])
    found = parallel_in_time_layer(neuron, -jnp.abs(weights), states, inputs, UNTIL, CAPACITY)
    np.testing.assert_array_equal(found.counts, [1, 0, 1, 0, 0])
    np.testing.assert_array_equal(found.times[:, 0], [0.0, np.inf, 0.0, np.inf, np.inf])


def products_and_sweeps(states, weights, inputs, until):
    """Products of the matrices of all intervals, tau being 1, and how many of Newton's steps mend their path."""
    waits = jnp.diff(jnp.append(inputs.times, until), prepend=0.0)[:, None]
    over = Interval(jnp.exp(-waits), -jnp.expm1(-waits))
    factors = jnp.append(0.0, over.decay[:-1, 0] ** 2)[:, None]
    currents = affine_prefixes(factors, jnp.concatenate([states[None, :, 2], weights.T[inputs.sources]]))
    products = product_prefixes(interval_matrices(currents, over)[0])
    return products, settled(states[:, :2].T, currents, over)[1]


def test_digits_that_long_products_lose_are_found_again():
    """From V = 1, where nothing moves and all is unstable, to the branch that strong inhibition leads all paths to."""
    stay, until, neuron = 12.0, 20.0, QIF(1.0)
    times = jnp.concatenate([jnp.linspace(0, stay, 400), jnp.linspace(stay + 0.01, until, 600)])
    given = Spikes(times, jnp.where(times <= stay, 0, 1))
    states, weights = initial_states(neuron, jnp.array([1.0, 0.0])), jnp.zeros((2, 2)).at[:, 1].set(-1.0)
    found = parallel_in_time_layer(neuron, weights, states, given, until, 1)
    mended = jnp.arctan2(found.state[:, 1], found.state[:, 0])
    assert float(jnp.abs(mended[0] - mended[1])) < 1e-15
    products, sweeps = jax.jit(products_and_sweeps)(states, weights, given, until)
    nn, nd, dn, dd = (entry[-1] for entry in products)
    lost = jnp.arctan2(dn * states[:, 0] + dd * states[:, 1], nn * states[:, 0] + nd * states[:, 1])
    assert float(jnp.abs(lost[0] - lost[1])) > 1e-13
    assert int(sweeps) == 1


def test_a_spike_at_an_input_is_counted_once():
    """Inputs of weight 0 at the very times of spikes, and a unit of rounding before and after them."""
    neuron, weight, until = QIF(1.0), 300.0, 2.0
    start, weights = initial_states(neuron, jnp.zeros(1)), jnp.array([[weight, 0.0]])
    alone = parallel_in_time_layer(neuron, weights, start, Spikes(jnp.zeros(1), jnp.zeros(1, int)), until, 16)
    count = int(alone.counts[0])
    spikes = np.asarray(alone.times[0, :count])
    around = np.sort(np.concatenate([[0.0], spikes, np.nextafter(spikes, 0), np.nextafter(spikes, 9), spikes]))
    given = Spikes(jnp.asarray(around), jnp.ones(around.size, int).at[0].set(0))
    found = parallel_in_time_layer(neuron, weights, start, given, until, 16)
    assert int(found.counts[0]) == count > 3
    np.testing.assert_allclose(found.times[0, :count], spikes, rtol=1e-14)


def test_an_exhausted_budget_is_flagged_at_the_spike_too_many_and_raised():
    neuron, weights, states, inputs = problem(0)
    whole = parallel_in_time_layer(neuron, weights, states, inputs, UNTIL, CAPACITY)
    most = int(whole.counts.max())
    short = parallel_in_time_layer(neuron, weights, states, inputs, UNTIL, most - 1)
    assert int(short.status.flags) == Flag.BUDGET_EXHAUSTED
    overflow = np.asarray(whole.times)[:, most - 1].min()
    assert float(short.status.time) == pytest.approx(overflow, rel=1e-13)
    network = Layered(neuron, (weights,))
    with pytest.raises(SimulationError, match=f"budget of {most - 1} was exhausted"):
        simulate_layers(network, (states,), inputs, UNTIL, capacity=most - 1, layer=parallel_in_time_layer)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_activity_that_runs_away_is_flagged(dtype):
    """So many spikes that whole numbers of 32 bits would wrap around."""
    neuron, inputs = QIF(1.0), 4000
    given = Spikes(jnp.linspace(0, 1, inputs, dtype=dtype), jnp.zeros(inputs, int))
    start = initial_states(neuron, jnp.zeros(1, dtype))
    found = parallel_in_time_layer(neuron, jnp.full((1, 1), 1e18, dtype), start, given, 1.0, 4)
    assert int(found.status.flags) & Flag.BUDGET_EXHAUSTED


def test_what_fits_into_no_memory_is_refused():
    neuron = QIF(1.0)
    sizes = jax.ShapeDtypeStruct((10**6, 1), jnp.float64), jax.ShapeDtypeStruct((10**9,), jnp.float64)
    states = jax.ShapeDtypeStruct((10**6, 3), jnp.float64)
    sources = jax.ShapeDtypeStruct((10**9,), int)
    with pytest.raises(MemoryError, match="A layer of 1000000 neurons at 1000000000 inputs would take"):
        jax.eval_shape(
            lambda weights, times, sources, states: parallel_in_time_layer(
                neuron, weights, states, Spikes(times, sources), 1.0, 4
            ),
            *sizes,
            sources,
            states,
        )


def test_layers_above_each_other():
    neuron, weights, states, inputs = problem(3)
    above = jnp.asarray(np.random.default_rng(9).standard_normal((3, NEURONS)) * 3)
    network = Layered(neuron, (weights, above))
    starts = states, initial_states(neuron, jnp.zeros(3))

    def of(layer, w):
        found = simulate_layers(Layered(neuron, w), starts, inputs, UNTIL, capacity=CAPACITY, layer=layer)[-1].times
        return jnp.where(jnp.isfinite(found), found, 0).sum()

    ours, theirs = (
        jax.value_and_grad(lambda w, e=e: of(e, w))(network.weights) for e in (parallel_in_time_layer, simulate_layer)
    )
    assert float(theirs[0]) > 0
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11)


def test_trials_are_those_of_each_alone():
    neuron, weights, states, _ = problem(0)
    several = [problem(seed)[3] for seed in range(3)]
    inputs = jax.tree.map(lambda *parts: jnp.stack(parts), *several)
    found = jax.vmap(lambda one: parallel_in_time_layer(neuron, weights, states, one, UNTIL, CAPACITY))(inputs)
    for k, one in enumerate(several):
        alone = parallel_in_time_layer(neuron, weights, states, one, UNTIL, CAPACITY)
        np.testing.assert_allclose(found.times[k], alone.times, rtol=1e-13)


def test_malformed_inputs_are_flagged():
    neuron, weights, states, _ = problem(0)
    for times, sources, flag in (
        ([1.0, 0.5], [0, 0], Flag.INPUT_TIMES),
        ([0.5, 1.0], [0, CHANNELS], Flag.INPUT_SOURCES),
        ([0.5, np.nan], [0, 0], Flag.INPUT_TIMES),
    ):
        found = parallel_in_time_layer(neuron, weights, states, Spikes(jnp.array(times), jnp.array(sources)), UNTIL, 4)
        assert int(found.status.flags) & flag


@pytest.mark.parametrize("neuron", [LIF(1.0, 1.0)])
def test_another_neuron_is_refused(neuron):
    _, weights, _, inputs = problem(0)
    states = initial_states(neuron, jnp.zeros(NEURONS))
    with pytest.raises(ValueError, match=r"are for QIF, .* not for LIF: use simulate_layer or time_reversed_layer\.$"):
        parallel_in_time_layer(neuron, weights, states, inputs, UNTIL, 4)


def test_a_budget_of_nothing_is_refused():
    neuron, weights, states, inputs = problem(0)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        parallel_in_time_layer(neuron, weights, states, inputs, UNTIL, 0)


def test_float32_is_as_right_as_the_kernel():
    """Errors of either against float64, in the same weights and times."""
    single = problem(0, dtype=jnp.float32)
    double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, single[1:])
    exact = simulate_layer(single[0], *double, UNTIL, CAPACITY)
    real = np.isfinite(exact.times)
    errors = []
    for engine in (parallel_in_time_layer, time_reversed_layer):
        found = engine(*single, UNTIL, CAPACITY)
        assert found.times.dtype == jnp.float32
        np.testing.assert_array_equal(found.counts, exact.counts)
        errors.append(np.abs(np.asarray(found.times)[real] - np.asarray(exact.times)[real]).max())
    assert errors[0] < 4 * errors[1] + 1e-6


def test_prefixes_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    factors, terms = rng.uniform(0, 1, (37, 1)), rng.standard_normal((37, 3))
    y, expected = np.zeros(3), []
    for a, b in zip(factors, terms, strict=True):
        y = a * y + b
        expected.append(y)
    np.testing.assert_allclose(jax.jit(affine_prefixes)(jnp.asarray(factors), jnp.asarray(terms)), expected, rtol=1e-13)
    matrices = rng.standard_normal((4, 37, 3)) * 1e200
    products = np.stack(jax.jit(lambda all: product_prefixes(rescaled(tuple(all))[0]))(jnp.asarray(matrices)))
    assert np.abs(products).max(0) == pytest.approx(1, abs=1e-15)
    for j in range(3):
        whole = np.eye(2)
        for k in range(37):
            whole = matrices[:, k, j].reshape(2, 2) / 1e200 @ whole
            whole /= np.abs(whole).max()
            np.testing.assert_allclose(
                products[:, k, j].reshape(2, 2) / np.abs(products[:, k, j]).max(), whole, rtol=1e-9
            )
