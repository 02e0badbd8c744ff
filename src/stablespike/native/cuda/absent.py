"""What has no kernel for GPUs is refused, before it is compiled, in a sentence that names the rule and the platform."""

from typing import Any, NoReturn

from jax.interpreters import mlir

from stablespike.native import platforms

WHAT = {  # by the module of the kernel
    "stablespike.native.sparse.": "sparse networks, whose one rule is Recorded(), run",
    "stablespike.native.windows.": "networks in windows that find their own length, which have no rule, run",
}
OTHERWISE = "this runs"


def refuse_on_gpus() -> None:
    """From now on programs for CUDA are refused in these sentences where they hold a kernel for processors."""
    mlir.register_lowering(platforms._here, _refused, platform="cuda")


def _refused(context: Any, operand: Any, *, kernel: str) -> NoReturn:
    del operand
    what = next((words for module, words in WHAT.items() if kernel.startswith(module)), OTHERWISE)
    platform = " and ".join(context.module_context.platforms)
    raise NotImplementedError(
        f"{what} on processors only, by the kernel {kernel}, and this program is for {platform}: start Python with "
        "JAX_PLATFORMS=cpu."
    )
