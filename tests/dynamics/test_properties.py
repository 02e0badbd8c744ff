"""What must hold for any network: causality, symmetry, scaling of time, reversal, one result on every route."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layers
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes

SIZE, CHANNELS, EVENTS, DURATION, BUDGET = 5, 3, 8, 4.0, 160
MODELS = {
    "qif": (QIF, (), 1.0, 8.0),
    "lif": (LIF, (1.0,), 0.3, 4.0),
    "theta": (Theta, (1.25,), 0.5, 1.0),
    "oscillatory_lif": (
        OscillatoryLIF,
        (1.25, 1.0),
        -0.05,
        -0.1,
    ),  # inhibition: excitation would lift and lose voltages
}
SEEDS = st.integers(0, 10**6)
few = settings(max_examples=4, deadline=None, derandomize=True)
models = pytest.mark.parametrize("name", MODELS)


def draw(name, seed):
    """Weights, input weights, voltages, times and channels of inputs."""
    *_, scale, input_scale = MODELS[name]
    random = np.random.default_rng(seed)
    weights = scale * random.normal(size=(SIZE, SIZE))
    return (
        -np.abs(weights) if scale < 0 else weights,
        input_scale * random.uniform(0 if scale < 0 else -0.2, 1, (SIZE, CHANNELS)),
        random.uniform(-0.3, 0.7, SIZE),
        np.sort(random.uniform(0, DURATION, EVENTS)),
        random.integers(0, CHANNELS, EVENTS),
    )


@functools.cache
def compiled(name):
    """One compiled simulation for all properties of a model."""
    model, parameters, *_ = MODELS[name]

    def run(weights, input_weights, voltages, times, channels, tau=1.0, duration=DURATION):
        neuron = model(tau, *parameters)
        states = initial_states(neuron, voltages)
        network = Recurrent(neuron, weights, input_weights)
        return simulate(network, states, Spikes(times, channels), duration, max_events=BUDGET)

    return jax.jit(run)


def run(name, *parts, tau=1.0, duration=DURATION):
    solution = compiled(name)(*map(jnp.asarray, parts), jnp.asarray(tau), jnp.asarray(duration))
    assert int(solution.status.flags) == 0
    return solution


def train(solution, until=np.inf):
    times, sources = np.asarray(solution.spikes.times), np.asarray(solution.spikes.sources)
    keep = np.isfinite(times) & (times < until)
    return times[keep], sources[keep]


@models
@few
@given(seed=SEEDS)
def test_causality(name, seed):
    """What happens to the last inputs has no effect before them."""
    weights, input_weights, voltages, times, channels = draw(name, seed)
    changed = channels.copy()
    changed[-2:] = (changed[-2:] + 1) % CHANNELS
    one, other = (run(name, weights, input_weights, voltages, times, c) for c in (channels, changed))
    (times_one, sources_one), (times_other, sources_other) = (train(solution, times[-2]) for solution in (one, other))
    np.testing.assert_array_equal(times_one, times_other)
    np.testing.assert_array_equal(sources_one, sources_other)


@models
@few
@given(seed=SEEDS)
def test_permuting_the_neurons_permutes_the_spikes(name, seed):
    weights, input_weights, voltages, times, channels = draw(name, seed)
    order = np.random.default_rng(seed).permutation(SIZE)
    plain = run(name, weights, input_weights, voltages, times, channels)
    permuted = run(name, weights[order][:, order], input_weights[order], voltages[order], times, channels)
    (one, sources), (other, permuted_sources) = train(plain), train(permuted)
    np.testing.assert_allclose(other, one, rtol=1e-11)
    np.testing.assert_array_equal(order[permuted_sources], sources)


@models
@few
@given(seed=SEEDS, scale=st.floats(0.1, 20))
def test_scaling_time_scales_the_spike_times(name, seed, scale):
    weights, input_weights, voltages, times, channels = draw(name, seed)
    plain = run(name, weights, input_weights, voltages, times, channels)
    scaled = run(name, weights, input_weights, voltages, scale * times, channels, tau=scale, duration=scale * DURATION)
    (one, sources), (other, scaled_sources) = train(plain), train(scaled)
    np.testing.assert_allclose(other, scale * one, rtol=1e-11)
    np.testing.assert_array_equal(scaled_sources, sources)


@models
@few
@given(seed=SEEDS)
def test_running_backwards_undoes_the_simulation(name, seed):
    """flow(-dt) and jump(-w) from the final state, with what a reset destroys put back, lead back to the start."""
    model, parameters, *_ = MODELS[name]
    neuron = model(1.0, *parameters)
    parts = draw(name, seed)
    weights, input_weights, voltages, times, channels = parts
    solution = run(name, *parts)
    events = [(t, "spike", s) for t, s in zip(*train(solution), strict=True)]
    events += [(t, "input", c) for t, c in zip(times, channels, strict=True)]
    state, now = solution.state, DURATION
    flow, jump, before_reset = backwards(name)
    for time, kind, index in sorted(events, key=lambda event: event[0], reverse=True):
        state = flow(state, jnp.asarray(time - now))
        state = jump(state, -jnp.asarray((weights if kind == "spike" else input_weights)[:, index]))
        if kind == "spike":
            state = state.at[index].set(before_reset(state[index]))
        now = time
    state = flow(state, jnp.asarray(-now))
    recovered = np.asarray(jax.vmap(neuron.voltage)(state))
    np.testing.assert_allclose(recovered, voltages, atol=1e-7)


@functools.cache
def backwards(name):
    model, parameters, *_ = MODELS[name]
    neuron = model(1.0, *parameters)
    spikes_at = {"qif": [1.0, 0.0], "theta": [1.0, 0.0], "lif": [1.0], "oscillatory_lif": [1.0]}[name]
    return (
        jax.jit(jax.vmap(neuron.flow, (0, None))),
        jax.jit(jax.vmap(neuron.jump)),
        lambda state: jnp.concatenate([jnp.asarray(spikes_at), state[len(spikes_at) :]]),
    )


@models
@few
@given(seed=SEEDS)
def test_layer_parallel_is_recurrent(name, seed):
    """A feed-forward network, all spikes of a layer at once, against the same network spike by spike."""
    layers, recurrent = both_routes(name)
    random = np.random.default_rng(seed)
    *_, scale, input_scale = MODELS[name]
    weights = (
        jnp.asarray(input_scale * random.uniform(-0.2, 1, (4, CHANNELS))),
        jnp.asarray(4 * scale * random.uniform(-0.4, 1, (3, 4))),
    )
    voltages = jnp.asarray(random.uniform(-0.3, 0.7, 7))
    times, channels = (
        jnp.asarray(np.sort(random.uniform(0, DURATION, EVENTS))),
        jnp.asarray(random.integers(0, 3, EVENTS)),
    )
    one, flags = layers(weights, voltages, times, channels)
    other = recurrent(weights, voltages, times, channels)
    assert int(flags) == int(other.status.flags) == 0
    table = np.asarray(other.spike_times(16))
    np.testing.assert_array_equal(np.isfinite(one), np.isfinite(table))
    np.testing.assert_allclose(np.where(np.isfinite(one), one, 0), np.where(np.isfinite(table), table, 0), rtol=1e-11)


@functools.cache
def both_routes(name):
    model, parameters, *_ = MODELS[name]
    neuron = model(1.0, *parameters)

    def layers(weights, voltages, times, channels):
        states = (initial_states(neuron, voltages[:4]), initial_states(neuron, voltages[4:]))
        solutions = simulate_layers(Layered(neuron, weights), states, Spikes(times, channels), DURATION, capacity=16)
        return jnp.concatenate([one.spike_times(16) for one in solutions]), solutions[0].status.flags | solutions[
            1
        ].status.flags

    def recurrent(weights, voltages, times, channels):
        network = Layered(neuron, weights).as_recurrent()
        return simulate(network, initial_states(neuron, voltages), Spikes(times, channels), DURATION, max_events=BUDGET)

    return jax.jit(layers), jax.jit(recurrent)
