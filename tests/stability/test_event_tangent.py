"""Exponents of event networks: closed forms, invariants, and finite differences of the flow itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.charts import AngleAndCurrent, AsItIs, Phase
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states, over_neurons
from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.stability.event_tangent import (
    NextSpike,
    Window,
    at_the_event,
    spike_to_spike_spectrum,
    window_spectrum,
)
from stablespike.stability.lyapunov import SingularJacobian, estimate_spectrum, push_tangents, require_resolved

KEY = jax.random.key(0)
SIZE, SPIKES, TRANSIENT = 6, 3000, 400
THETA, LEAKY = Theta(0.8, 1.0), OscillatoryLIF(0.9, 1.6, 1.0)


def network(neuron, scale=-0.3, seed=0):
    weights = scale * np.random.default_rng(seed).random((SIZE, SIZE)) * (1 - np.eye(SIZE))
    return Recurrent(neuron, jnp.asarray(weights), jnp.zeros((SIZE, 1)))


def start(neuron, seed=1):
    return initial_states(neuron, jnp.asarray(np.random.default_rng(seed).uniform(0.0, 0.9, SIZE)))


def all_exponents(step, states):
    return spike_to_spike_spectrum(step, states, spikes=SPIKES, transient=TRANSIENT, count=SIZE, key=KEY, interval=2)


def test_uncoupled_homogeneous_phase_neurons_have_zero_exponents_only():
    found = all_exponents(NextSpike(network(THETA, 0.0), Phase()), start(THETA))
    np.testing.assert_allclose(found.exponents, 0, atol=1e-12)
    rate = (SPIKES - TRANSIENT) / SIZE / found.duration
    np.testing.assert_allclose(rate, 1 / THETA.period, rtol=2 * SIZE / (SPIKES - TRANSIENT))
    with pytest.raises(SimulationError, match="at the very same time"):
        all_exponents(NextSpike(network(THETA), Phase()), jnp.tile(THETA.initial_state(0.1), (SIZE, 1)))


def test_inhibitory_leaky_network_has_the_mean_exponent_of_monteforte_and_wolf():
    found = all_exponents(NextSpike(network(LEAKY), AsItIs()), start(LEAKY))
    drive = LEAKY.drive - LEAKY.threshold  # in units of the distance from reset to threshold, from the threshold
    rate = (SPIKES - TRANSIENT) / SIZE / found.duration
    expected = -1 / LEAKY.membrane_time_constant + rate * np.log1p(1 / drive)
    np.testing.assert_allclose(np.mean(found.exponents), expected, rtol=1e-10)
    assert abs(found.exponents[0]) < 10 / found.duration  # shift along the flow
    assert np.all(found.exponents[1:] < -0.01)  # stable chaos


@pytest.mark.parametrize(("neuron", "chart"), [(THETA, Phase()), (LEAKY, AsItIs())])
def test_a_shift_along_the_trajectory_stays_one(neuron, chart):
    step, states = NextSpike(network(neuron), chart), start(neuron)

    def velocity(state):
        points = jax.vmap(chart.point, (None, 0))(neuron, state.coordinates)

        def after(dt):
            return jax.vmap(chart.coordinates, (None, 0))(neuron, over_neurons(neuron, "flow")(points, dt))

        return jax.jvp(after, (0.0,), (1.0,))[1].ravel()[None]

    @jax.jit
    def one(state, shift):
        state, shift = push_tangents(step, state, None, shift)
        return state, shift, velocity(state)

    state = step.start(states)
    shift = velocity(state)
    for _ in range(12):
        state, shift, expected = one(state, shift)
        np.testing.assert_allclose(shift, expected, rtol=1e-11)


def test_map_and_flow_share_all_exponents_but_the_shift():
    net, states = network(THETA, 0.4), start(THETA)
    flow = all_exponents(NextSpike(net, Phase()), states)
    section = NextSpike(net, Phase(), at_the_event)
    options = {"steps": SPIKES, "transient": TRANSIENT, "count": SIZE, "key": KEY, "duration": section.duration}
    event_map = estimate_spectrum(section, section.start(states), None, **options)
    rest = np.delete(np.asarray(flow.exponents), np.argmin(np.abs(flow.exponents)))
    np.testing.assert_allclose(np.min(np.abs(flow.exponents)), 0, atol=5 / flow.duration)
    np.testing.assert_allclose(event_map.exponents[:-1], rest, atol=10 / flow.duration)
    assert np.ptp(rest) > 100 / flow.duration
    with pytest.raises(SingularJacobian, match=f"Only the first {SIZE - 1} of {SIZE}"):
        require_resolved(event_map)


def finite_difference_jacobian(net, chart, states, inputs, duration):
    @jax.jit
    def flow(coordinates):
        points = jax.vmap(chart.point, (None, 0))(net.neuron, coordinates)
        return jax.vmap(chart.coordinates, (None, 0))(
            net.neuron, simulate(net, points, inputs, duration, max_events=96).state
        )

    base = jax.vmap(chart.coordinates, (None, 0))(net.neuron, states)
    columns = []
    for direction in np.eye(base.size):
        step = 1e-6 * direction.reshape(base.shape)
        columns.append(((flow(base + step) - flow(base - step)) / 2e-6).ravel())
    return np.stack(columns)


INPUTS = Spikes(jnp.asarray([0.05, 0.1, 0.3, 0.55, 0.8]), jnp.asarray([0, 1, 2, 3, 4]))


@pytest.mark.parametrize(("neuron", "chart", "strength"), [(QIF(), AngleAndCurrent(), 9.0), (LIF(), AsItIs(), 2.5)])
def test_window_is_the_derivative_of_the_flow(neuron, chart, strength):
    rng = np.random.default_rng(3)
    inward = jnp.asarray(strength * (1 + 0.5 * rng.random((SIZE, 5))))
    net = Recurrent(neuron, network(neuron).weights, inward)
    window = Window(net, chart, 1.6, 96)
    after, rows = jax.jit(lambda state: push_tangents(window, state, INPUTS, jnp.eye(state.coordinates.size)))(
        window.start(start(neuron))
    )
    assert after.spikes > 3
    assert after.flags == 0
    expected = finite_difference_jacobian(net, chart, start(neuron), INPUTS, 1.6)
    np.testing.assert_allclose(rows, expected, atol=1e-7 * np.abs(expected).max())


def test_spike_by_spike_and_window_by_window_give_the_same_flow():
    net, states = network(THETA), start(THETA)
    step, window = NextSpike(net, Phase()), Window(net, Phase(), 7.0, 32)
    rows, state, time = jnp.eye(SIZE), step.start(states), 0.0

    @jax.jit
    def push(state, rows):
        return step.duration(state), *push_tangents(step, state, None, rows)

    while True:
        wait, new, pushed = push(state, rows)
        time += wait
        if time > 7.0:
            break
        state, rows = new, pushed
    _, expected = jax.jit(lambda state: push_tangents(window, state, None, jnp.eye(SIZE)))(window.start(states))
    assert state.spikes > 6
    np.testing.assert_allclose(rows, expected, atol=1e-12)  # in phases the rest of the window changes nothing


def test_bad_networks_are_named():
    net, states = Recurrent(LIF(), jnp.zeros((SIZE, SIZE)), jnp.ones((SIZE, 1))), start(LIF())
    options = {"count": 2, "key": KEY, "transient": 2, "blocks": 2}
    with pytest.raises(SimulationError, match="stopped spiking"):
        spike_to_spike_spectrum(NextSpike(net, AsItIs()), states, spikes=6, **options)
    with pytest.raises(ValueError, match="is silent"):
        window_spectrum(Window(net, AsItIs(), 0.5, 32), states, None, steps=6, **options)
    runaway = Recurrent(LIF(), jnp.full((SIZE, SIZE), 1e3), net.input_weights)
    with pytest.raises(SimulationError, match="budget of 32 was exhausted"):
        window_spectrum(Window(runaway, AsItIs(), 0.5, 32), states.at[0, 1].set(9.0), None, steps=6, **options)
    with pytest.raises(ValueError, match="are not its degrees of freedom"):
        NextSpike(Recurrent(THETA, net.weights, net.input_weights), AsItIs())
    with pytest.raises(ValueError, match="delays are not supported"):
        NextSpike(Recurrent(THETA, net.weights, net.input_weights, jnp.ones(SIZE)), Phase())
