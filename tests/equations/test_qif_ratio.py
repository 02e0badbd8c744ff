"""Equation qif_ratio: V = s y'/y with y'' + I0 s^(p-2) y = 0, solved by 0F1; spikes are the zeros of y."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import hyp0f1

from stablespike.dynamics.neurons.general_qif import GeneralQIF

TAU, V, CURRENT = 0.7, 0.4, 9.0


def solutions(ratio, s):
    """y1, y2 and their derivatives in s."""
    z, rate = -CURRENT * s**ratio / ratio**2, -CURRENT * s ** (ratio - 1) / ratio
    low, high = 1 - 1 / ratio, 1 + 1 / ratio
    one, two = hyp0f1(low, z), hyp0f1(high, z)
    return one, s * two, rate * hyp0f1(low + 1, z) / low, two + s * rate * hyp0f1(high + 1, z) / high


def y(ratio, s):
    """The solution with y = 1 and y' = V at s = 1, and its derivative."""
    one, two, slope, other = solutions(ratio, 1.0)
    np.testing.assert_allclose(one * other - two * slope, 1.0, rtol=1e-12)  # the Wronskian, which does not change
    c, k = other - V * two, V * one - slope
    one, two, slope, other = solutions(ratio, s)
    return c * one + k * two, c * slope + k * other


@pytest.mark.parametrize("ratio", [0.7, 2.0, 3.3])
def test_flow_and_spike_are_those_of_the_linear_equation(ratio):
    neuron = GeneralQIF(TAU, TAU / ratio)
    start = neuron.initial_state(V, CURRENT)
    wait = float(neuron.time_to_spike(start))
    value, slope = y(ratio, np.exp(-wait / TAU))
    assert abs(value) < 1e-12 * abs(slope)
    for t in (0.3 * wait, 0.9 * wait, 1.1 * wait):
        s = np.exp(-t / TAU)
        value, slope = y(ratio, s)
        np.testing.assert_allclose(neuron.voltage(neuron.flow(start, jnp.asarray(t))), s * slope / value, rtol=1e-9)
