"""Equation lif_ratio: V = V0 x + I0 (x - x^p)/(p - 1), x = exp(-t/tau), p = tau/tau_s, and its limit at p = 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.neurons.general_lif import GeneralLIF
from stablespike.dynamics.neurons.lif import LIF

TAU, V, CURRENT = 0.7, 0.3, 4.0


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("t", [0.05, 0.6])
def test_flow_is_this_solution_and_solves_its_equation(ratio, t):
    neuron = GeneralLIF(TAU, TAU / ratio)
    x = np.exp(-t / TAU)
    risen = t / TAU * x if ratio == 1.0 else (x - x**ratio) / (ratio - 1)
    state = neuron.flow(jnp.array([V, CURRENT]), t)
    np.testing.assert_allclose(state, [V * x + CURRENT * risen, CURRENT * x**ratio], rtol=1e-13)
    slope = jax.jacfwd(lambda time: neuron.flow(jnp.array([V, CURRENT]), time))(t)
    np.testing.assert_allclose(TAU * slope, [state[1] - state[0], -ratio * state[1]], rtol=1e-12)


def test_a_ratio_of_two_is_the_closed_form():
    start = jnp.array([V, CURRENT])
    np.testing.assert_allclose(GeneralLIF(TAU, TAU / 2).time_to_spike(start), LIF(TAU).time_to_spike(start), rtol=1e-12)
