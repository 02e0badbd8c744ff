"""A fault of XLA's that makes sums wrong without a word, and the check that it is kept out.

Since jaxlib 0.10.2 XLA's compiler for processors hands sums over arithmetic to a library (YNNPACK). Where a number is
used twice in what is summed, as in sum(s (expm1(-x) - expm1(-2x))) over some thousands of numbers, the result can be 0
(jax-ml/jax, issue 39103). `import stablespike` tells XLA to keep sums to itself, through `XLA_FLAGS`, which are read
when JAX computes for the first time.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.xla_bridge import backends_are_initialized  # JAX has no public name for it

SHAPE = (32, 16, 16)


def require_right_sums() -> None:
    """Raise `ImportError` where JAX computed before `stablespike` was imported and such a sum is wrong."""
    if backends_are_initialized() and not sums_are_right():
        raise ImportError(
            "JAX computed before stablespike was imported, and this version of it gets some sums wrong: import "
            "stablespike first, or set XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= for the whole program."
        )


def sums_are_right() -> bool:
    """Whether a compiled sum that is known to fail is that of NumPy."""
    x = np.linspace(0, 3, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    found = jax.jit(lambda x: jnp.sum(x * (jnp.expm1(-x) - jnp.expm1(-2 * x)), -1))(x)
    expected = np.sum(x * (np.expm1(-x) - np.expm1(-2 * x)), -1)
    return bool(np.allclose(found, expected, rtol=1e-4, atol=1e-5))
