"""Equation lif: the flow solves tau V' = -V + I, (tau/2) I' = -I, and the spike resets the voltage alone."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.lif import LIF


def test_flow_solves_the_equation():
    neuron, state = LIF(0.7, 1.0), jnp.asarray([0.4, -2.3])
    for dt in (0.0, 0.3, 1.9):
        (voltage, current), slope = jax.jvp(lambda t: neuron.flow(state, t), (jnp.asarray(dt),), (jnp.asarray(1.0),))
        np.testing.assert_allclose(0.7 * slope, [-voltage + current, -2 * current], rtol=1e-13)


def test_reset():
    np.testing.assert_array_equal(LIF().reset(jnp.asarray([1.0, 3.0])), [0.0, 3.0])
