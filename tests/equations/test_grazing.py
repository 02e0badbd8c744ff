"""Equation grazing: a resting LIF neuron spikes if w >= 4, at latest at tau ln 2, with slope -(tau/4)(w - 4)^(-1/2)."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.lif import LIF

TAU = 0.7


def test_slope_diverges_with_this_factor():
    excess = jnp.asarray([1e-6, 1e-8, 1e-10])
    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda w: LIF(TAU).time_to_spike(jnp.stack([0 * w, w])))))(
        4 + excess
    )
    np.testing.assert_allclose(slopes, -TAU / 4 / np.sqrt(excess), rtol=1e-2)
    np.testing.assert_allclose(times[-1], TAU * np.log(2), rtol=1e-4)
    assert np.all(times < TAU * np.log(2))
    assert np.isinf(LIF(TAU).time_to_spike(jnp.asarray([0.0, 4 - 1e-9])))
