"""Equation theta: the rotation solves tau V' = V (V - 1) + I0, and a pulse adds to the voltage."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.theta import Theta


def test_flow_solves_the_equation():
    neuron = Theta(0.7, 1.6)
    for voltage, dt in ((0.4, 0.1), (-5.0, 0.4), (-jnp.inf, 0.3)):
        state = neuron.initial_state(voltage)
        V, slope = jax.jvp(
            lambda t, s=state: neuron.voltage(neuron.flow(s, t)), (jnp.asarray(dt),), (jnp.asarray(1.0),)
        )
        np.testing.assert_allclose(0.7 * slope, V * (V - 1) + 1.6, rtol=1e-12)


def test_pulse_adds_to_the_voltage():
    neuron = Theta(0.7, 1.6)
    np.testing.assert_allclose(neuron.voltage(neuron.jump(neuron.initial_state(-0.3), 0.9)), 0.6, rtol=1e-14)
