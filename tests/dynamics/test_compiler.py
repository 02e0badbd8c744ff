"""Sums are right: XLA is told to keep them to itself, and a program that came too late for that is refused."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.compiler import sums_are_right


def run(code):
    plain = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=False)


def test_sums_are_right_here():
    assert sums_are_right()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("size", [26, 300])
def test_a_sum_of_two_functions_of_one_number_is_that_of_numpy(dtype, size):
    """The case of a delayed `ShapedReadout`: of 26 trials and more it was 0."""
    x = np.random.default_rng(1).uniform(0, 3, (size, 10, 16)).astype(dtype)
    found = jax.jit(lambda x: jnp.sum(jnp.expm1(-x) - jnp.expm1(-2 * x), -1))(x)
    np.testing.assert_allclose(found, np.sum(np.expm1(-x) - np.expm1(-2 * x), -1), rtol=1e-5, atol=1e-5)


def test_a_batch_of_delayed_readouts_is_that_of_its_trials():
    inputs = ss.Spikes(jnp.linspace(0.1, 0.9, 4), jnp.array([0, 1, 0, 1]))
    network = ss.Network(
        ss.Layer(ss.QIF(1.0), ss.Dense(4 + 2 * jax.random.normal(jax.random.key(0), (10, 2)))),
        ss.Layer(ss.ShapedReadout(1.0, 2.0), ss.Delayed(jnp.ones((2, 10)), jnp.full(10, 0.5), within=(0.0, 1.0))),
    )

    def signals(spikes):
        return ss.simulate(network, spikes, 5.0, on=ss.Events(16)).output.signals

    batch = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (32, *leaf.shape)), inputs)
    found, alone = jax.jit(jax.vmap(signals))(batch), signals(inputs)
    assert np.abs(alone).max() > 1e-3
    np.testing.assert_allclose(found, np.broadcast_to(alone, found.shape), rtol=1e-12)


def test_a_program_that_computed_before_is_refused_or_right():
    early = "import jax.numpy as jnp; jnp.zeros(3) + 1; import stablespike.dynamics.compiler as one; "
    found = run(early + "print(one.sums_are_right())")
    if found.returncode:
        assert "import stablespike first" in found.stderr.splitlines()[-1]
    else:
        assert found.stdout.strip() == "True"
    assert run("import stablespike as ss, jax.numpy as jnp; jnp.zeros(3) + 1; ss.LIF(1.0)").returncode == 0
