"""The benchmark network S, built from the package's parts, against the control that ships with the benchmark."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLeakyReadout, GridLIF, time_constant_of
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.grid.resets import ResetBeforeInput
from stablespike.learning.readouts import cross_entropy, maximum_over_time
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from studies.benchmarks.workloads import surrogate_step

TRIALS = 4


def test_the_benchmark_network_is_the_control():
    """Loss and first moments (a tenth of the gradient) of one Adam step, in float64, of the first trials."""
    step, (weights, moments, spikes, labels) = surrogate_step(jnp.float64)
    spikes, labels = spikes[:, :TRIALS], labels[:TRIALS]
    slow, quick = time_constant_of(0.9, 1.0), time_constant_of(0.8, 1.0)

    def loss(weights):
        lif = GridLIF(slow, quick, 1.0, spike=SurrogateSpike(SuperSpike(10.0)), reset=ResetBeforeInput())
        network = GridNetwork((
            Layer(lif, Dense(weights["W"].T), Dense(weights["R"].T)),
            Layer(GridLeakyReadout(slow, 1.0), Dense(weights["O"].T)),
        ))  # fmt: skip

        def trial(inputs, label):
            run = run_on_grid(network, inputs)
            return cross_entropy(maximum_over_time(run.readout), label), run.outputs[0].sum()

        losses, counts = jax.vmap(trial, (1, 0))(spikes, labels)
        return losses.mean(), counts

    (value, counts), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(weights)
    _, new_moments, expected = jax.jit(step)(weights, moments, spikes, labels)
    assert (counts > 400).all()
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    for name, first in new_moments[0].mu.items():
        scale = np.abs(first).max()
        np.testing.assert_allclose(0.1 * gradient[name] / scale, first / scale, rtol=0, atol=1e-11)
