"""Equation implicit: dt*/dp = -(dV/dp)/V' for the LIF neuron, tau d(d/n)/dp for the QIF neuron, time held."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.qif import QIF

TAU = 0.7


def test_lif():
    neuron = LIF(TAU)

    def start(p):
        return jnp.stack([0.2 + 0.3 * p, 5.0 - p])

    time, slope = jax.value_and_grad(lambda p: neuron.time_to_spike(start(p)))(0.1)
    voltage_by_p = jax.grad(lambda p: neuron.flow(start(p), time)[0])(0.1)
    voltage, current = neuron.flow(start(0.1), time)
    np.testing.assert_allclose(slope, -voltage_by_p / ((current - voltage) / TAU), rtol=1e-12)


def test_qif():
    neuron = QIF(TAU)

    def start(p):
        return neuron.initial_state(0.2 + 0.3 * p, 5.0 - p)

    time, slope = jax.value_and_grad(lambda p: neuron.time_to_spike(start(p)))(0.1)

    def inverse_voltage(p):
        n, d, _ = neuron.flow(start(p), time)
        return d / n

    np.testing.assert_allclose(slope, TAU * jax.grad(inverse_voltage)(0.1), rtol=1e-12)
