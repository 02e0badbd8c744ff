"""Windows of many events at once against the loop from event to event."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.windows import simulate_delayed, simulate_relaxed
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.numerical_models import ExponentialIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from stablespike.native.conventions import Flag

SIZE, CHANNELS, INPUTS, EVENTS, DURATION = 12, 4, 40, 512, 8.0
NUDGE, FOLLOWED = 1e-9, 1e3  # of the initial voltages; its growth up to which spikes can be compared to 1e-11
CASES = {"QIF": (QIF(1.0), 3.0, 34), "LIF": (LIF(1.0, 1.0), 1.0, 33), "theta": (Theta(1.0, 1.25), 0.7, 33)}


def problems(neuron, weight, count):
    """Random networks with self-connections, twin neurons, ties and ends among the inputs: all with a leading axis."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(count, SIZE, SIZE)) * weight * rng.uniform(0, 2, (count, 1, 1)) / SIZE**0.5
    weights[:, 1], weights[:, :, 1] = weights[:, 0], weights[:, :, 0]
    weights[:, :2, :2] = 0.3
    input_weights = rng.normal(weight, weight, (count, SIZE, CHANNELS))
    input_weights[:, 1] = input_weights[:, 0]
    voltages = rng.uniform(-0.3, 0.6, (count, SIZE))
    voltages[:, 1] = voltages[:, 0]
    times = np.sort(rng.uniform(0, DURATION, (count, INPUTS)))
    times[:, 4], times[:, -3:] = times[:, 5], np.inf
    sources = rng.integers(0, CHANNELS, (count, INPUTS))
    states = jax.vmap(lambda one: initial_states(neuron, one))(jnp.asarray(voltages))
    return tuple(map(jnp.asarray, (weights, input_weights, states, times, sources)))


def over_trials(run, neuron):
    """`run` for a stack of networks, states and inputs."""
    return jax.jit(
        jax.vmap(
            lambda weights, input_weights, states, times, sources: run(
                Recurrent(neuron, weights, input_weights), states, Spikes(times, sources), DURATION, max_events=EVENTS
            )
        )
    )


@pytest.mark.parametrize("name", CASES)
def test_a_hundred_random_networks_spike_as_in_the_loop(name):
    neuron, weight, count = CASES[name]
    operands = problems(neuron, weight, count)
    loop = over_trials(simulate, neuron)
    wanted, nudged = loop(*operands), loop(*operands[:2], operands[2].at[:, 3, 0].add(NUDGE), *operands[3:])
    found, work = over_trials(simulate_relaxed, neuron)(*operands)
    assert not np.any(wanted.status.flags)
    assert not np.any(found.status.flags)
    compared = 0
    for k in range(count):
        one, other, twin = (np.asarray(each.spikes.times[k]) for each in (wanted, found, nudged))
        spikes = int(np.isfinite(one).sum())
        with np.errstate(invalid="ignore"):
            moved = ~(np.abs(one[:spikes] - twin[:spikes]) < NUDGE * FOLLOWED)
        horizon = int(np.argmax(moved)) if moved.any() else spikes
        np.testing.assert_allclose(one[:horizon], other[:horizon], rtol=0, atol=1e-11)
        np.testing.assert_array_equal(wanted.spikes.sources[k][:horizon], found.spikes.sources[k][:horizon])
        np.testing.assert_array_equal(wanted.ordinals[k][:horizon], found.ordinals[k][:horizon])
        assert int(work.sweeps[k]) <= spikes + int(work.windows[k])
        if horizon == spikes:
            np.testing.assert_array_equal(wanted.counts[k], found.counts[k])
            np.testing.assert_allclose(wanted.state[k], found.state[k], rtol=0, atol=1e-9)
        compared += horizon
    total = int(np.isfinite(wanted.spikes.times).sum())
    print(
        f"{name}: {compared} of {total} spikes compared, {int(work.sweeps.sum())} sweeps in {int(work.windows.sum())}"
    )
    assert compared > 0.5 * total


def delayed(kind="QIF"):
    neuron, weight, _ = CASES[kind]
    weights, input_weights, states, times, sources = (one[0] for one in problems(neuron, weight, 1))
    delays = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1.2, SIZE))
    return neuron, weights, input_weights, delays, states, Spikes(times, sources)


def test_a_minimal_delay_takes_one_sweep_a_window():
    neuron, weights, input_weights, delays, states, inputs = delayed()

    def last(run):
        def loss(weights, delays, states):
            found = run(Recurrent(neuron, weights, input_weights, delays), states, inputs)
            return jnp.sum(jnp.sin(found.state)), found

        return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))

    def windows(network, states, inputs):
        options = {"capacity": 4, "delay_range": (0.5, 1.2), "layer": time_reversed_layer}
        found, work = simulate_delayed(network, states, inputs, DURATION, **options)
        assert work.sweeps is work.windows
        return found

    (_, wanted), gradients = last(lambda *one: simulate(*one, DURATION, max_events=EVENTS))(weights, delays, states)
    (_, found), others = last(windows)(weights, delays, states)
    spikes = int(wanted.spikes.count)
    assert spikes > 30
    np.testing.assert_array_equal(wanted.spikes.sources[:spikes], found.spikes.sources[:spikes])
    np.testing.assert_array_equal(wanted.ordinals[:spikes], found.ordinals[:spikes])
    np.testing.assert_allclose(wanted.spikes.times[:spikes], found.spikes.times[:spikes], rtol=0, atol=1e-11)
    for one, two in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-9 * np.abs(one).max())


def test_what_goes_wrong_is_said():
    neuron, weights, input_weights, delays, states, inputs = delayed()
    network = Recurrent(neuron, weights, input_weights)
    run = {"duration": DURATION, "max_events": EVENTS}
    for options, sentence in (({"max_sweeps": 5}, "raise `max_sweeps`"), ({"max_events": 30}, "raise `max_events`")):
        with pytest.raises(SimulationError, match=sentence):
            simulate_relaxed(network, states, inputs, **run | options)
    flags = jax.jit(lambda: simulate_relaxed(network, states.at[2].set(jnp.nan), inputs, **run)[0].status.flags)()
    assert int(flags) & Flag.NOT_FINITE
    late = Recurrent(neuron, weights, input_weights, delays)
    with pytest.raises(SimulationError, match="keep trained delays"):
        simulate_delayed(late, states, inputs, DURATION, capacity=4, delay_range=(0.8, 1.2))
    with pytest.raises(MemoryError, match="would take"):
        simulate_relaxed(network, states, inputs, **run | {"max_events": 10**12})
    with pytest.raises(MemoryError, match=r"Room for \d+ spikes, 4 of a neuron and window would take"):
        simulate_delayed(late, states, inputs, 1e10, capacity=4)
    other = Recurrent(ExponentialIF(), weights, input_weights)
    for call, sentence in (
        (lambda: simulate_relaxed(late, states, inputs, **run), "without delays"),
        (lambda: simulate_relaxed(other, states[:, :2], inputs, **run), "knows networks of"),
        (lambda: simulate_relaxed(network, states, inputs, **run | {"max_sweeps": 0}), "at least 1"),
        (lambda: simulate_delayed(network, states, inputs, DURATION, capacity=4), "one per presynaptic"),
        (
            lambda: simulate_delayed(late, states, inputs, DURATION, capacity=4, delay_range=(0.0, 1.0)),
            "positive delays",
        ),
        (lambda: simulate_delayed(late, states, inputs, DURATION, capacity=-1), "at least 1, not -1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


def test_relaxation_needs_no_room_for_the_end():
    network, states = Recurrent(LIF(), jnp.zeros((2, 2)), jnp.full((2, 1), 1e-3)), jnp.zeros((2, 2))
    inputs = Spikes(jnp.linspace(0, 1, 130)[1:-1], jnp.zeros(128, int))
    assert simulate_relaxed(network, states, inputs, 1.0, max_events=128)[0].status.flags == 0
    with pytest.raises(SimulationError, match="budget of 127 was exhausted"):
        simulate_relaxed(network, states, inputs, 1.0, max_events=127)


@pytest.mark.parametrize("duration", [-1.0, np.inf])
def test_durations_of_delayed_runs_are_finite(duration):
    network = Recurrent(LIF(), jnp.zeros((2, 2)), jnp.zeros((2, 1)), jnp.full(2, 0.5))
    with pytest.raises(ValueError, match="finite and not negative"):
        simulate_delayed(network, jnp.zeros((2, 2)), Spikes(jnp.zeros(0), jnp.zeros(0, int)), duration, capacity=4)
