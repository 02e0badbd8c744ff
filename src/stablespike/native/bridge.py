"""Calling numba code from inside XLA programs on the CPU, through XLA's typed foreign-function interface.

XLA hands a call frame to a C function. Its layout is fixed by the public header that every jaxlib ships,
`jaxlib/include/xla/ffi/api/c_api.h` (interface version 0.3 and its compatible successors), and is read here as 64-bit
words:

    frame    0 size, 1 extension, 2 api, 3 context, 4 stage, 5-9 arguments, 10-14 results, 15-20 attributes
    list     0 size, 1 extension, 2 count, 3 types, 4 pointers to the buffers
    buffer   0 size, 1 extension, 2 type, 3 data, 4 rank, 5 pointer to the dimensions

Shapes and types are checked where the call is traced (`call`), so a handler trusts them. There is no compiler in the
way: numba emits the machine code and keeps it in its cache between processes.
"""

import ctypes
import functools
import hashlib
from pathlib import Path
from typing import no_type_check

import jax
import numba
import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

ARGUMENTS, RESULTS = 5, 10
METADATA_EXTENSION = 1
OLDEST_MINOR_VERSION = 3
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by numba code only: less to compile
API_ERROR_CREATE = 6  # word of the function table; it takes the words size, extension, text, code
ERROR_REQUEST_SIZE, FAILED_PRECONDITION = 28, 9


@intrinsic
@no_type_check
def _pointer(typingctx, address):
    """The address as a pointer that `carray` accepts."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@njit(**INNER)
@no_type_check
def words(address, count):
    """`count` 64-bit words at an address."""
    return carray(_pointer(address), (count,), np.int64)


@njit(**INNER)
@no_type_check
def buffer(frame, kind, index):
    """The words of argument (`kind` = ARGUMENTS) or result (RESULTS) number `index`."""
    pointers = words(words(frame, 15)[kind + 4], index + 1)
    return words(pointers[index], 6)


@njit(**INNER)
@no_type_check
def vector(frame, kind, index, dtype):
    """Buffer as an array `[a]`."""
    one = buffer(frame, kind, index)
    return carray(_pointer(one[3]), (words(one[5], 1)[0],), dtype)


@njit(**INNER)
@no_type_check
def matrix(frame, kind, index, dtype):
    """Buffer as an array `[a, b]`."""
    one = buffer(frame, kind, index)
    sizes = words(one[5], 2)
    return carray(_pointer(one[3]), (sizes[0], sizes[1]), dtype)


@njit(**INNER)
@no_type_check
def cube(frame, kind, index, dtype):
    """Buffer as an array `[a, b, c]`."""
    one = buffer(frame, kind, index)
    sizes = words(one[5], 3)
    return carray(_pointer(one[3]), (sizes[0], sizes[1], sizes[2]), dtype)


@njit(**INNER)
@no_type_check
def block(frame, kind, index, dtype):
    """Buffer as an array `[a, b, c, d]`."""
    one = buffer(frame, kind, index)
    sizes = words(one[5], 4)
    return carray(_pointer(one[3]), (sizes[0], sizes[1], sizes[2], sizes[3]), dtype)


@njit(**INNER)
@no_type_check
def rows(frame, kind, index, dtype):
    """Buffer `[..., a]` of any rank above 0 as an array of rows `[rows, a]`."""
    one = buffer(frame, kind, index)
    sizes = words(one[5], one[4])
    count = 1
    for axis in range(one[4] - 1):
        count *= sizes[axis]
    return carray(_pointer(one[3]), (count, sizes[one[4] - 1]), dtype)


@njit(**INNER)
@no_type_check
def answered(frame):
    """Whether XLA only asked for the interface version, which is then filled in: its own, if it is a compatible one."""
    extension = words(frame, 2)[1]
    if extension == 0 or words(extension, 2)[1] & 0xFFFFFFFF != METADATA_EXTENSION:
        return False
    metadata = words(words(extension, 4)[3], 5)
    api = words(frame, 3)[2]
    version = np.int64(OLDEST_MINOR_VERSION) << 32
    if api != 0 and words(api, 5)[4] & 0xFFFFFFFF == 0:
        version = words(api, 5)[4]
    metadata[3] = version
    metadata[4] = 0
    return True


@intrinsic
@no_type_check
def _called(typingctx, function, argument):
    """What the C function at an address returns for one word."""

    def generate(context, builder, signature, arguments):
        word = arguments[1].type
        pointer = builder.inttoptr(arguments[0], ir.FunctionType(word, [word]).as_pointer())
        return builder.call(pointer, [arguments[1]])

    return types.int64(types.int64, types.int64), generate


@njit(**INNER)
@no_type_check
def failure(frame, text):
    """An XLA error with a text (bytes of a C string), to be returned by an entry instead of 0."""
    request = np.zeros(4, np.int64)
    request[0], request[2], request[3] = ERROR_REQUEST_SIZE, text.ctypes.data, FAILED_PRECONDITION
    return _called(words(words(frame, 3)[2], 7)[API_ERROR_CREATE], request.ctypes.data)


@functools.cache
def fingerprint() -> str:
    """Hash of the sources of all kernels: part of the key under which numba caches machine code.

    numba itself looks only at the file of the outermost function, and would keep kernels whose lines have changed.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@functools.cache
def target(entry, unpack, dtype) -> str:
    """Name under which XLA knows `entry(frame, unpack, dtype)`, compiled (or taken from the cache) and registered.

    `entry` and `unpack` are module-level functions marked `register_jitable`, `dtype` the scalar type of the numbers.
    An entry returns 0, or the address of an error (`failure`).
    """
    numba.get_num_threads()  # starts the threads, which a kernel taken from the cache does not do by itself
    name = "_".join([entry.__module__, entry.__name__, unpack.__module__, dtype.__name__]).replace(".", "_")
    handler = _handler(entry, unpack, dtype, name, fingerprint())
    address = ctypes.cast(handler.address, ctypes.c_void_p)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(address), platform="cpu")
    _KEPT[name] = handler
    return name


_KEPT = {}  # type: ignore[var-annotated]


def _handler(entry, unpack, dtype, name, sources):
    @no_type_check
    def handler(frame):
        sources  # noqa: B018 — only there to be part of the cache key
        return 0 if answered(frame) else entry(frame, unpack, dtype)

    # Machine code from the cache keeps the symbol it was compiled under; handlers of one name would be mixed up.
    handler.__name__ = handler.__qualname__ = f"{name}_{sources[:16]}"
    return cfunc(types.int64(types.int64), cache=True)(handler)


def call(entry, unpack, dtype, results, *operands):
    """Run a kernel on the operands; `results` are the shapes and types of what it fills."""
    name = target(entry, unpack, np.dtype(dtype).type)
    return jax.ffi.ffi_call(name, results)(*operands)
