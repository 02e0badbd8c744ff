"""Kernels are for processors: a program that holds one is refused elsewhere in a sentence, before it is compiled."""

from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_here = Primitive("on_a_processor")


def on_a_processor(operand: Any, kernel: str) -> Any:
    """The operand of a kernel, as it is; lowering it for another platform raises `NotImplementedError`."""
    return _here.bind(operand, kernel=kernel)


def _refused(context, operand, *, kernel):
    platforms = " and ".join(context.module_context.platforms)
    raise NotImplementedError(
        f"the kernel {kernel} runs on processors only, and this program is for {platforms}: there dense layers and "
        "networks run by Recorded() or Checkpointed(); for sparse networks, windows and delays start Python with "
        "JAX_PLATFORMS=cpu."
    )


_here.def_impl(jax.jit(_here.bind, static_argnames="kernel"))
_here.def_abstract_eval(lambda operand, *, kernel: operand)
batching.primitive_batchers[_here] = lambda ones, axes, *, kernel: (_here.bind(ones[0], kernel=kernel), axes[0])
ad.deflinear2(_here, lambda bar, operand, *, kernel: [bar])
mlir.register_lowering(_here, _refused)
mlir.register_lowering(_here, lambda context, operand, *, kernel: [operand], platform="cpu")
