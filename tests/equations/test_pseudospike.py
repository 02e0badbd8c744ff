"""Equation pseudospike: t_k = T + k Theta - H(phi_T, input), the input being weighted rates H/Theta from below."""

import jax.numpy as jnp
import numpy as np

import stablespike as ss
from stablespike.learning.pseudospikes import spike_times_beyond

NEURON, DURATION = ss.Theta(1.0, 1.25), 0.5


def response(phase, pulse):
    voltage = 0.5 - 1 / np.tan(phase)  # a = tau = 1
    return np.arctan(voltage + pulse - 0.5) + np.pi / 2


def test_a_silent_chain_by_hand():
    weights = jnp.asarray([[0.4], [-0.3]]), jnp.asarray([[0.5, 0.8]])
    network = ss.Network(*(ss.Layer(NEURON, ss.Dense(block)) for block in weights))
    phases = (jnp.asarray([1.0, 1.4]), jnp.asarray([0.7]))
    states = tuple(ss.initial_states(NEURON, 0.5 - 1 / jnp.tan(phase)) for phase in phases)
    nothing = ss.Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int))
    run = ss.simulate(network, nothing, DURATION, initial=states)
    hidden, output = spike_times_beyond(network, run, DURATION, 2)
    period, at_end = np.pi, np.asarray(phases[0]) + DURATION
    np.testing.assert_allclose(hidden, DURATION + period * np.asarray([1, 2]) - at_end[:, None], rtol=1e-13)
    pulse = np.asarray([0.5, 0.8]) @ (at_end / period)
    expected = DURATION + period * np.asarray([1, 2]) - response(0.7 + DURATION, pulse)
    np.testing.assert_allclose(output[0], expected, rtol=1e-13)
