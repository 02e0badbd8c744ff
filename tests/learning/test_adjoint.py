"""The native layer with its reversed adjoint against the recorded reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from stablespike.native.conventions import Flag

TRIALS, NEURONS, CHANNELS, EVENTS, CAPACITY, DURATION = 3, 37, 5, 25, 12, 10.0
NEURON = Theta(1.3, 1.1)
NEURONS_AND_MEANS = [(NEURON, 0.0), (QIF(1.3), 1.0), (LIF(1.3, 1.5), 0.0)]  # mean weights


def problem(seed=0, neuron=NEURON, mean=0.0):
    """Weights, initial states, and input spikes of several trials, with simultaneous inputs and padding."""
    rng = np.random.default_rng(seed)
    weights = jnp.asarray(rng.normal(mean, 2, (NEURONS, CHANNELS)))
    states = initial_states(neuron, jnp.asarray(rng.uniform(-0.5, 0.6, NEURONS)))
    times = np.sort(rng.uniform(0, 12, (TRIALS, EVENTS)), 1)
    times[:, 3], times[:, 0], times[:, -5:] = times[:, 4], 0, np.inf
    return weights, states, Spikes(jnp.asarray(times), jnp.asarray(rng.integers(0, CHANNELS, (TRIALS, EVENTS))))


def loss_of(layer, neuron=NEURON):
    """Loss on spike times and final states, with the solution."""
    mixing = jnp.asarray(np.random.default_rng(9).normal(size=(NEURONS, CAPACITY)))

    def trial(weights, states, times, sources):
        solution = layer(neuron, weights, states, Spikes(times, sources), DURATION, CAPACITY)
        finite = jnp.isfinite(solution.times)
        early = jnp.sum(jnp.where(finite, mixing * jnp.sin(jnp.where(finite, solution.times, 0)), 0))
        return early + jnp.sum(jnp.sin(solution.state)), solution

    def loss(weights, states, times, sources):
        values, solution = jax.vmap(trial, (None, None, 0, 0))(weights, states, times, sources)
        return values.sum(), solution

    return loss


def close(one, other, tolerance):
    """Equal where infinite, within `tolerance` relative to the largest number elsewhere."""
    one, other = np.asarray(one), np.asarray(other)
    finite = np.isfinite(one)
    np.testing.assert_array_equal(finite, np.isfinite(other))
    np.testing.assert_allclose(
        one[finite], other[finite], rtol=tolerance, atol=tolerance * np.abs(one[finite]).max(initial=1)
    )


@pytest.mark.parametrize(("neuron", "mean"), NEURONS_AND_MEANS, ids=lambda one: type(one).__name__)
def test_values_and_gradients_equal_the_reference(neuron, mean):
    weights, states, inputs = problem(0, neuron, mean)
    both = [
        jax.jit(jax.value_and_grad(loss_of(layer, neuron), (0, 1, 2), has_aux=True))(
            weights, states, inputs.times, inputs.sources
        )
        for layer in (simulate_layer, time_reversed_layer)
    ]
    (reference, gradients), (native, native_gradients) = both
    assert reference[1].counts.max() > 2
    assert native[1].status.ok.all()
    assert reference[1].status.ok.all()
    for one, other in zip(jax.tree.leaves(reference), jax.tree.leaves(native), strict=True):
        close(one, other, 1e-12)
    for one, other in zip(gradients, native_gradients, strict=True):
        close(one, other, 1e-10)


def test_gradient_by_trial_equals_that_of_single_trials():
    weights, states, inputs = problem(1)

    def one(weights, times, sources):
        return time_reversed_layer(NEURON, weights, states, Spikes(times, sources), DURATION, CAPACITY).state.sum()

    together = jax.vmap(jax.grad(one), (None, 0, 0))(weights, inputs.times, inputs.sources)
    for trial in range(TRIALS):
        close(jax.grad(one)(weights, inputs.times[trial], inputs.sources[trial]), together[trial], 1e-13)


def test_gradient_of_a_parameter_is_that_of_the_reference():
    weights, states, inputs = problem(2)

    def loss(layer, drive):
        return loss_of(layer, Theta(1.3, drive))(weights, states, inputs.times, inputs.sources)[0]

    reference, native = (
        jax.grad(lambda drive, layer=layer: loss(layer, drive))(1.1) for layer in (simulate_layer, time_reversed_layer)
    )
    close(reference, native, 1e-11)


@pytest.mark.parametrize("case", ["capacity", "nan", "unsorted", "channel"])
def test_status_is_that_of_the_reference(case):
    weights, states, inputs = problem(3)
    times, sources = np.array(inputs.times[0]), np.array(inputs.sources[0])
    capacity = 1 if case == "capacity" else CAPACITY
    flag = {"capacity": Flag.BUDGET_EXHAUSTED, "nan": Flag.NOT_FINITE, "unsorted": Flag.INPUT_TIMES}.get(
        case, Flag.INPUT_SOURCES
    )
    if case == "nan":
        weights = weights.at[4, int(sources[2])].set(jnp.nan)
    if case == "unsorted":
        times[2] = times[6]
    if case == "channel":
        sources[2] = CHANNELS
    spikes = Spikes(jnp.asarray(times), jnp.asarray(sources))
    status = time_reversed_layer(NEURON, weights, states, spikes, DURATION, capacity).status
    assert int(status.flags) & flag
    assert np.isfinite(status.time)
    reference = jax.jit(lambda: simulate_layer(NEURON, weights, states, spikes, DURATION, capacity).status)()
    assert int(reference.flags) == int(status.flags)


def test_repeated_runs_give_the_same_bytes():
    weights, states, inputs = problem(4)
    run = jax.jit(jax.grad(loss_of(time_reversed_layer), has_aux=True))
    first, second = (run(weights, states, inputs.times, inputs.sources) for _ in range(2))
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
