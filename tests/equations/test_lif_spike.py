"""Equation lif_spike: the smaller root y of I0 y^2 - (I0 - V0) y + 1 - V0 = 0 is the spike, where V meets 1."""

import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.lif import LIF


def test_flow_meets_the_threshold_at_the_root():
    neuron = LIF(0.7)
    for voltage, current in ((0.0, 5.0), (0.6, 2.9), (-2.0, 30.0)):
        state = jnp.asarray([voltage, current])
        time = neuron.time_to_spike(state)
        y = min(np.roots([current, voltage - current, 1 - voltage]).real)
        np.testing.assert_allclose(time, -0.7 * np.log(1 - y), rtol=1e-13)
        np.testing.assert_allclose(neuron.flow(state, time)[0], 1.0, rtol=1e-14)
        grid = np.linspace(0, float(time), 50)[:-1]
        x = np.exp(-grid / 0.7)
        assert np.all(voltage * x + current * (x - x**2) < 1)
