"""What XLA, numba, BLAS, LAPACK and NumPy compute on several processors, with and without the switch that holds them.

`python -m tests.workflow.processors` runs every part here and on processors that `qemu-user` emulates (Debian's
package; some four minutes each), and prints a hash for each: with the switch those of a part are the same.
`python -m tests.workflow.processors first-steps` does so with the numbers and the table of whole notebooks.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jupytext

from workflow.configuration import load_configuration
from workflow.environment import V3
from workflow.machine import HELD

EMULATED = ("Haswell", "EPYC")  # of Intel and of AMD, both without AVX-512, which this machine may have
PREPARE = "import os, sys; from workflow.environment import set_environment; set_environment(); "
PREPARE += "os.execvp(sys.argv[1], sys.argv[1:])"  # as a job starts its kernel: variables are there before libraries
FILES = ("numbers.json", "table.csv")  # of a notebook
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


def products(kind):
    """Matrix products of several sizes by XLA, one of which has a sum long enough to be cut into blocks."""

    def of_kind(numpy, chance):
        import jax

        jax.config.update("jax_enable_x64", True)
        shapes = [(3, 5, 7), (64, 64, 64), (30, 4000, 20), (256, 300, 1), (1, 500, 300)]
        pairs = [(chance.normal(size=(m, k)).astype(kind), chance.normal(size=(k, n))) for m, k, n in shapes]
        found = [jax.jit(lambda a, b: a @ b)(a, b.astype(kind)) for a, b in pairs]
        return numpy.concatenate([numpy.asarray(one).ravel() for one in found])

    return of_kind


def elementary(kind):
    """Functions of one number by XLA, reciprocal roots among them, many at a time and one alone."""

    def of_kind(numpy, chance):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        functions = (jax.lax.rsqrt, jnp.exp, jnp.expm1, jnp.log, jnp.log1p, jnp.tanh, jnp.sin, jnp.cos, jnp.cbrt)
        functions += (jax.lax.logistic, jax.lax.erf, jnp.sqrt, jnp.reciprocal)
        both = jax.jit(lambda x: [jnp.append(one(x), one(x[3])) for one in functions])
        return numpy.asarray(both(chance.uniform(0.01, 9, size=1001).astype(kind)))

    return of_kind


PARTS: dict[str, Callable] = {
    "NumPy and BLAS": recurrent,
    "LAPACK": decomposed,
    "numba": compiled,
    "XLA, float64": flossed,
    "XLA, float32": lambda numpy, chance: flossed(numpy, chance, "float32"),
    "XLA, float64, products": products("float64"),
    "XLA, float32, products": products("float32"),
    "XLA, float64, functions": elementary("float64"),
    "XLA, float32, functions": elementary("float32"),
}


def main() -> None:
    """Print a line for each part: the hash of what it computes."""
    import numpy as np

    for name, part in PARTS.items():
        print(name, hashed(part(np, np.random.default_rng(0)).tobytes()), sep="\t", flush=True)


def hashed(content: bytes) -> str:
    """The beginning of the hash of something."""
    return hashlib.sha256(content).hexdigest()[:12]


def computed(processor: str | None, held: bool, notebook: str = "") -> dict[str, str]:
    """The hashes of all parts, or of what a notebook of the default scale gives, on an emulated processor or this one.

    Held to what all processors have, or not.
    """
    emulator = ["qemu-x86_64", "-cpu", processor] if processor else []
    with tempfile.TemporaryDirectory() as folder:
        caches = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/jax", "NUMBA_CACHE_DIR": f"{folder}/numba"}
        variables = os.environ | caches | {HELD: V3 if held else ""}
        python = [*emulator, sys.executable, "-c"]
        command = [*python, PREPARE, *python, program(notebook, Path(folder)) if notebook else COMPUTE]
        run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-3000:]  # an emulator complains of much that does not matter
        found = {one: hashed(Path(folder, one).read_bytes()) for one in FILES} if notebook else {}
    return found or dict(line.split("\t") for line in run.stdout.splitlines())


def program(name: str, folder: Path) -> str:
    """A notebook with the parameters of the default scale as a program, its products in a folder."""
    question = load_configuration(Path("config/quick.yaml")).questions[name]
    given = dict(question.parameters) | {"results_folder": str(folder)}
    lines = ["import os", "os.environ['MPLBACKEND'] = 'agg'", "os.chdir('notebooks')"]
    for cell in jupytext.read(question.notebook.path).cells:
        if cell.cell_type == "code":
            lines.append(cell.source)
            if "parameters" in cell.metadata.get("tags", []):
                lines += [f"{name} = {value!r}" for name, value in given.items()]
    return "\n".join(lines)


def shown() -> None:
    """Print the hashes of all parts, or of the notebooks that are named, on all processors that there are."""
    parser = argparse.ArgumentParser(description=shown.__doc__)
    parser.add_argument("notebooks", nargs="*")
    parser.add_argument("--processors", nargs="*", default=EMULATED if shutil.which("qemu-x86_64") else ())
    parser.add_argument("--held", action="store_true", help="only with the switch")
    chosen = parser.parse_args()
    for notebook in chosen.notebooks or [""]:
        for where in (None, *chosen.processors):
            for held in (False, True)[chosen.held :]:
                what = (notebook, where or "this processor", "held" if held else "as it is")
                print(*what, computed(where, held, notebook), flush=True)


if __name__ == "__main__":
    shown()
