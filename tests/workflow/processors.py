"""What XLA, numba, BLAS, LAPACK and NumPy compute on several processors, with and without the switch that holds them.

`python -m tests.workflow.processors` runs every part here and on processors that `qemu-user` emulates (Debian's
package; some four minutes each), and prints a hash for each: with the switch those of a part are the same, but for
XLA in single precision, whose matrix products and reciprocal roots follow the processor.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

from workflow.environment import V3
from workflow.machine import HELD

EMULATED = ("Haswell", "EPYC")  # of Intel and of AMD, both without AVX-512, which this machine may have
PREPARE = "import os, sys; from workflow.environment import set_environment; set_environment(); "
PREPARE += "os.execvp(sys.argv[1], sys.argv[1:])"  # as a job starts its kernel: variables are there before libraries
COMPUTE = "from tests.workflow.processors import main; main()"


def recurrent(numpy, chance):
    """A chaotic recurrent network: products of OpenBLAS, hyperbolic tangents of NumPy."""
    weights, state = 0.3 * chance.normal(size=(200, 200)), chance.normal(size=200)
    for _ in range(60):
        state = numpy.tanh(weights @ state)
    return state


def decomposed(numpy, chance):
    """QR steps and eigenvalues of LAPACK, exponentials and sums of NumPy."""
    matrix = chance.normal(size=(120, 120))
    for _ in range(5):
        q, r = numpy.linalg.qr(matrix)
        matrix = q @ r.T @ q + numpy.exp(-numpy.abs(q)).sum(0)
    return numpy.linalg.eigh(matrix + matrix.T)[0]


def compiled(numpy, chance):
    """A walk in numba."""
    import numba

    @numba.njit
    def walk(state, weights):
        for _ in range(200):
            for i in range(state.size):
                total = 0.0
                for j in range(state.size):
                    total += weights[i, j] * state[j]
                state[i] = numpy.tanh(total) + 1e-3 * numpy.exp(-state[i] * state[i])
        return state

    return walk(chance.normal(size=50), 0.3 * chance.normal(size=(50, 50)))


def flossed(numpy, chance, kind="float64"):
    """Fifteen steps of flossing eight exponents of a recurrent network, by XLA."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    weights = jnp.asarray(0.2 * chance.normal(size=(64, 64)), kind)
    start = jnp.asarray(chance.normal(size=64), kind), jnp.eye(64, 8, dtype=kind)

    def loss(weights):
        def step(carry, _):
            state, basis = carry
            state = jnp.tanh(weights @ state)
            basis, r = jnp.linalg.qr((1 - state**2)[:, None] * weights @ basis)
            return (state, basis), jnp.log(jnp.abs(jnp.diag(r)))

        return jnp.mean(jax.lax.scan(step, start, None, length=40)[1].mean(0) ** 2)

    def descend(weights, _):
        slope = jax.grad(loss)(weights)
        return weights - 0.1 * slope / jnp.linalg.norm(slope), loss(weights)

    trained, losses = jax.jit(lambda weights: jax.lax.scan(descend, weights, None, length=15))(weights)
    return numpy.append(numpy.asarray(trained).ravel(), numpy.asarray(losses))


PARTS: dict[str, Callable] = {
    "NumPy and BLAS": recurrent,
    "LAPACK": decomposed,
    "numba": compiled,
    "XLA, float64": flossed,
    "XLA, float32": lambda numpy, chance: flossed(numpy, chance, "float32"),
}


def main() -> None:
    """Print a line for each part: the hash of what it computes."""
    import numpy as np

    for name, part in PARTS.items():
        print(name, hashlib.sha256(part(np, np.random.default_rng(0)).tobytes()).hexdigest()[:12], sep="\t", flush=True)


def computed(processor: str | None, held: bool) -> dict[str, str]:
    """The hashes of all parts on an emulated processor, or on this one, held to what all have or not."""
    emulator = ["qemu-x86_64", "-cpu", processor] if processor else []
    with tempfile.TemporaryDirectory() as folder:
        caches = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/jax", "NUMBA_CACHE_DIR": f"{folder}/numba"}
        variables = os.environ | caches | {HELD: V3 if held else ""}
        python = [*emulator, sys.executable, "-c"]
        command = [*python, PREPARE, *python, COMPUTE]
        said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    return dict(line.split("\t") for line in said.splitlines())


if __name__ == "__main__":
    for where in (None, *(EMULATED if shutil.which("qemu-x86_64") else ())):
        for held in (False, True):
            print(where or "this processor", "held" if held else "as it is", computed(where, held), flush=True)
