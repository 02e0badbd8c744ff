"""Equation theta_phase: the phase is the voltage's arctangent and grows with time; pulses at its ends do nothing."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.theta import Theta

NEURON = Theta(0.7, 1.6)
A = np.sqrt(1.6 - 0.25)


def test_phase_of_a_voltage_and_its_growth():
    for voltage in (-3.0, 0.5, 7.0):
        state = NEURON.initial_state(voltage)
        np.testing.assert_allclose(
            NEURON.phase(state), 0.7 / A * (np.arctan((voltage - 0.5) / A) + np.pi / 2), rtol=1e-13
        )
        np.testing.assert_allclose(NEURON.phase(NEURON.flow(state, 0.05)) - NEURON.phase(state), 0.05, rtol=1e-12)
    np.testing.assert_allclose(NEURON.period, np.pi * 0.7 / A, rtol=1e-15)


def test_response_is_monotonic_and_fixed_at_both_ends():
    phases = jnp.linspace(0, NEURON.period, 41)
    for weight in (-2.0, 0.5, 6.0):
        after = jax.vmap(lambda phase, w=weight: NEURON.phase(NEURON.jump(NEURON.state_at_phase(phase), w)))(phases)
        np.testing.assert_allclose(after[jnp.asarray([0, -1])], [0, NEURON.period], atol=1e-14)
        assert np.all(np.diff(after) > 0)
        assert np.all(np.sign(weight) * (after[1:-1] - phases[1:-1]) > 0)
