"""The time-reversed network against the recorded one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.gradients.time_reversed import time_reversed, time_reversed_simulate
from stablespike.native.conventions import Flag

SIZE, CHANNELS, INPUTS, EVENTS, DURATION = 12, 4, 30, 400, 9.0
CASES = [(QIF(1.1), 3.0), (LIF(1.1, 1.0), 1.0), (Theta(1.1, 0.9), 0.5)]


def problem(neuron, weight, seed=0):
    """A network with two identical neurons, which always spike together, and inputs with a tie."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(SIZE, SIZE)) * weight / SIZE**0.5
    weights[1], weights[:, 1] = weights[0], weights[:, 0]
    weights[:2, :2] = 0.3
    input_weights = rng.normal(weight, weight, (SIZE, CHANNELS))
    input_weights[1], input_weights[3, 2] = input_weights[0], 0
    voltages = rng.uniform(-0.3, 0.6, SIZE)
    voltages[1] = voltages[0]
    times = np.sort(rng.uniform(0, DURATION, INPUTS))
    times[4], times[-3:] = times[5], np.inf
    sources = jnp.asarray(rng.integers(0, CHANNELS, INPUTS))
    states = initial_states(neuron, jnp.asarray(voltages))
    return jnp.asarray(weights), jnp.asarray(input_weights), states, jnp.asarray(times), sources


def loss_of(simulator, neuron):
    """Loss on all spike times and the final state, with the solution."""
    mixing = jnp.asarray(np.random.default_rng(5).normal(size=EVENTS + 16))

    def loss(weights, input_weights, states, times, sources):
        inputs = Spikes(times, sources)
        solution = simulator(Recurrent(neuron, weights, input_weights), states, inputs, DURATION, max_events=EVENTS)
        found, real = solution.spikes.times, solution.spikes.real
        early = jnp.sum(jnp.where(real, mixing[: found.size] * jnp.sin(jnp.where(real, found, 0)), 0))
        return early + jnp.sum(jnp.sin(solution.state)), solution

    return loss


def close(one, other, tolerance):
    """Equal where infinite, within `tolerance` relative to the largest number elsewhere."""
    one, other = np.asarray(one), np.asarray(other)
    finite = np.isfinite(one)
    np.testing.assert_array_equal(finite, np.isfinite(other))
    size = np.abs(one[finite]).max(initial=1)
    np.testing.assert_allclose(one[finite], other[finite], rtol=0, atol=tolerance * size)


@pytest.mark.parametrize(("neuron", "weight"), CASES, ids=lambda one: type(one).__name__)
def test_values_and_gradients_equal_the_recorded_ones(neuron, weight):
    operands = problem(neuron, weight)
    (recorded, gradients), (native, reversed_gradients) = (
        jax.jit(jax.value_and_grad(loss_of(simulator, neuron), (0, 1, 2, 3), has_aux=True))(*operands)
        for simulator in (simulate, time_reversed(simulate))
    )
    assert recorded[1].counts.sum() > 30
    assert native[1].status.ok
    for one, other in zip(jax.tree.leaves(recorded), jax.tree.leaves(native), strict=True):
        close(one, other, 1e-11)
    for one, other in zip(gradients, reversed_gradients, strict=True):
        close(one, other, 1e-9)


def test_trials_share_weights():
    neuron, weight = CASES[0]
    weights, input_weights, states, times, sources = problem(neuron, weight)
    shifted = times + jnp.arange(3.0)[:, None] / 10
    loss = loss_of(time_reversed_simulate, neuron)
    alone = [jax.grad(loss, has_aux=True)(weights, input_weights, states, one, sources)[0] for one in shifted]

    def together(weights):
        values, _ = jax.vmap(loss, (None, None, None, 0, None))(weights, input_weights, states, shifted, sources)
        return values.sum()

    close(sum(alone), jax.jit(jax.grad(together))(weights), 1e-12)


def test_trials_whose_reversal_misses_its_checkpoints_are_replayed():
    """One of three trials, of which the reversal alone is wrong by more than the tolerance: sums of all three."""
    neuron, weight = CASES[0]
    weights, input_weights, states, times, sources = problem(neuron, weight)
    loose, strict = time_reversed(simulate, tolerance=1e-3), time_reversed(simulate, tolerance=1e-12, checkpoints=1)
    trials = jnp.stack([times, times + 0.1, jnp.full(INPUTS, jnp.inf)])

    def total(simulator):
        loss = jax.vmap(loss_of(simulator, neuron), (None, None, None, 0, None))
        gradient = jax.grad(lambda *operands: loss(*operands)[0].sum(), (0, 1, 2, 3))
        return jax.jit(gradient)(weights, input_weights, states, trials, sources)

    for one, other in zip(total(loose), total(strict), strict=True):
        close(one, other, 1e-9)


@pytest.mark.parametrize("neuron", [Theta(1.0, 1.25), QIF(1.0)], ids=lambda one: type(one).__name__)
def test_weights_of_three_hundred(neuron):
    """Five neurons, weights of sd 300: a reversal loses all digits, a replay none."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, 5)) * 300
    np.fill_diagonal(weights, 0)
    input_weights, voltages = rng.normal(size=(5, 3)) * 5, rng.uniform(-0.3, 0.6, 5)
    currents = 0.0 if isinstance(neuron, Theta) else 2.0
    states = initial_states(neuron, jnp.asarray(voltages), currents)
    times, sources = np.sort(rng.uniform(0, 6.0, 20)), rng.integers(0, 3, 20)
    operands = (*map(jnp.asarray, (weights, input_weights)), states, jnp.asarray(times), jnp.asarray(sources))

    (_, gradients), (native, replayed) = (
        jax.jit(jax.value_and_grad(loss_of(simulator, neuron), (0, 1, 2, 3), has_aux=True))(*operands)
        for simulator in (simulate, time_reversed(simulate))
    )
    assert int(native[1].spikes.count) > 10
    for one, other in zip(gradients, replayed, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-9 * np.abs(one).max())


def test_status_and_refusals():
    neuron, weight = CASES[0]
    weights, input_weights, states, times, sources = problem(neuron, weight)
    network = Recurrent(neuron, weights, input_weights)

    def flags(simulator, times, budget):
        return int(
            jax.jit(
                lambda: simulator(network, states, Spikes(times, sources), DURATION, max_events=budget).status.flags
            )()
        )

    for case, budget in ((times, 20), (times.at[2].set(jnp.nan), EVENTS), (times.at[3].set(0.0), EVENTS)):
        assert flags(simulate, case, budget) == flags(time_reversed_simulate, case, budget) != 0
    with pytest.raises(ValueError, match="cannot be met"):
        time_reversed(simulate, tolerance=1e-16)(network, states, Spikes(times, sources), DURATION, max_events=9)
    with pytest.raises(ValueError, match="knows `simulate`"):
        time_reversed(jnp.sin)
    assert Flag.BUDGET_EXHAUSTED & flags(time_reversed_simulate, times, 20)


def test_memory_does_not_grow_with_the_number_of_events():
    neuron, weight = CASES[0]
    weights, input_weights, states, *_ = problem(neuron, weight)
    network = Recurrent(neuron, weights, input_weights)

    def temporary(inputs):
        def total(weights, times, sources):
            one = Recurrent(neuron, weights, input_weights)
            solution = time_reversed_simulate(one, states, Spikes(times, sources), DURATION, max_events=4 * inputs)
            return jnp.sum(jnp.where(solution.spikes.real, solution.spikes.times, 0))

        times, sources = jnp.linspace(0, DURATION, inputs), jnp.zeros(inputs, int)
        compiled = jax.jit(jax.grad(total)).lower(network.weights, times, sources).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, more, many = (temporary(inputs) for inputs in (1000, 4000, 16000))
    each = (many - few) / (4 * 15000)
    assert each <= 24
    np.testing.assert_allclose(more - each * 4 * 4000, few - each * 4 * 1000, rtol=0.1)
