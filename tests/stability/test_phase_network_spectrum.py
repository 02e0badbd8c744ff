"""The native spectrum of theta networks is that of the event step, and finds the published kind of chaos."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.charts import Phase
from stablespike.dynamics.neurons.theta import Theta
from stablespike.stability.event_tangent import NextSpike, spike_to_spike_spectrum
from stablespike.stability.phase_network_spectrum import theta_network_spectrum


def test_native_spectrum_is_that_of_the_event_step():
    neuron, size, rng = Theta(0.8, 1.0), 6, np.random.default_rng(0)
    weights = rng.normal(0, 0.3, (size, size)) * (rng.random((size, size)) < 0.7) * (1 - np.eye(size))
    phases = rng.uniform(0, float(neuron.period), size)
    options = {"spikes": 600, "transient": 200, "count": size, "interval": 4}
    native = theta_network_spectrum(neuron, weights, phases, generator=rng, **options)
    step = NextSpike(Recurrent(neuron, jnp.asarray(weights), jnp.zeros((size, 1))), Phase())
    states = jax.vmap(neuron.state_at_phase)(jnp.asarray(phases))
    reference = spike_to_spike_spectrum(step, states, key=jax.random.key(0), **options)
    np.testing.assert_allclose(native.duration, reference.duration, rtol=1e-9)
    np.testing.assert_allclose(native.state.system, reference.state.system.coordinates[:, 0], atol=1e-8)
    np.testing.assert_allclose(native.exponents.sum(), reference.exponents.sum(), rtol=1e-9)
    np.testing.assert_allclose(native.exponents, reference.exponents, atol=4 / native.duration)  # other first vectors
    assert np.ptp(native.exponents) > 20 / native.duration


def test_balanced_quadratic_network_is_chaotic_at_the_known_rate():
    rng, size, degree = np.random.default_rng(0), 200, 50
    connected = (rng.random((size, size)) < degree / size) & ~np.eye(size, dtype=bool)
    neuron = Theta(0.01, 0.25 + np.sqrt(degree) * 0.01)  # tau V' = V^2 + I in the form V (V - 1) + I + 1/4; seconds
    phases = rng.uniform(0, float(neuron.period), size)
    weights = -(connected / np.sqrt(degree))
    found = theta_network_spectrum(neuron, weights, phases, spikes=44000, transient=4000, count=1, generator=rng)
    assert abs(found.exponents[0] - 18.9) < 0.5 + 3 * found.standard_errors[0]
    assert found.standard_errors[0] < 0.02 * 18.9
    np.testing.assert_allclose(40000 / size / found.duration, 1.44, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"count": 4}, "count must be from 1 to 3"),
        ({"transient": 50}, "must be multiples of the interval, 100"),
        ({"transient": 900}, "10 blocks do not fit"),
        ({"interval": 0}, "interval must be a whole number and at least 1"),
        ({"phases": np.array([0.0, 1.0, 99.0])}, "between 0 and the period"),
        ({"neuron": Theta(1.0, jnp.array([1.0, 1.1, 1.2]))}, "for equal neurons"),
    ],
)
def test_bad_input(options, sentence):
    settings = {
        "neuron": Theta(),
        "weights": np.zeros((3, 3)),
        "phases": np.array([0.0, 1.0, 2.0]),
        "spikes": 1500,
        "transient": 500,
        "count": 2,
        "generator": np.random.default_rng(0),
    } | options
    positional = [settings.pop(name) for name in ("neuron", "weights", "phases")]
    with pytest.raises(ValueError, match=sentence):
        theta_network_spectrum(*positional, **settings)
