"""The time-reversed gradient of long trials with many events, stable and chaotic, against the recorded one."""

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
from stablespike.learning.gradients.time_reversed import time_reversed

SIZE, INPUTS, EVENTS, DURATION = 10, 9920, 10_600, 30.0  # of one time constant
CASES = {  # neuron; recurrent weight, spread and mean of the input weights, of a stable and of a chaotic network
    "QIF": (QIF(1.0), (5.0, 0.5, 0.5), None),
    "LIF": (LIF(1.0, 1.0), (0.3, 0.05, 0.05), None),
    "theta": (Theta(1.0, 1.25), (0.5, 0.02, 0.02), (4.0, 0.02, 0.0)),
}


def problem(neuron, recurrent, spread, mean, seed=0):
    """Weights, input weights, states, input times and channels."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(SIZE, SIZE)) * recurrent / SIZE**0.5
    np.fill_diagonal(weights, 0)
    input_weights = np.where(rng.random((SIZE, SIZE)) < 0.3, rng.normal(mean, spread, (SIZE, SIZE)), 0)
    states = initial_states(neuron, jnp.asarray(rng.uniform(-0.3, 0.6, SIZE)))
    times, sources = np.sort(rng.uniform(0, DURATION, INPUTS)), rng.integers(0, SIZE, INPUTS)
    return tuple(map(jnp.asarray, (weights, input_weights, states, times, sources)))


def last_spikes(simulator, neuron):
    """Gradients of a sum over the last spikes of the trial, and the number of spikes."""

    def loss(weights, input_weights, states, times, sources):
        network = Recurrent(neuron, weights, input_weights)
        solution = simulator(network, states, Spikes(times, sources), DURATION, max_events=EVENTS)
        late = solution.spikes.times[solution.spikes.count - 1 - jnp.arange(SIZE)]
        return late @ jnp.cos(jnp.arange(1.0, SIZE + 1)), solution.spikes.count

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_thirty_time_constants_and_ten_thousand_events(name):
    neuron, stable, chaotic = CASES[name]
    both = [last_spikes(one, neuron) for one in (simulate, time_reversed(simulate, tolerance=1e-9))]
    for settings in (stable, chaotic) if chaotic else (stable,):
        operands = problem(neuron, *settings)
        ((value, spikes), recorded), ((other, count), found) = (one(*operands) for one in both)
        assert count == spikes
        assert count + INPUTS >= 10_000
        growth = float(jnp.abs(recorded[2]).max())  # of what the initial states change, to the last spikes
        assert growth < 10 if settings is stable else growth > 1000
        tolerance = 1e-9 * max(1.0, growth)
        assert abs(value - other) <= tolerance
        for one, two in zip(recorded, found, strict=True):
            error = float(jnp.abs(one - two).max() / jnp.abs(one).max())
            print(f"{name}: {int(count)} spikes, growth {growth:.2g}, relative error {error:.2g}")
            assert error <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_a_tolerance_that_cannot_be_met_is_refused_before_the_run(dtype, tolerance):
    neuron = QIF(1.0)
    network = Recurrent(neuron, jnp.zeros((2, 2), dtype), jnp.zeros((2, 1), dtype))
    states = initial_states(neuron, jnp.zeros(2, dtype))
    nothing = Spikes(jnp.zeros(0, dtype), jnp.zeros(0, int))
    with pytest.raises(ValueError, match="cannot be met"):
        time_reversed(simulate, tolerance=tolerance)(network, states, nothing, DURATION, max_events=8)
