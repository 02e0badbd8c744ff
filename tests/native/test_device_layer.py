"""The layer's kernels for GPUs, run by a processor thread after thread, against the engine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.native.device_cases import (
    CAPACITY,
    DERIVED,
    DURATION,
    GROUPS,
    NEURONS,
    close,
    layer_problem,
    lines_for,
    operands_of,
    pull_layer,
    run_layer,
)

from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.spikes import Spikes
from stablespike.native.conventions import Flag


def by_engine(neuron, weights, states, times, sources):
    """Spikes, counts and final states of all trials."""

    def trial(weights, states, times, sources):
        one = simulate_layer(neuron, weights, states, Spikes(times, sources), DURATION, CAPACITY)
        return one.times, one.state, one.counts, one.status.flags

    return jax.jit(jax.vmap(trial, (0, 0, 0, 0)))(weights, states, times, sources)


def gradients_by_engine(neuron, weights, states, times, sources, bars):
    """Cotangents of each trial's weights, states and input times."""

    def loss(weights, states, times):
        spikes, final, _, _ = by_engine(neuron, weights, states, times, sources)
        there = jnp.isfinite(spikes)
        return jnp.sum(jnp.where(there, bars[0] * jnp.where(there, spikes, 0), 0)) + jnp.sum(bars[1] * final)

    return jax.jit(jax.grad(loss, (0, 1, 2)))(weights, states, times)


@pytest.mark.parametrize("name", [*NEURONS, *DERIVED])
def test_values_and_gradients_are_those_of_the_engine(name):
    neuron, mean = (NEURONS | DERIVED)[name]
    weights, states, times, sources = layer_problem(neuron, mean)
    lines, operands = operands_of(neuron, [weights], states, times, sources, np.float64)
    found, variables = run_layer(lines, operands), states.shape[1]
    own = [jnp.broadcast_to(one, (len(times), *one.shape)) for one in (weights, states)]
    spikes, final, counts, flags = by_engine(neuron, *own, times, jnp.asarray(sources))
    assert np.asarray(counts).max() > 2
    assert not np.any(flags)
    assert not np.any(found["flags"])
    np.testing.assert_array_equal(found["counts"], counts)
    close(spikes, found["spikes"], 1e-12)
    close(final, np.moveaxis(found["final"], 1, 2)[..., :variables], 1e-12)
    rng = np.random.default_rng(1)
    spike_bars, final_bars = rng.normal(size=found["spikes"].shape), rng.normal(size=found["final"].shape)
    final_bars[:, variables:] = 0
    bars = spike_bars, np.moveaxis(final_bars, 1, 2)[..., :variables]
    expected = gradients_by_engine(neuron, *own, times, jnp.asarray(sources), bars)
    pulled = pull_layer(lines, operands, spike_bars, final_bars)
    shared = np.stack([sum(expected[0][b] for b in group if b >= 0) for group in GROUPS])
    close(np.moveaxis(shared, 1, 2), pulled["weight_bars"], 1e-12)
    close(expected[1], np.moveaxis(pulled["state_bars"], 1, 2)[..., :variables], 1e-12)
    close(np.where(np.isfinite(times), expected[2], 0), pulled["time_bars"].sum(2), 1e-12)
    again = pull_layer(lines, operands, spike_bars, final_bars, wanted=False)
    np.testing.assert_array_equal(again["weight_bars"], pulled["weight_bars"])


@pytest.mark.parametrize("name", NEURONS)
def test_single_precision_is_that_of_its_roundings(name):
    neuron, mean = NEURONS[name]
    weights, states, times, sources = layer_problem(neuron, mean)
    both = [operands_of(neuron, [weights], states, times, sources, kind) for kind in (np.float64, np.float32)]
    double, single = (run_layer(lines, operands) for lines, operands in both)
    np.testing.assert_array_equal(double["counts"], single["counts"])
    close(double["spikes"], single["spikes"], 1e-4)


@pytest.mark.parametrize("case", ["capacity", "nan", "unsorted", "channel"])
def test_flags_are_those_of_the_engine(case):
    neuron, mean = NEURONS["LIF"]
    weights, states, times, sources = layer_problem(neuron, mean)
    times, sources, capacity = np.array(times), np.array(sources), 1 if case == "capacity" else CAPACITY
    flag = {"capacity": Flag.BUDGET_EXHAUSTED, "nan": Flag.NOT_FINITE, "unsorted": Flag.INPUT_TIMES}.get(
        case, Flag.INPUT_SOURCES
    )
    if case == "nan":
        weights = weights.at[4, int(sources[0, 2])].set(jnp.nan)
    if case == "unsorted":
        times[:, 2] = times[:, 9]
    if case == "channel":
        sources[:, 2] = weights.shape[1]
    lines, operands = operands_of(neuron, [weights], states, times, sources, np.float64)
    found = run_layer(lines, operands, capacity)
    assert np.bitwise_or.reduce(found["flags"][0]) == flag
    assert np.all(np.isfinite(found["ends"]))
    if case == "capacity":
        assert found["ends"].min() < DURATION


def test_a_row_of_every_operand_is_that_of_the_trial():
    neuron, mean = NEURONS["QIF"]
    weights, states, times, sources = layer_problem(neuron, mean)
    lines, operands = operands_of(neuron, [weights], states, times, sources, np.float64)
    other, slower = np.concatenate([operands[1], operands[1] / 2]), np.array([DURATION, DURATION / 2])
    table = operands[6].copy()
    table[2, 1] = table[2, 5] = 1
    found = run_layer(lines, [operands[0], other, *operands[2:5], slower, table])
    first, alone = (
        run_layer(lines, operands),
        run_layer(lines, [operands[0], other[1:], *operands[2:5], slower[1:], operands[6]]),
    )
    np.testing.assert_array_equal(found["spikes"][:2], first["spikes"][:2])
    np.testing.assert_array_equal(found["spikes"][2], alone["spikes"][2])
    assert not np.array_equal(first["spikes"][2], alone["spikes"][2])


def test_lines_know_their_constants():
    """The harness itself: constants of one neuron, as its lines unpack them."""
    neuron, _ = NEURONS["LIF"]
    lines, constants, _ = lines_for(neuron, jnp.zeros((2, 2)), np.dtype(np.float64))
    assert lines.unpack(constants[0]).tau == neuron.membrane_time_constant
