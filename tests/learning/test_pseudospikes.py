"""Pseudospikes continue ordinary spikes: smoothly in the neuron's own parameters, and through silent layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.learning.pseudospikes import continued_spike_times, spike_times_beyond

DURATION = 2.0
INPUT = ss.Spikes(jnp.array([0.1]), jnp.array([0]))
NEURONS = {"QIF": (ss.QIF(1.0), 3.6), "theta": (ss.Theta(1.0, 1.0), 0.2)}


def run_of(neuron, weights, states, until=DURATION):
    network = ss.Network(*(ss.Layer(neuron, ss.Dense(block)) for block in weights))
    return network, ss.simulate(network, INPUT, until, on=ss.Events(4), gradient=ss.Recorded(), initial=states)


def last_time(neuron, weight, spikes=1):
    states = ss.initial_states(neuron, jnp.array([-0.5]))
    return spike_times_beyond(*run_of(neuron, (jnp.reshape(weight, (1, 1)),), states), DURATION, spikes)[0][0, -1]


def weight_at_trial_end(neuron, weight):
    """Weight at which the first spike comes exactly at the trial end, by bisection on the continued spike time."""
    low, high = weight - 4.0, weight + 6.0
    time = jax.jit(lambda w: last_time(neuron, w))
    assert time(low) > DURATION > time(high)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if time(middle) > DURATION else (low, middle)
    return high


@pytest.mark.parametrize("name", NEURONS)
def test_value_slope_and_curvature_agree_where_the_own_spike_leaves_the_trial(name):
    neuron, guess = NEURONS[name]
    weight = weight_at_trial_end(neuron, guess)

    def time(w):
        return last_time(neuron, w)

    derivatives = jax.jit(lambda w: (time(w), jax.grad(time)(w), jax.grad(jax.grad(time))(w)))
    inside = [float(value) for value in derivatives(weight + 1e-7)]
    outside = [float(value) for value in derivatives(weight - 1e-7)]
    assert inside[0] < DURATION < outside[0]
    assert inside[0] == pytest.approx(outside[0], abs=1e-5)
    assert inside[1] == pytest.approx(outside[1], rel=1e-4)
    assert inside[2] == pytest.approx(outside[2], rel=1e-3)


def test_gradients_reach_every_layer_of_a_silent_network_only_if_rates_are_passed_on():
    neuron = ss.Theta(6 / jnp.pi, 1.25)
    keys = jax.random.split(jax.random.key(0), 3)
    weights = tuple(
        jax.random.uniform(key, shape, minval=-0.3, maxval=0.3)
        for key, shape in zip(keys, [(4, 1), (5, 4), (2, 5)], strict=True)
    )
    states = tuple(jnp.tile(neuron.state_at_phase(3.0), (size, 1)) for size in (4, 5, 2))

    def first_output(weights, coupled):
        network, run = run_of(neuron, weights, states)
        times = spike_times_beyond(network, run, DURATION, 1, coupled=coupled)[-1]
        return times[0, 0], sum(trains.counts.sum() for trains in run.layers)

    for coupled in (True, False):
        gradient, spikes = jax.grad(first_output, has_aux=True)(weights, coupled)
        assert int(spikes) == 0
        assert all(bool(jnp.any(one != 0)) == coupled for one in gradient)


def test_owed_spikes_follow_at_the_period():
    times = jnp.array([[0.5, jnp.inf, jnp.inf]])
    continued = continued_spike_times(times, jnp.array([0.4]), jnp.array(3.0), 2.0)
    assert continued.tolist() == [[0.5, 2.0 + 3.0 - 0.4, 2.0 + 6.0 - 0.4]]


def test_recurrent_network_without_recurrence_equals_one_layer():
    neuron = ss.QIF(1.0)
    states = ss.initial_states(neuron, jnp.array([0.0, 0.2]))
    weights = jnp.array([[1.0], [4.0]])
    network = ss.Network(ss.Layer(neuron, ss.Dense(weights), ss.Dense(jnp.zeros((2, 2)))))
    (one,) = spike_times_beyond(network, ss.simulate(network, INPUT, 1.0, initial=states), 1.0, 2)
    (other,) = spike_times_beyond(*run_of(neuron, (weights,), states, 1.0), 1.0, 2)
    assert jnp.allclose(one, other, atol=1e-13, rtol=0)
    assert bool(jnp.all(jnp.isfinite(one)))


@pytest.mark.parametrize("coupled", [True, False])
def test_rates_pass_through_a_loop_and_on_to_the_next_layer(coupled):
    """Against the definition, written out for silent neurons: r = phi/Theta, pulse = W r below, then loop r."""
    neuron, inputs = ss.QIF(1.0), jnp.array([[0.4], [0.3]])
    loop, above = jnp.array([[0.0, 0.5], [-0.7, 0.0]]), jnp.array([[0.6, 0.9]])
    network = ss.Network(ss.Layer(neuron, ss.Dense(inputs), ss.Dense(loop)), ss.Layer(neuron, ss.Dense(above)))
    run = ss.simulate(network, INPUT, 1.0)
    found = spike_times_beyond(network, run, 1.0, 1, coupled=coupled)

    def end(state, pulse):
        return jnp.stack(jax.vmap(neuron.trial_end_phase)(state, pulse))

    phases, periods = end(run.states[0], jnp.zeros(2))
    if coupled:
        phases, periods = end(run.states[0], loop @ (phases / periods))
    last = end(run.states[1], above @ (phases / periods) if coupled else jnp.zeros(1))
    assert sum(int(one.counts.sum()) for one in run.layers) == 0
    assert jnp.allclose(found[0][:, 0], 1.0 + periods - phases, atol=1e-13, rtol=0)
    assert jnp.allclose(found[1][:, 0], 1.0 + last[1] - last[0], atol=1e-13, rtol=0)


def test_pseudospikes_of_a_run_on_a_grid_are_refused():
    network = ss.Network(ss.Layer(ss.QIF(1.0), ss.Dense(jnp.ones((1, 1)))))
    run = ss.simulate(network, INPUT, 1.0, on=ss.Grid(0.1))
    with pytest.raises(ValueError, match="runs by events"):
        spike_times_beyond(network, run, 1.0, 1)


@pytest.mark.parametrize(("voltage", "current", "pulse"), [(0.3, 1.5, 0.0), (-2.0, -3.0, 1.0), (0.9, 8.0, -0.5)])
def test_a_lif_neuron_goes_on_under_a_held_drive(voltage, current, pulse):
    phase, period = ss.LIF(2.0, 1.5).trial_end_phase(jnp.array([voltage, current]), jnp.asarray(pulse))
    drive = 1.5 * (1 + np.log1p(np.exp((current + pulse) / 1.5 - 1)))
    reached = [drive + (start - drive) * np.exp(-wait / 2) for start, wait in ((0, period), (voltage, period - phase))]
    np.testing.assert_allclose(reached, 1.5, rtol=1e-12)


def test_a_spike_of_a_lif_neuron_that_leaves_the_trial_keeps_its_time():
    phase, period = ss.LIF().trial_end_phase(jnp.array([1.0, 2.0]), jnp.zeros(()))
    assert float(phase) == pytest.approx(float(period), abs=1e-15)


def test_a_neuron_that_would_not_go_on_is_refused():
    found = run_of(ss.GeneralLIF(), (jnp.ones((1, 1)),), jnp.zeros((1, 2)), 1.0)
    with pytest.raises(NotImplementedError, match="GeneralLIF has no pseudospikes"):
        spike_times_beyond(*found, 1.0, 1)
