"""Voltages between events, from the recorded spikes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.sampling import highest_voltages, layer_voltages, sampled_states, voltages
from stablespike.dynamics.spikes import Spikes

SIZE, DURATION = 6, 3.0
CASES = [(QIF(1.3), 4.0), (LIF(1.3), 3.0), (Theta(1.3, 1.1), 2.0), (OscillatoryLIF(1.3), 0.7)]


def problem(neuron, mean, delays=None):
    rng = np.random.default_rng(5)
    network = Recurrent(
        neuron, jnp.asarray(rng.normal(0, 0.4, (SIZE, SIZE))), jnp.asarray(rng.normal(mean, 0.5, (SIZE, 2))), delays
    )
    inputs = Spikes(jnp.asarray(np.sort(rng.uniform(0, DURATION, 9))), jnp.asarray(rng.integers(0, 2, 9)))
    return network, initial_states(neuron, jnp.asarray(rng.uniform(0, 0.4, SIZE))), inputs


def on_circle(neuron, states):
    """States whose length has no meaning, as points on the circle."""
    if isinstance(neuron, LIF | OscillatoryLIF):
        return states
    length = jnp.hypot(states[..., 0], states[..., 1])[..., None]
    return jnp.concatenate([states[..., :2] / length, states[..., 2:]], -1)


@pytest.mark.parametrize(
    ("neuron", "mean", "delayed"), [(*case, False) for case in CASES] + [(*CASES[0], True)], ids=str
)
def test_samples_are_the_states_of_shorter_trials(neuron, mean, delayed):
    delays = jnp.asarray(np.random.default_rng(1).uniform(0.05, 0.6, (SIZE, SIZE))) if delayed else None
    network, states, inputs = problem(neuron, mean, delays)
    solution = simulate(network, states, inputs, DURATION, max_events=256)
    assert solution.counts.sum() > SIZE
    times = jnp.array([2.9, 0.0, 0.55, 1.7, DURATION])
    sampled = sampled_states(network, states, inputs, solution, times)
    for time, one in zip(times, sampled, strict=True):
        short = simulate(network, states, inputs, time, max_events=256).state
        np.testing.assert_allclose(on_circle(neuron, one), on_circle(neuron, short), atol=1e-11)


def test_derivative_of_a_voltage_is_that_of_the_shorter_trial():
    network, states, inputs = problem(QIF(1.3), 4.0)

    def sampled(weights):
        changed = Recurrent(network.neuron, weights, network.input_weights)
        solution = simulate(changed, states, inputs, DURATION, max_events=128)
        return jnp.arctan(voltages(changed, states, inputs, solution, jnp.array([1.7]))[0]).sum()

    def cut(weights):
        changed = Recurrent(network.neuron, weights, network.input_weights)
        final = simulate(changed, states, inputs, 1.7, max_events=128).state
        return jnp.arctan(final[:, 0] / final[:, 1]).sum()

    one, other = (jax.grad(function)(network.weights) for function in (sampled, cut))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_highest_voltage_is_that_of_a_fine_trace_and_its_derivative_that_of_differences():
    network, states, inputs = problem(LIF(1.3), 0.2)
    times = jnp.linspace(0, DURATION, 20001)

    def highest(input_weights):
        changed = Recurrent(network.neuron, network.weights, input_weights)
        solution = simulate(changed, states, inputs, DURATION, max_events=64)
        return highest_voltages(changed, states, inputs, solution), solution

    found, solution = highest(network.input_weights)
    assert solution.spikes.count == 0
    trace = voltages(network, states, inputs, solution, times)
    np.testing.assert_allclose(found, trace.max(0), atol=1e-7)
    assert (found - trace.max(0)).min() >= -1e-12  # what 20 000 steps of the trace round off
    slope = jax.grad(lambda w: highest(w)[0].sum())(network.input_weights)
    direction = jnp.asarray(np.random.default_rng(2).normal(size=slope.shape))
    step = 1e-6
    up, down = (highest(network.input_weights + sign * step * direction)[0].sum() for sign in (1, -1))
    np.testing.assert_allclose((slope * direction).sum(), (up - down) / (2 * step), rtol=1e-7)


@pytest.mark.parametrize(("neuron", "top"), [(QIF(1.3), np.inf), (LIF(1.3), 1.0)], ids=str)
def test_a_spike_is_the_highest_voltage(neuron, top):
    network, states, inputs = problem(neuron, 6.0)
    solution = simulate(network, states, inputs, DURATION, max_events=512)
    found = highest_voltages(network, states, inputs, solution)
    fired = np.asarray(solution.counts) > 0
    assert fired.any()
    np.testing.assert_allclose(found[fired], top, rtol=1e-12)


def test_samples_outside_of_the_trial_are_refused_and_no_sample_is_none():
    network, states, inputs = problem(LIF(1.3), 0.2)
    solution = simulate(network, states, inputs, DURATION, max_events=64)
    for time in (-0.1, DURATION + 0.1, jnp.nan):
        with pytest.raises(ValueError, match="from time 0 to the end"):
            voltages(network, states, inputs, solution, jnp.array([1.0, time]))
        inside = jax.jit(lambda t: voltages(network, states, inputs, solution, t))(jnp.array([1.0, time]))
        assert jnp.isfinite(inside[0]).all()
        assert jnp.isnan(inside[1]).all()
    assert voltages(network, states, inputs, solution, jnp.zeros(0)).shape == (0, SIZE)


def test_voltages_of_a_layer_are_those_at_the_end_of_shorter_runs():
    rng = np.random.default_rng(2)
    lower = ss.Layer(
        LIF(), ss.Dense(jnp.asarray(rng.normal(4, 1, (3, 2)))), ss.Dense(jnp.asarray(rng.normal(0, 1, (3, 3))))
    )
    network = ss.Network(lower, ss.Layer(QIF(), ss.Dense(jnp.asarray(rng.normal(4, 1, (2, 3))))))
    inputs = Spikes(jnp.asarray([0.1, 0.5, 0.9, 1.4]), jnp.asarray([0, 1, 1, 0]))
    run = ss.simulate(network, inputs, 2.0)
    assert min(int(one.counts.sum()) for one in run.layers) > 0
    for layer, neuron in enumerate((LIF(), QIF())):
        found = layer_voltages(network, inputs, run, jnp.asarray([0.7, 1.6]), layer)
        for time, voltage in zip((0.7, 1.6), found, strict=True):
            states = ss.simulate(network, inputs, time).states[layer]
            np.testing.assert_allclose(voltage, jax.vmap(neuron.voltage)(states), rtol=1e-9)
    with pytest.raises(ValueError, match="runs by events"):
        layer_voltages(network, inputs, ss.simulate(network, inputs, 2.0, on=ss.Grid(0.1)), jnp.asarray([0.7]))
