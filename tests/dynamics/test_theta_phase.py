"""Phases of the theta neuron at their ends, where rounding decides between a whole period and none."""

import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.neurons.theta import Theta


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neuron_that_was_just_reset_has_a_whole_period_before_it(dtype):
    for tau in (0.5, 0.8, 1.0, 10.0):
        for drive in np.arange(0.3, 3.0, 0.15):
            neuron = Theta(jnp.asarray(tau, dtype), jnp.asarray(drive, dtype))
            reset = neuron.reset(neuron.state_at_phase(jnp.asarray(0.5, dtype)))
            again = neuron.state_at_phase(neuron.phase(reset))
            np.testing.assert_allclose(neuron.time_to_spike(again), neuron.period, rtol=4 * np.finfo(dtype).eps)
