"""Sums are right: XLA is told to keep them to itself, and a program that came too late for that is refused."""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics import compiler
from stablespike.dynamics.compiler import sums_are_right

FLAG = "--xla_cpu_experimental_ynn_fusion_type="


def run(code, **environment):
    plain = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=False)


def test_what_is_told_on_import_is_what_sentences_name():
    """Written twice, as the import of the package comes before that of JAX."""
    assert ss._FAULTY == compiler.FAULTY
    assert f"XLA_FLAGS={ss._OWN_SUMS}" == compiler.FLAG


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


def as_if(jaxlib):
    """Code after which jaxlib says that it is another version."""
    return (
        "import importlib.metadata as m; real = m.version; "
        f"m.version = lambda name: {jaxlib!r} if name == 'jaxlib' else real(name); import os; "
    )


@pytest.mark.parametrize(
    ("jaxlib", "told"),
    [("0.10.1", False), ("0.10.2", True), ("0.11.0", True), ("0.12.0.1", True), ("0.12.1", False), ("1.0.0", False)],
)
def test_only_versions_that_are_known_for_the_fault_are_told(jaxlib, told):
    """A program ends at a flag that its XLA does not know."""
    code = as_if(jaxlib) + "import stablespike; print(os.environ.get('XLA_FLAGS'))"
    assert run(code).stdout.strip() == (FLAG if told else "None")
    assert run(code, XLA_FLAGS=FLAG).stdout.strip() == FLAG


def test_a_version_that_is_not_known_is_tried():
    """With the fault that the present one has, or has not, where nobody told it."""
    code = as_if("0.13.0") + "import stablespike as ss; ss.LIF(1.0); import jax.numpy as jnp; "
    code += "from stablespike.dynamics.compiler import sums_are_right; print(sums_are_right())"
    found = run(code)
    if found.returncode:
        assert re.search(
            r"^ImportError: jaxlib 0\.13\.0 gets some sums wrong: .*XLA_FLAGS=", found.stderr, re.MULTILINE
        )
        assert run("import jax, stablespike.dynamics.compiler as one; print(one.sums_are_right())").stdout == "True\n"
    else:
        assert found.stdout == "True\n"
    assert run(code, XLA_FLAGS=FLAG).stdout == "True\n"


def test_a_version_that_is_not_known_is_tried_where_jax_traces_too():
    code = as_if("0.13.0") + "import jax, jax.numpy as jnp; import stablespike as ss; "
    code += "print(jax.jit(lambda x: x + ss.LIF(1.0).membrane_time_constant)(1.0))"
    found = run(code, XLA_FLAGS=FLAG)
    assert found.stdout == "2.0\n", found.stderr
