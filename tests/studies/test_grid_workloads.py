"""The benchmark by its route is the one of its control."""

import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.grid.network import run_on_grid
from studies.benchmarks.grid_workloads import surrogate_training_step
from studies.benchmarks.workloads import surrogate_arrays, surrogate_step


def test_network_and_inputs_are_those_of_the_control():
    _, (weights, _, spikes, labels) = surrogate_training_step(run_on_grid, jnp.float64)
    arrays, (_, control) = surrogate_arrays(), surrogate_step(jnp.float64)
    layer, readout = weights.layers
    np.testing.assert_allclose(layer.inputs.weights, arrays["W"].T, rtol=1e-15)
    np.testing.assert_allclose(layer.recurrent.weights, arrays["R"].T, rtol=1e-15)
    np.testing.assert_allclose(readout.inputs.weights, arrays["O"].T, rtol=1e-15)
    np.testing.assert_array_equal(jnp.swapaxes(spikes, 0, 1), control[2])
    np.testing.assert_array_equal(labels, control[3])
