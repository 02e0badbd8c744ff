"""Simulation on a grid against the event loop."""

import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.grid import simulate_on_grid
from stablespike.dynamics.lif import LIF
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neuron import initial_states
from stablespike.dynamics.qif import QIF
from stablespike.dynamics.simulate import simulate
from stablespike.dynamics.spikes import SimulationError, Spikes
from stablespike.dynamics.theta import Theta

DURATION, SIZE = 3.0, 8


def problem(neuron, mean, spread=0.3):
    rng = np.random.default_rng(3)
    weights = jnp.asarray(rng.normal(0, spread, (SIZE, SIZE)))
    times = jnp.asarray(np.sort(rng.uniform(0, DURATION, 12)))
    network = Recurrent(neuron, weights, jnp.asarray(rng.normal(mean, 0.5, (SIZE, 2))))
    states = initial_states(neuron, jnp.asarray(rng.uniform(0, 0.4, SIZE)))
    return network, states, Spikes(times, jnp.asarray(rng.integers(0, 2, 12)))


@pytest.mark.parametrize(("neuron", "mean"), [(QIF(1.3), 4.0), (LIF(1.3), 3.0), (Theta(1.3, 1.1), 0.5)], ids=str)
def test_grid_converges_to_the_events_at_first_order(neuron, mean):
    network, states, inputs = problem(neuron, mean)
    exact = simulate(network, states, inputs, DURATION, max_events=256).spike_times(12)
    there = np.isfinite(exact)
    assert there.sum() > SIZE
    steps = 2000 * 4 ** np.arange(3)
    errors = []
    for count in steps:
        found = simulate_on_grid(network, states, inputs, DURATION, steps=int(count)).spike_times(12)
        np.testing.assert_array_equal(np.isfinite(found), there)
        errors.append(np.abs(found - exact)[there].mean())
    order = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert 0.85 < order < 1.15, errors


def test_two_spikes_in_a_step_are_not_lost_in_silence():
    network, states, inputs = problem(LIF(1.3), 40.0)
    with pytest.raises(SimulationError, match="budget of 3"):
        simulate_on_grid(network, states, inputs, DURATION, steps=3)


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        simulate_on_grid(*problem(QIF(), 1.0), DURATION, steps=0)
