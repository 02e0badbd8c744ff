"""Equation qif: the flow solves tau V' = V (V - 1) + I, (tau/2) I' = -I, from V = -inf to V = +inf."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.qif import QIF


def test_flow_solves_the_equation():
    neuron = QIF(0.7)

    def voltage_and_current(state, t):
        moved = neuron.flow(state, t)
        return jnp.stack([neuron.voltage(moved), moved[2]])

    for voltage, current, dt in ((0.4, 3.0, 0.2), (-2.0, -5.0, 0.9), (0.0, 0.0, 0.5), (-jnp.inf, 8.0, 0.1)):
        state = neuron.initial_state(voltage, current)
        value, slope = jax.jvp(lambda t, s=state: voltage_and_current(s, t), (jnp.asarray(dt),), (jnp.asarray(1.0),))
        V, I = value
        np.testing.assert_allclose(0.7 * slope, [V * (V - 1) + I, -2 * I], rtol=1e-12, atol=1e-14)


def test_reset_is_minus_infinity_and_keeps_the_current():
    state = QIF().reset(jnp.asarray([1.0, 0.0, 3.0]))
    assert QIF().voltage(state) == -jnp.inf
    assert state[2] == 3.0
