import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.qif import QIF
from studies.spike_time_gradient import BATCH, edge_of_spiking, finite_differences, sweep_first_spike


def lone(weight):
    return [weight], [0.0]


def closed_form(neuron, w):
    """Spike time and its derivative, of a resting neuron with one input of weight w at time 0 (tau = 1)."""
    if isinstance(neuron, LIF):
        root = np.sqrt(1 - 4 / w)
        return -np.log((1 + root) / 2), -2 / (w**2 * root * (1 + root))
    return -np.log1p(-np.pi / (2 * np.sqrt(w))), -np.pi / (4 * w**1.5 - 2 * np.pi * w)


@pytest.mark.parametrize(("neuron", "smallest"), [(LIF(), 4.0), (QIF(), (np.pi / 2 / -np.expm1(-3.0)) ** 2)])
def test_one_input_follows_the_closed_form_to_its_end(neuron, smallest):
    weights = smallest + np.geomspace(1e-3, 5, BATCH + 3)
    sweep = sweep_first_spike(neuron, lone, weights, 3.0)
    times, slopes = closed_form(neuron, weights)
    np.testing.assert_allclose(sweep.times, times, rtol=1e-12)
    np.testing.assert_allclose(sweep.gradients, slopes, rtol=1e-10)
    differences = finite_differences(neuron, lone, weights[-20:], 1e-3, 3.0)
    np.testing.assert_allclose(sweep.gradients[-20:], differences, rtol=1e-8)
    silent, last = edge_of_spiking(neuron, lone, 2.0, 9.0, 3.0)
    assert 0 < last - silent < 4e-15
    assert last == pytest.approx(smallest, abs=1e-14)
    assert not sweep_first_spike(neuron, lone, [silent], 3.0).spiked.any()


def test_the_derivative_goes_through_any_function_of_the_swept_number():
    values = jnp.linspace(2.5, 3.0, 5)
    sweep = sweep_first_spike(LIF(), lambda a: ([a**2], [0.1 * a]), values, 3.0)
    times, slopes = closed_form(LIF(), np.asarray(values) ** 2)
    np.testing.assert_allclose(sweep.times, times + 0.1 * values, rtol=1e-12)
    np.testing.assert_allclose(sweep.gradients, slopes * 2 * values + 0.1, rtol=1e-10)


def test_differences_across_the_end_and_wrong_brackets_are_refused():
    with pytest.raises(ValueError, match="reaches across the end of the spike"):
        finite_differences(LIF(), lone, [4.0 + 1e-3], [1e-2], 3.0)
    with pytest.raises(ValueError, match=r"must be silent at 5\.0 and spike at 9\.0"):
        edge_of_spiking(LIF(), lone, 5.0, 9.0, 3.0)
