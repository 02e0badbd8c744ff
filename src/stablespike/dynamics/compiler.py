"""A fault of XLA's that makes sums wrong without a word, and the check that it is kept out.

Since jaxlib 0.10.2 XLA's compiler for processors hands sums over arithmetic to a library (YNNPACK). Where a number is
used twice in what is summed, as in sum(s (expm1(-x) - expm1(-2x))) over some thousands of numbers, the result can be 0
(jax-ml/jax, issue 39103). `import stablespike` tells the versions that are known for it to keep sums to themselves,
through `XLA_FLAGS`, which are read when JAX computes for the first time. Of a version that is not known such a sum is
tried when the library is first used, as it need not have the fault, nor know that flag any more.
"""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.xla_bridge import backends_are_initialized  # JAX has no public name for it

SOUND = ("0.10.0", "0.10.1")
FAULTY = ("0.10.2", "0.11.", "0.12.0")  # told so by `import stablespike`
FLAG = "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type="
SHAPE = (32, 16, 16)


def require_right_sums() -> None:
    """Raise `ImportError` where such a sum is wrong: JAX computed before it was told, or nobody told this version."""
    jaxlib = version("jaxlib")
    told = jaxlib.startswith(FAULTY)
    if jaxlib in SOUND or (told and not backends_are_initialized()) or sums_are_right():
        return
    if told:
        raise ImportError(
            "JAX computed before stablespike was imported, and this version of it gets some sums wrong: import "
            f"stablespike first, or set {FLAG} for the whole program."
        )
    raise ImportError(
        f"jaxlib {jaxlib} gets some sums wrong: install one that stablespike was tried with (as its locks do) or, if "
        f"this version knows it, set {FLAG} for the whole program."
    )


def sums_are_right() -> bool:
    """Whether a compiled sum that is known to fail is that of NumPy."""
    x = np.linspace(0, 3, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    with jax.ensure_compile_time_eval():  # also where the library is first used in a function that JAX traces
        found = jax.jit(lambda x: jnp.sum(x * (jnp.expm1(-x) - jnp.expm1(-2 * x)), -1))(x)
    expected = np.sum(x * (np.expm1(-x) - np.expm1(-2 * x)), -1)
    return bool(np.allclose(found, expected, rtol=1e-4, atol=1e-5))
