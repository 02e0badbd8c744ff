"""Kernels compiled for the GPUs of this machine: PTX by numba-cuda, finished by NVIDIA's `ptxas` where it is at hand.

A driver reads PTX only of compilers that are no newer than itself, finished code of any of its major version; so what
`ptxas` has finished is preferred. It fits one compute capability: where GPUs differ, the driver gets PTX for the
lowest.
"""

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from stablespike.native.cuda import grid, layer, network, network_adjoint
from stablespike.native.cuda.arrays import Arrays
from stablespike.native.cuda.targets import (
    SHARED_BYTES,
    entry_of,
    grid_kernel,
    layer_kernel,
    network_adjoint_kernel,
    network_kernel,
    ptx,
    scratch_of,
)

OLDEST = (8, 0)  # compute capability of a GPU that runs these kernels


class NoKernel(Exception):
    """Why there is no kernel on a GPU for what was asked."""


@dataclasses.dataclass(frozen=True, eq=False)
class Kind:
    """One of the kernels: its name, whether it runs backwards, whether a block takes a trial, its arrays, and whether
    it is on a time grid, where it has the lines of one neuron and no shared memory.
    """

    name: str
    backwards: bool
    by_blocks: bool
    arrays: Arrays
    on_grid: bool = False

    @property
    def shared(self) -> bool:
        """Whether its code is for a number of neurons, whose states lie in shared memory."""
        return self.by_blocks and not self.on_grid


LAYER = Kind("layer", False, False, layer.FORWARD)
LAYER_ADJOINT = Kind("layer-adjoint", True, False, layer.ADJOINT)
NETWORK = Kind("network", False, True, network.FORWARD)
NETWORK_ADJOINT = Kind("network-adjoint", True, True, network_adjoint.ADJOINT)
GRID_LAYER = Kind("grid-layer", False, False, grid.FORWARD, True)
GRID_LAYER_ADJOINT = Kind("grid-layer-adjoint", True, False, grid.ADJOINT, True)
GRID_LOOP = Kind("grid-loop", False, True, grid.FORWARD, True)
GRID_LOOP_ADJOINT = Kind("grid-loop-adjoint", True, True, grid.ADJOINT, True)


class Code(NamedTuple):
    """What the driver loads, PTX as a C string or finished code, and the name of the kernel in it."""

    image: bytes
    entry: str


@cache
def compiled(
    kind: Kind,
    unpack: Callable | None,
    dtype: np.dtype,
    sizes: tuple[int, ...],
    capabilities: tuple[tuple[int, int], ...],
) -> Code:
    """A kernel for GPUs of these compute capabilities; of a network the `sizes` are its variables and neurons,
    and a layer on a grid has nothing to `unpack`.

    Raises `NoKernel` where it cannot be made.
    """
    require_compiler()
    require_room(kind, dtype, sizes)
    lowest = min(capabilities, default=OLDEST)
    if lowest < OLDEST:
        raise NoKernel(f"this GPU has compute capability {lowest[0]}.{lowest[1]}, they need {OLDEST[0]}.{OLDEST[1]}")
    try:
        with answering(lowest):
            text = ptx(_kernel(kind, unpack, dtype, sizes), kind.arrays, dtype, lowest)
    except ImportError as error:  # so numba-cuda says that NVIDIA's compiler is missing
        raise NoKernel(f"NVIDIA's compiler (the package nvidia-nvvm) is not installed: {error}") from None
    tool = ptxas() if len(set(capabilities)) == 1 else None
    return Code(text.encode() + b"\0" if tool is None else finished(text, lowest, tool), entry_of(text))


def require_compiler() -> None:
    """Raise `NoKernel` where numba-cuda is not installed (numba has an older part of the same name)."""
    try:
        import numba_cuda  # noqa: F401
    except ImportError:
        raise NoKernel("numba-cuda, which compiles them, is not installed") from None


def require_room(kind: Kind, dtype: Any, sizes: tuple[int, ...]) -> None:
    """Raise `NoKernel` for a network whose states do not fit into the shared memory of a block."""
    if kind.shared:
        variables, neurons = sizes
        needed = scratch_of(variables, neurons, kind.backwards).size(dtype)
        if needed > SHARED_BYTES:
            raise NoKernel(f"{neurons} neurons need {needed} bytes of shared memory, and a block has {SHARED_BYTES}")


def _kernel(kind: Kind, unpack: Callable | None, dtype: np.dtype, sizes: tuple[int, ...]) -> Callable:
    if unpack is None:
        return grid_kernel(kind.backwards, kind.by_blocks)
    if not kind.by_blocks:
        return layer_kernel(unpack, kind.backwards)
    return (network_adjoint_kernel if kind.backwards else network_kernel)(unpack, dtype, *sizes)


@contextlib.contextmanager
def answering(capability: tuple[int, int]) -> Iterator[None]:
    """Tell numba-cuda a compute capability where it would ask the GPU.

    It asks before it compiles functions that a kernel calls, and would begin a context of its own for it.
    """
    from numba.cuda import dispatcher

    asking = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = asking


@cache
def ptxas() -> str | None:
    """Where NVIDIA's `ptxas` is: that of this environment, else one on the path."""
    own = sorted(Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin/ptxas"))
    return str(own[-1]) if own else shutil.which("ptxas")


def finished(text: str, capability: tuple[int, int], tool: str) -> bytes:
    """PTX as machine code. Raises `NoKernel` with what `ptxas` says."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(text)
        command = [tool, f"-arch=sm_{capability[0]}{capability[1]}", str(source), "-o", str(result)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode != 0:
            raise NoKernel(f"ptxas failed: {told.stderr.strip()}")
        return result.read_bytes()
