"""Functions of threads, compiled for a GPU (PTX) or run on a processor, thread after thread.

A kernel for a GPU takes the arrays of its function one after the other, each as numba has it. Compiling needs the
package numba-cuda and NVVM, which the locks for CUDA hold, and no GPU, though numba-cuda asks for the one that it
compiles for.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, no_type_check

import numpy as np
from numba import from_dtype, njit, types
from numba.extending import register_jitable

from stablespike.native.cuda import grid, layer, network, network_adjoint
from stablespike.native.cuda.arrays import Arrays
from stablespike.native.cuda.team import GROUP

THREADS = 128  # of a block
SHARED_BYTES = 48 * 1024  # of shared memory that any GPU gives a block without being asked


class Scratch(NamedTuple):
    """Shared memory of a block: shapes of its numbers and of its whole numbers, those of the network first."""

    numbers: tuple[tuple[int, ...], ...]
    wholes: tuple[tuple[int, ...], ...]

    def size(self, dtype: Any) -> int:
        """Bytes."""
        sizes = [[int(np.prod(one)) for one in shapes] for shapes in self]
        return np.dtype(dtype).itemsize * sum(sizes[0]) + 4 * sum(sizes[1])


def scratch_of(variables: int, neurons: int, backwards: bool, threads: int = THREADS) -> Scratch:
    """What a block needs for a network of so many neurons with so many variables."""
    states, alone, groups = (variables, neurons), (neurons,), max(1, threads // GROUP)
    numbers = (states, states, alone) if backwards else (states, alone)
    return Scratch((*numbers, (threads,), (groups,)), (*((alone,) if backwards else ()), (3, threads), (3, groups)))


def ptx(kernel: Callable, arrays: Arrays, dtype: Any, capability: tuple[int, int]) -> str:
    """A kernel as PTX for GPUs of a compute capability; its entry is called by what `entry_of` finds."""
    from numba import cuda

    code, _ = cuda.compile(kernel, (arrays.types(dtype),), cc=capability, device=False, output="ptx", abi="numba")
    return code


def entry_of(code: str) -> str:
    """The name under which the driver finds the kernel in its PTX."""
    return code.split(".entry", 1)[1].split("(", 1)[0].strip()


def layer_kernel(unpack: Callable, backwards: bool = False) -> Callable:
    """The kernel of a layer: a thread for each trial, or group of trials, and neuron."""
    from numba import cuda

    one = (layer.adjoint if backwards else layer.forward)(unpack)

    @no_type_check
    def kernel(arrays):
        one(cuda.grid(1), arrays)

    return kernel


def network_kernel(unpack: Callable, dtype: Any, variables: int, neurons: int, threads: int = THREADS) -> Callable:
    """The kernel of a network: a block of threads for each trial."""
    from numba import cuda

    number, whole = from_dtype(np.dtype(dtype)), types.int32
    (states, alone, each, groups), (whole_each, whole_groups) = scratch_of(variables, neurons, False, threads)
    one = network.forward(unpack, threads, _barrier())

    @no_type_check
    def kernel(arrays):
        here = cuda.shared.array(states, number), cuda.shared.array(alone, number)
        numbers, of_groups = cuda.shared.array(each, number), cuda.shared.array(groups, number)
        wholes, whole_of_groups = cuda.shared.array(whole_each, whole), cuda.shared.array(whole_groups, whole)
        t = cuda.threadIdx.x
        one(cuda.blockIdx.x, t, t + 1, arrays, here, (numbers, wholes, of_groups, whole_of_groups))

    return kernel


def network_adjoint_kernel(
    unpack: Callable, dtype: Any, variables: int, neurons: int, threads: int = THREADS
) -> Callable:
    """The kernel of a network's adjoint: a block of threads for each group of trials."""
    from numba import cuda

    number, whole = from_dtype(np.dtype(dtype)), types.int32
    (states, bars, alone, each, groups), (flags, whole_each, whole_groups) = scratch_of(
        variables, neurons, True, threads
    )
    one = network_adjoint.adjoint(unpack, threads, _barrier())

    @no_type_check
    def kernel(arrays):
        state, bar = cuda.shared.array(states, number), cuda.shared.array(bars, number)
        owed, due = cuda.shared.array(alone, number), cuda.shared.array(flags, whole)
        numbers, of_groups = cuda.shared.array(each, number), cuda.shared.array(groups, number)
        wholes, whole_of_groups = cuda.shared.array(whole_each, whole), cuda.shared.array(whole_groups, whole)
        t = cuda.threadIdx.x
        one(cuda.blockIdx.x, t, t + 1, arrays, (state, bar, owed, due), (numbers, wholes, of_groups, whole_of_groups))

    return kernel


def grid_kernel(backwards: bool = False, by_blocks: bool = False, threads: int = THREADS) -> Callable:
    """The kernel of a layer on a grid: a thread for each trial and neuron, or a block for each trial."""
    from numba import cuda

    if by_blocks:
        team = (grid.adjoint if backwards else grid.forward)(threads, _barrier())

        @no_type_check
        def kernel_of_blocks(arrays):
            t = cuda.threadIdx.x
            team(cuda.blockIdx.x, t, t + 1, arrays)

        return kernel_of_blocks
    one = grid.adjoint_alone if backwards else grid.forward_alone

    @no_type_check
    def kernel(arrays):
        one(cuda.grid(1), arrays)

    return kernel


def _barrier() -> Callable:
    from numba import cuda

    @register_jitable
    @no_type_check
    def threads_meet():
        cuda.syncthreads()

    return threads_meet


@register_jitable
@no_type_check
def nothing_to_wait_for():
    """The barrier of a processor, on which threads take turns."""


@cache
def layer_on_processor(unpack: Callable, backwards: bool = False) -> Callable:
    """`run(lanes, arrays)`: a layer's threads, one after the other."""
    one = (layer.adjoint if backwards else layer.forward)(unpack)

    @no_type_check
    def run(lanes, arrays):
        for lane in range(lanes):
            one(lane, arrays)

    return njit(error_model="numpy")(run)


@cache
def network_on_processor(unpack: Callable, backwards: bool = False, threads: int = THREADS) -> Callable:
    """`run(blocks, arrays, here, shared)`: a network's blocks, one after the other, and their threads in turn."""
    make = network_adjoint.adjoint if backwards else network.forward
    one = make(unpack, threads, nothing_to_wait_for)

    @no_type_check
    def run(blocks, arrays, here, shared):
        for block in range(blocks):
            one(block, 0, threads, arrays, here, shared)

    return njit(error_model="numpy")(run)


@cache
def grid_on_processor(backwards: bool = False, by_blocks: bool = False, threads: int = THREADS) -> Callable:
    """`run(count, arrays)`: so many threads of a layer on a grid, or blocks of a recurrent one, one after the other."""
    if by_blocks:
        team = (grid.adjoint if backwards else grid.forward)(threads, nothing_to_wait_for)

        @no_type_check
        def run_blocks(blocks, arrays):
            for block in range(blocks):
                team(block, 0, threads, arrays)

        return njit(error_model="numpy")(run_blocks)
    one = grid.adjoint_alone if backwards else grid.forward_alone

    @no_type_check
    def run(lanes, arrays):
        for lane in range(lanes):
            one(lane, arrays)

    return njit(error_model="numpy")(run)
