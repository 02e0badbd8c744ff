"""What the simulators promise besides exactness: nothing lost, nothing silent, one step for every network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.engines.events import simulate, sufficient_budget
from stablespike.dynamics.engines.layers import simulate_layer, simulate_layers
from stablespike.dynamics.network import Layered, Recurrent
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.time_reversed import time_reversed_layer
from stablespike.native.conventions import Flag

DURATION, SIZE = 3.0, 4
INPUTS = Spikes(jnp.asarray([0.1, 0.6, 0.6, 1.1]), jnp.asarray([0, 1, 0, 1]))


def network(neuron=None, weights=None, input_weights=None, **other):
    weights = jnp.zeros((SIZE, SIZE)) if weights is None else weights
    input_weights = jnp.full((SIZE, 2), 6.0) if input_weights is None else input_weights
    return Recurrent(QIF() if neuron is None else neuron, weights, input_weights, **other)


def at_rest(neuron=None, dtype=None):
    return initial_states(QIF() if neuron is None else neuron, jnp.zeros(SIZE, dtype))


def test_identical_neurons_all_spike_and_all_deliver():
    """Four identical neurons spike together; each receives the three others' pulses, as if they came one by one."""
    weights = jnp.full((SIZE, SIZE), 0.3)
    solution = simulate(network(weights=weights), at_rest(), INPUTS, DURATION, max_events=64)
    counts = np.asarray(solution.counts)
    assert counts[0] >= 2
    np.testing.assert_array_equal(counts, counts[0])
    times = np.asarray(solution.spike_times(2))
    np.testing.assert_allclose(times, times[:1].repeat(SIZE, 0), rtol=1e-14)
    alone = Recurrent(QIF(), jnp.full((1, 1), 0.3 * SIZE), jnp.full((1, 2), 6.0))
    one = simulate(alone, at_rest()[:1], INPUTS, DURATION, max_events=64)
    np.testing.assert_allclose(times[0], one.spike_times(2)[0], rtol=1e-13)


@pytest.mark.parametrize("neuron", [QIF(), Theta()], ids=["qif", "theta"])
def test_gradient_and_curvature_at_simultaneous_spikes(neuron):
    """Also where the order of two spikes is about to change: QIF spike times are C^2 there, theta spike times C^1."""
    direction = jnp.asarray(np.random.default_rng(0).normal(size=(SIZE, 2)))

    def later_spike(e):
        weights = jnp.full((SIZE, SIZE), 0.4) - 0.4 * jnp.eye(SIZE)
        net = network(neuron, weights, jnp.full((SIZE, 2), 5.0) + e * direction)
        solution = simulate(net, at_rest(neuron), INPUTS, 2 * DURATION, max_events=64)
        return solution.spike_times(2).sum()

    slope, value, step = jax.jit(jax.grad(later_spike)), jax.jit(later_spike), 1e-4
    np.testing.assert_allclose(slope(0.0), (value(step) - value(-step)) / (2 * step), rtol=1e-6)
    if isinstance(neuron, QIF):
        curvature = jax.jit(jax.jacfwd(jax.jacfwd(later_spike)))
        np.testing.assert_allclose(curvature(0.0), (slope(step) - slope(-step)) / (2 * step), rtol=1e-3)


def test_a_lifted_neuron_spikes_at_the_time_of_the_pulse_and_moves_with_it():
    neuron = OscillatoryLIF()
    weights = jnp.zeros((2, 2)).at[1, 0].set(5.0)

    def times(voltage):
        states = initial_states(neuron, jnp.stack([voltage, jnp.asarray(0.1)]))
        net = Recurrent(neuron, weights, jnp.zeros((2, 1)))
        return simulate(net, states, Spikes(jnp.zeros(0), jnp.zeros(0, int)), 0.5, max_events=8).spikes.times[:2]

    first, second = jax.jit(times)(jnp.asarray(0.9))
    assert first == second
    slopes = jax.jit(jax.jacfwd(times))(jnp.asarray(0.9))
    np.testing.assert_allclose(slopes, -1 / (1.25 - 0.9), rtol=1e-14)


def test_budget_is_named_with_the_time_reached():
    with pytest.raises(
        SimulationError, match=r"budget of 3 was exhausted at time \d.*`max_events` \(`sufficient_budget`"
    ):
        simulate(network(input_weights=jnp.full((SIZE, 2), 60.0)), at_rest(), INPUTS, DURATION, max_events=3)
    enough = sufficient_budget(network(), at_rest(), INPUTS, DURATION, start=1)
    assert int(simulate(network(), at_rest(), INPUTS, DURATION, max_events=enough).status.flags) == 0
    with pytest.raises(SimulationError, match="No event budget up to 2 suffices"):
        sufficient_budget(network(), at_rest(), INPUTS, DURATION, start=1, limit=2)
    with pytest.raises(ValueError, match="max_events must be at least 1"):
        simulate(network(), at_rest(), INPUTS, DURATION, max_events=0)


def test_deliveries_under_way_are_limited_and_said():
    delayed = network(weights=jnp.ones((SIZE, SIZE)), delays=jnp.full(SIZE, 0.5), max_pending=2)
    with pytest.raises(SimulationError, match="max_pending"):
        simulate(delayed, at_rest(), INPUTS, DURATION, max_events=64)


@pytest.mark.parametrize(
    ("times", "sources", "sentence"),
    [
        ([0.6, 0.1], [0, 0], "ascending and not negative"),
        ([-0.1, 0.1], [0, 0], "ascending and not negative"),
        ([0.1, np.nan], [0, 0], "ascending and not negative"),
        ([0.1, 0.2], [0, 2], "channel that the input weights do not have"),
        ([0.1, 0.2], [-1, 0], "channel that the input weights do not have"),
    ],
)
def test_malformed_inputs_are_refused(times, sources, sentence):
    with pytest.raises(SimulationError, match=sentence):
        simulate(network(), at_rest(), Spikes(jnp.asarray(times), jnp.asarray(sources)), DURATION, max_events=32)


def test_bad_networks_are_refused_at_construction():
    square, wide = jnp.zeros((SIZE, SIZE)), jnp.zeros((SIZE, 2))
    for make, sentence in (
        (lambda: Recurrent(QIF(), wide, wide), "weights must have shape"),
        (lambda: Recurrent(QIF(), square, jnp.zeros((3, 2))), "input_weights must have shape"),
        (lambda: network(weights=square.at[0, 0].set(jnp.nan)), "weights must be finite"),
        (lambda: network(input_weights=wide.at[0, 0].set(jnp.inf)), "input_weights must be finite"),
        (lambda: network(delays=jnp.full(SIZE, -1.0)), "delays must be finite and not negative"),
        (lambda: network(delays=jnp.zeros(3)), "delays must have shape"),
        (lambda: network(QIF(jnp.ones(3))), "parameters of QIF"),
        (lambda: Layered(QIF(), (wide, wide)), "cannot feed"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            make()
        if isinstance(caught.value, ValueError):  # else jaxtyping was first, in the tests
            assert sentence in str(caught.value)
    with pytest.raises((ValueError, TypeError)):
        simulate(network(), at_rest()[:2], INPUTS, DURATION, max_events=32)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"weight": np.nan}, Flag.WEIGHTS),
        ({"weight": np.inf}, Flag.WEIGHTS),
        ({"tau": -1.0}, Flag.PARAMETERS),
        ({"tau": np.nan}, Flag.PARAMETERS),
        ({"voltage": np.nan}, Flag.NOT_FINITE),
        ({"time": -1.0}, Flag.INPUT_TIMES),
    ],
)
def test_what_is_only_known_under_jit_is_flagged(change, flag):
    values = {"weight": 6.0, "tau": 1.0, "voltage": 0.0, "time": 0.1} | change
    status = flagged(**{key: jnp.asarray(value) for key, value in values.items()})
    assert int(status) & flag


@jax.jit
def flagged(weight, tau, voltage, time):
    net = Recurrent(QIF(tau), jnp.zeros((SIZE, SIZE)), jnp.full((SIZE, 2), weight))
    states = initial_states(QIF(), jnp.full(SIZE, voltage))
    inputs = Spikes(jnp.stack([time, jnp.asarray(0.5)]), jnp.asarray([0, 1]))
    return simulate(net, states, inputs, DURATION, max_events=32).status.flags


def test_without_inputs_and_without_spikes():
    nothing = Spikes(jnp.zeros(0), jnp.zeros(0, int))
    solution = simulate(network(), at_rest(), nothing, DURATION, max_events=8)
    assert int(solution.spikes.count) == 0
    assert float(solution.status.time) == DURATION


def test_a_network_without_channels_runs_by_itself_under_every_rule():
    """A theta neuron of drive D has the period pi/sqrt(D - 1/4)."""
    alone = ss.Network(ss.Layer(ss.Theta(1.0, 4.0), ss.Dense(jnp.zeros((1, 0))), loop=ss.Dense(jnp.zeros((1, 1)))))
    nothing = ss.Spikes(jnp.zeros(0), jnp.zeros(0, int))
    runs = [ss.simulate(alone, nothing, 13.0, gradient=rule) for rule in (None, ss.Recorded(), ss.Checkpointed())]
    for run in runs:
        np.testing.assert_allclose(jnp.diff(run.output.times[0, :5]), np.pi / np.sqrt(4 - 1 / 4), rtol=1e-13)


def test_the_spike_at_the_very_end_counts_and_nobody_else_is_reset():
    neuron = Theta()
    states = jnp.stack([neuron.state_at_phase(neuron.period / 2), neuron.state_at_phase(neuron.period / 4)])
    wait = neuron.time_to_spike(states[0])
    net = Recurrent(neuron, jnp.zeros((2, 2)), jnp.zeros((2, 1)))
    solution = simulate(net, states, Spikes(jnp.zeros(0), jnp.zeros(0, int)), wait, max_events=8)
    np.testing.assert_array_equal(solution.counts, [1, 0])
    np.testing.assert_allclose(neuron.phase(solution.state[1]), 0.75 * neuron.period, rtol=1e-14)


def test_float32_stays_float32():
    net = jax.tree.map(lambda x: x.astype(jnp.float32) if hasattr(x, "astype") else x, network())
    inputs = Spikes(INPUTS.times.astype(jnp.float32), INPUTS.sources.astype(jnp.int32))
    solution = simulate(net, at_rest(dtype=jnp.float32), inputs, DURATION, max_events=32)
    reference = simulate(network(), at_rest(), INPUTS, DURATION, max_events=32)
    assert solution.spikes.times.dtype == solution.state.dtype == jnp.float32
    spikes = int(reference.spikes.count)
    np.testing.assert_allclose(solution.spikes.times[:spikes], reference.spikes.times[:spikes], rtol=1e-5)


@pytest.mark.parametrize("neuron", [QIF(), LIF()], ids=["qif", "lif"])
def test_heterogeneous_parameters_are_trainable(neuron):
    """The gradient in every neuron's own time constant (and threshold) is that of differences."""
    weights = jnp.asarray(np.random.default_rng(3).normal(0, 0.5, (SIZE, SIZE)))

    def total(parameters):
        return heterogeneous(type(neuron)(*parameters), weights)

    parameters = (jnp.asarray([0.9, 1.0, 1.15, 1.3]),)
    if isinstance(neuron, LIF):
        parameters += (jnp.asarray([0.9, 1.0, 1.05, 1.1]),)
    gradients = jax.jit(jax.grad(total))(parameters)
    value, step = jax.jit(total), 1e-5
    for which, gradient in enumerate(gradients):
        for index in range(SIZE):
            up, down = list(parameters), list(parameters)
            up[which], down[which] = (parameters[which].at[index].add(sign * step) for sign in (1, -1))
            difference = (value(tuple(up)) - value(tuple(down))) / (2 * step)
            np.testing.assert_allclose(gradient[index], difference, rtol=1e-6, atol=1e-8)


def heterogeneous(neuron, weights):
    states = initial_states(neuron, jnp.zeros(SIZE), jnp.full(SIZE, 1.0))
    solution = simulate(network(neuron, weights), states, INPUTS, DURATION, max_events=96)
    times = solution.spikes.times
    return jnp.where(jnp.isfinite(times), times, 0).sum()


def test_drives_of_theta_neurons_are_trainable():
    """With its own drive and time constant each uncoupled theta neuron keeps its own period pi tau/a."""

    def second_spikes(drives, taus):
        neuron = Theta(taus, drives)
        net = Recurrent(neuron, jnp.zeros((SIZE, SIZE)), jnp.zeros((SIZE, 1)))
        states = initial_states(neuron, jnp.full(SIZE, -jnp.inf))
        nothing = Spikes(jnp.zeros(0), jnp.zeros(0, int))
        return simulate(net, states, nothing, 10.0, max_events=64).spike_times(2)[:, 1]

    drives, taus = jnp.asarray([1.0, 1.25, 1.5, 2.0]), jnp.asarray([0.5, 0.7, 0.9, 1.0])
    a = np.sqrt(drives - 0.25)
    times, slopes = jax.jit(second_spikes)(drives, taus), jax.jit(jax.jacrev(second_spikes))(drives, taus)
    np.testing.assert_allclose(times, 2 * np.pi * taus / a, rtol=1e-14)
    np.testing.assert_allclose(slopes, np.diag(-np.pi * taus / a**3), atol=1e-13)


def test_delays_of_zero_are_none():
    weights = jnp.asarray(np.random.default_rng(1).normal(0, 1, (SIZE, SIZE)))
    input_weights = jnp.asarray(np.random.default_rng(2).uniform(4, 8, (SIZE, 2)))
    plain = simulate(network(None, weights, input_weights), at_rest(), INPUTS, DURATION, max_events=64)
    for delays in (jnp.zeros(SIZE), jnp.zeros((SIZE, SIZE))):
        delayed = network(None, weights, input_weights, delays=delays)
        solution = simulate(delayed, at_rest(), INPUTS, DURATION, max_events=160)
        spikes = int(plain.spikes.count)
        np.testing.assert_allclose(solution.spikes.times[:spikes], plain.spikes.times[:spikes], rtol=1e-13)


def test_layers_flag_their_own_budget():
    layered = Layered(QIF(), (jnp.full((SIZE, 2), 60.0),))
    with pytest.raises(SimulationError, match=r"budget of 1 .*raise `capacity` or"):
        simulate_layers(layered, (at_rest(),), INPUTS, DURATION, capacity=1)
    with pytest.raises(SimulationError, match=r"budget of 1 .*raise `max_spikes` or"):
        simulate_layers(layered, (at_rest(),), INPUTS, DURATION, capacity=8, max_spikes=1)
    for layer in (simulate_layer, time_reversed_layer):
        with pytest.raises(ValueError, match="capacity, the budget of spikes per neuron, must be at least 1, not -1"):
            simulate_layers(layered, (at_rest(),), INPUTS, DURATION, capacity=-1, layer=layer)
    with pytest.raises(MemoryError, match="The list of 1000000000000 events would take"):
        simulate(layered.as_recurrent(), at_rest(), INPUTS, DURATION, max_events=10**12)
