"""A stand-in of NVIDIA's driver and of XLA's stream: what is launched is run by a processor, where the arrays lie.

The function that XLA calls is the one that it would call on a GPU, and sees the call frame that XLA made, but for one
entry of the function table: a processor has no stream, so `XLA_FFI_Stream_Get` is a stand-in, too.
"""

import contextlib
import ctypes
import itertools

import jax
import numpy as np
from numba import from_dtype
from tests.native.device_cases import block_memory

from stablespike.dynamics.abilities import lines_of
from stablespike.native.cuda.driver import Driver
from stablespike.native.cuda.launch import STREAM_GET, STREAM_REQUEST_SIZE, Launcher, every, handler
from stablespike.native.cuda.machine_code import Code
from stablespike.native.cuda.targets import THREADS, grid_on_processor, layer_on_processor, network_on_processor

POINTER, NUMBER = ctypes.c_void_p, ctypes.c_uint
HANDLER = ctypes.CFUNCTYPE(POINTER, POINTER)
LOAD = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_char_p, POINTER, POINTER, NUMBER, POINTER, POINTER, NUMBER)
FIND = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ctypes.c_char_p)
LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, *[NUMBER] * 7, POINTER, POINTER, POINTER)
LIBRARIES, KERNELS, STREAM = 1000, 2000, 0x5EA
NUMBERS = itertools.count()


def words(address, count):
    """Words at an address."""
    return (ctypes.c_int64 * count).from_address(address)


def copied(structure):
    """A structure of XLA's, whose first word is its size."""
    count = words(structure, 1)[0] // 8
    return (ctypes.c_int64 * count)(*words(structure, count))


class StandIn:
    """A driver that answers as `refusals` say by function ("load", "find", "launch"), else 0, and does what is asked.

    `kernels`: those that were compiled; `launches`: of each launch the kernel, the grid, the block and the stream.
    """

    def __init__(self, capabilities=((9, 0),), absent=False, **refusals):
        self.refusals, self.kernels, self.loads, self.launches, self.errors = refusals, [], [], [], []
        self.callbacks = LOAD(self._load), FIND(self._find), LAUNCH(self._launch)
        self.entry, self.stream_get = HANDLER(self._enter), HANDLER(self._stream)
        addresses = [0 if absent else ctypes.cast(one, POINTER).value for one in self.callbacks]
        target = f"stand_in_of_a_gpu_{next(NUMBERS)}"
        self.launcher = Launcher(target, Driver(*addresses, capabilities), self._lines, self._compiled, self._register)

    def _register(self, target):
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(ctypes.cast(self.entry, POINTER)), platform="cpu")
        self.launcher = self.launcher._replace(register=lambda name: name)
        return target

    def _lines(self, neuron, variables, dtype):
        return lines_of(neuron, kind=dtype)

    def _compiled(self, kind, unpack, dtype, sizes, capabilities):
        if (kind, unpack, dtype, sizes) not in self.kernels:
            self.kernels.append((kind, unpack, dtype, sizes))
        place = self.kernels.index((kind, unpack, dtype, sizes))
        return Code(f"{place}".encode() + b"\0", f"entry_{place}")

    @contextlib.contextmanager
    def _answering(self):
        """An exception in a callback would be lost."""
        try:
            yield
        except Exception as error:
            self.errors.append(error)
            raise

    def _enter(self, frame):
        """XLA's call: handed on, with a stream that this processor lacks."""
        run, own = HANDLER(handler().address), copied(frame)
        if own[1] != 0:  # XLA asks for the version
            return run(frame)
        self.context, api = own[3], copied(own[2])
        api[STREAM_GET] = ctypes.cast(self.stream_get, POINTER).value
        own[2] = ctypes.addressof(api)
        return run(ctypes.addressof(own))

    def _stream(self, request):
        request = words(request, 4)
        with self._answering():
            assert request[0] == STREAM_REQUEST_SIZE
            assert request[2] == self.context
        request[3] = STREAM

    def _load(self, library, image, *options):
        self.loads.append(image)
        if not any(options):
            words(library, 1)[0] = LIBRARIES + int(image)
        return self.refusals.get("load", 0)

    def _find(self, kernel, library, entry):
        place = library - LIBRARIES
        words(kernel, 1)[0] = KERNELS + place
        return self.refusals.get("find", 0 if entry.decode() == f"entry_{place}" else 500)

    def _launch(self, kernel, width, height, depth, across, y, z, shared, stream, parameters, extra):
        with self._answering():
            kind, unpack, dtype, _ = self.kernels[kernel - KERNELS]
            self.launches.append((kind.name, width, across, stream))
            assert (height, depth, y, z, shared, extra) == (1, 1, 1, 1, 0, None)
            if "launch" not in self.refusals:
                run(kind, unpack, arrays_of(kind, dtype, parameters), width)
        return self.refusals.get("launch", 0)


def arrays_of(kind, dtype, parameters):
    """The arrays that the parameters of a launch are, as a GPU's code reads them: numba's words, one after another."""
    pointers = words(parameters, sum(5 + 2 * len(one.axes) for one in every(kind.arrays)))
    values, arrays, place = [words(one, 1)[0] for one in pointers], [], 0
    for one in every(kind.arrays):
        rank, number = len(one.axes), np.dtype(one.dtype or dtype)
        owner, parent, items, size, address = values[place : place + 5]
        shape, strides = values[place + 5 : place + 5 + rank], values[place + 5 + rank : place + 5 + 2 * rank]
        assert (owner, parent, size) == (0, 0, number.itemsize)
        array = np.frombuffer((ctypes.c_char * (items * size)).from_address(address or 1), number).reshape(shape)
        assert list(np.empty(shape, number).strides) == strides or 0 in shape
        arrays.append(array)
        place += 5 + 2 * rank
    assert from_dtype(np.dtype(dtype)) == from_dtype(arrays[0].dtype)
    return tuple(arrays)


def run(kind, unpack, arrays, blocks):
    """All blocks of a launch, by a processor."""
    if kind.on_grid:
        count = blocks if kind.by_blocks else blocks * THREADS
        grid_on_processor(kind.backwards, kind.by_blocks)(count, arrays)
    elif kind.by_blocks:
        memory = block_memory(arrays, kind.backwards, THREADS)
        network_on_processor(unpack, kind.backwards, THREADS)(blocks, arrays, *memory)
    else:
        layer_on_processor(unpack, kind.backwards)(blocks * THREADS, arrays)
