"""Equation loss: L = -log(exp(-t_y)/sum exp(-t_i)) + epsilon (exp(t_y/T) - 1)."""

import jax.numpy as jnp
import numpy as np

from stablespike.learning.losses import first_spike_cross_entropy


def test_loss_by_hand():
    times, label = np.asarray([0.8, 1.7, 2.4]), 1
    expected = -np.log(np.exp(-times[label]) / np.exp(-times).sum()) + 0.01 * (np.exp(times[label] / 2) - 1)
    loss = first_spike_cross_entropy(jnp.asarray(times), jnp.asarray(label), late_cost=0.01, duration=2.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
