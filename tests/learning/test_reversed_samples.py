"""Sampled states whose gradient is found backwards in time, against those of the recorded trajectory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learning.test_adjoint_network import CASES, EVENTS, close, problem

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.sampling import sampled_states
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.learning.gradients.reversed_samples import time_reversed_samples

TIMES = jnp.asarray([0.0, 1.3, 1.3, 4.0, 8.5])


def untied(case):
    """The problem without twins: what a tie of spikes does to the derivative is a convention."""
    weights, input_weights, states, times, sources = problem(*case)
    rng = np.random.default_rng(7)
    weights = weights + 0.1 * rng.normal(size=weights.shape)
    return weights, input_weights, states + 0.01 * rng.normal(size=states.shape), times, sources


def by_recording(network, states, inputs, times):
    solution = simulate(network, states, inputs, times[-1], max_events=EVENTS)
    return sampled_states(network, states, inputs, solution, times)


def by_reversal(network, states, inputs, times):
    return time_reversed_samples(network, states, inputs, times, max_events=EVENTS)[0]


@pytest.mark.parametrize(("neuron", "weight"), CASES, ids=lambda one: type(one).__name__)
def test_voltages_and_their_gradients_equal_the_recorded_ones(neuron, weight):
    *operands, sources = untied((neuron, weight))
    mixing = jnp.asarray(np.random.default_rng(6).normal(size=(TIMES.size, len(operands[2]))))
    found = []
    for samples in (by_recording, by_reversal):

        def loss(weights, input_weights, states, times, samples=samples):
            network = Recurrent(neuron, weights, input_weights)
            traces = samples(network, states, Spikes(times, sources), TIMES)
            voltages = jax.vmap(jax.vmap(neuron.voltage))(traces)
            return jnp.sum(mixing * jnp.sin(voltages)), voltages

        found.append(jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True)(*operands))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        close(one, other, 1e-8)


def test_what_is_refused():
    neuron, weight = CASES[1]
    weights, input_weights, states, times, sources = untied((neuron, weight))
    network, inputs = Recurrent(neuron, weights, input_weights), Spikes(times, sources)
    for wrong in ([2.0, 1.0], [-1.0, 1.0], [1.0, np.inf], []):
        with pytest.raises(ValueError, match="finite and ascend from 0"):
            time_reversed_samples(network, states, inputs, jnp.asarray(wrong), max_events=EVENTS)
    with pytest.raises(ValueError, match="as an array of NumPy"):
        jax.jit(lambda times: by_reversal(network, states, inputs, times))(TIMES)
    with pytest.raises(SimulationError, match="budget of 3"):
        time_reversed_samples(network, states, inputs, TIMES, max_events=3)
