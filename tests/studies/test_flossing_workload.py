"""Benchmark F computes the same by both routes."""

import jax.numpy as jnp
import numpy as np

from studies.benchmarks import flossing_step as flossing_workload
from studies.benchmarks.flossing_step import flossing_step, plain_flossing_step
from studies.benchmarks.harness import cost


def test_both_routes_give_the_same_exponents_and_weights(monkeypatch):
    for name, value in {"NEURONS": 5, "CHANNELS": 4, "STEPS": 12, "COUNT": 3}.items():
        monkeypatch.setattr(flossing_workload, name, value)
    found, plain = (cost(step(jnp.float64), repeats=1, compiled=False) for step in (flossing_step, plain_flossing_step))
    np.testing.assert_allclose(found.result[1], plain.result[1], rtol=1e-10)
    for one, other in zip(found.result[0], plain.result[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert found.processor_median > 0
