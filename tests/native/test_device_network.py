"""The kernels of recurrent networks for GPUs, run by a processor thread after thread, against the engine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.native.device_cases import (
    DERIVED,
    DURATION,
    GROUPS,
    NEURONS,
    TRIALS,
    close,
    network_problem,
    operands_of,
    pull_network,
    run_network,
)

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.spikes import Spikes
from stablespike.native.conventions import Flag

EVENTS = 160


def by_engine(neuron, weights, input_weights, states, times, sources):
    """Spikes, final states, counts and flags of all trials."""

    def trial(weights, input_weights, states, times, sources):
        network = Recurrent(neuron, weights, input_weights)
        one = simulate(network, states, Spikes(times, sources), DURATION, max_events=EVENTS)
        return one.spikes.times, one.state, one.spikes.sources, one.counts, one.status.flags

    return jax.jit(jax.vmap(trial))(weights, input_weights, states, times, sources)


def gradients_by_engine(neuron, own, times, sources, bars):
    """Cotangents of each trial's weights, input weights, states and input times."""

    def loss(weights, input_weights, states, times):
        spikes, final = by_engine(neuron, weights, input_weights, states, times, sources)[:2]
        spikes = spikes[:, : bars[0].shape[1]]
        there = jnp.isfinite(spikes)
        return jnp.sum(jnp.where(there, bars[0] * jnp.where(there, spikes, 0), 0)) + jnp.sum(bars[1] * final)

    return jax.jit(jax.grad(loss, (0, 1, 2, 3)))(*own, times)


@pytest.mark.parametrize("name", [*NEURONS, "GeneralLIF"])
def test_values_and_gradients_are_those_of_the_engine(name):
    neuron, mean = (NEURONS | DERIVED)[name]
    weights, input_weights, states, times, sources = network_problem(neuron, mean)
    lines, operands = operands_of(neuron, [weights, input_weights], states, times, sources, np.float64)
    found, variables = run_network(lines, operands, EVENTS), states.shape[1]
    own = [jnp.broadcast_to(one, (TRIALS, *one.shape)) for one in (weights, input_weights, states)]
    spikes, final, by, counts, flags = by_engine(neuron, *own, times, jnp.asarray(sources))
    assert np.asarray(counts).sum(1).min() > 15
    assert not np.any(flags)
    assert not np.any(found["flags"])
    np.testing.assert_array_equal(found["counts"], counts)
    spikes, there = spikes[:, :EVENTS], np.isfinite(found["spikes"])
    close(spikes, found["spikes"], 1e-11)
    np.testing.assert_array_equal(np.asarray(by)[:, :EVENTS][there], found["spike_sources"][there])
    close(final, np.moveaxis(found["final"], 1, 2)[..., :variables], 1e-11)
    rng = np.random.default_rng(1)
    spike_bars, final_bars = rng.normal(size=found["spikes"].shape), rng.normal(size=found["final"].shape)
    final_bars[:, variables:] = 0
    bars = spike_bars, np.moveaxis(final_bars, 1, 2)[..., :variables]
    expected = gradients_by_engine(neuron, own, times, jnp.asarray(sources), bars)
    pulled = pull_network(lines, operands, found, spike_bars, final_bars)
    assert pulled["errors"].max() < 1e-10
    for one, key in zip(expected[:2], ("weight_bars", "input_weight_bars"), strict=True):
        shared = np.stack([sum(one[b] for b in group if b >= 0) for group in GROUPS])
        close(np.moveaxis(shared, 1, 2), pulled[key], 1e-10)
    close(expected[2], np.moveaxis(pulled["state_bars"], 1, 2)[..., :variables], 1e-10)
    close(np.where(np.isfinite(times), expected[3], 0), pulled["time_bars"], 1e-10)
    again = pull_network(lines, operands, found, spike_bars, final_bars, wanted=False)
    np.testing.assert_array_equal(again["weight_bars"], pulled["weight_bars"])


def test_the_number_of_threads_changes_no_spike():
    neuron, mean = NEURONS["QIF"]
    problem = network_problem(neuron, mean, size=70)
    lines, operands = operands_of(neuron, problem[:2], *problem[2:], np.float64)
    few, many = (run_network(lines, operands, 400, threads=one) for one in (32, 1024))
    assert few["counts"].sum() > 100
    for name, one in few.items():
        np.testing.assert_array_equal(one, many[name])
    bars = np.ones_like(few["spikes"]), np.ones_like(few["final"])
    one, other = (pull_network(lines, operands, few, *bars, threads=count) for count in (32, 1024))
    for name in ("weight_bars", "input_weight_bars", "state_bars", "time_bars"):
        close(one[name], other[name], 1e-11)


@pytest.mark.parametrize("case", ["budget", "nan", "unsorted", "channel"])
def test_flags_are_those_of_the_engine_and_such_trials_have_no_gradient(case):
    neuron, mean = NEURONS["LIF"]
    weights, input_weights, states, times, sources = network_problem(neuron, mean)
    times, sources, events = np.array(times), np.array(sources), 25 if case == "budget" else EVENTS
    flag = {"budget": Flag.BUDGET_EXHAUSTED, "nan": Flag.NOT_FINITE, "unsorted": Flag.INPUT_TIMES}.get(
        case, Flag.INPUT_SOURCES
    )
    if case == "nan":
        input_weights = input_weights.at[4, int(sources[0, 2])].set(jnp.nan)
    if case == "unsorted":
        times[0, 2] = times[0, 9]
    if case == "channel":
        sources[0, 2] = input_weights.shape[1]
    lines, operands = operands_of(neuron, [weights, input_weights], states, times, sources, np.float64)
    found = run_network(lines, operands, events)
    assert found["flags"][0] == flag
    assert np.all(np.isfinite(found["ends"]))
    pulled = pull_network(lines, operands, found, np.ones_like(found["spikes"]), np.ones_like(found["final"]))
    assert not pulled["state_bars"][0].any()
