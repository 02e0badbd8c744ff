"""Equation qif_threshold: a resting QIF neuron spikes by T if sqrt(w)(1 - exp(-T/tau)) > pi/2, ever if w > pi^2/4."""

import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.qif import QIF

TAU = 0.7


def time_of(weight):
    return float(QIF(TAU).time_to_spike(QIF(TAU).initial_state(0.0, weight)))


def test_threshold_within_a_trial():
    for duration in (0.5, 2.0, 6.0):
        weight = (np.pi / 2 / -np.expm1(-duration / TAU)) ** 2
        assert time_of(weight * (1 + 1e-9)) < duration < time_of(weight * (1 - 1e-9))


def test_threshold_without_end():
    assert np.isinf(time_of(np.pi**2 / 4 * (1 - 1e-12)))
    assert np.isfinite(time_of(np.pi**2 / 4 * (1 + 1e-12)))


def test_the_spike_leaves_through_the_trial_end():
    """As the weight falls to its threshold the spike time rises without a jump: no spike vanishes in mid-trial."""
    weights = np.linspace(30, 2.5, 4000)
    times = np.asarray([time_of(w) for w in weights[::200]])
    assert np.all(np.diff(times) > 0)
    excess = 1e-10
    assert time_of(np.pi**2 / 4 * (1 + excess)) > 20 * TAU
    assert jnp.isfinite(times[-1])
