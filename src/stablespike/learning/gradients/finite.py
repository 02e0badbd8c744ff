"""Gradients that are not finite are never handed out in silence: `simulate` lets what it is given pass here."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import PyTree

from stablespike.dynamics.status import SimulationError


def guarded(tree: PyTree) -> PyTree:
    """The same arrays, whose gradient raises `SimulationError` where it is not finite, outside jit.

    Inside jit and vmap, where values are unknown, nothing is said: look at the gradient, as training steps do. Other
    derivatives pass. Without a derivative nothing is done.
    """
    return jax.tree.map(lambda leaf: _SEEN.bind(leaf) if _is_differentiated(leaf) else leaf, tree)


def _is_differentiated(leaf: Any) -> bool:
    return isinstance(leaf, jax.core.Tracer) and eqx.is_inexact_array(leaf)


def _transposed(cotangent: Any, _: Any) -> tuple[Any]:
    """The cotangent, if it is finite as far as that is known."""
    known = not isinstance(cotangent, ad.Zero | jax.core.Tracer)
    if known and not np.isfinite(np.asarray(cotangent)).all():
        raise SimulationError(
            "The gradient of this run is not finite, though the run is: a weight, state or time is so large, or so "
            "near to where spikes appear, that its derivative overflows."
        )
    return (cotangent,)


_SEEN = Primitive("seen_gradient")
_SEEN.def_impl(lambda value: value)
_SEEN.def_abstract_eval(lambda value: value)
mlir.register_lowering(_SEEN, mlir.lower_fun(lambda value: value, multiple_results=False))
ad.deflinear2(_SEEN, _transposed)
batching.defvectorized(_SEEN)
