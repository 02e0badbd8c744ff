"""Calling numba code from inside XLA programs on the CPU, through XLA's typed foreign-function interface.

XLA hands a call frame to a C function. Its layout is fixed by the public header that every jaxlib ships,
`jaxlib/include/xla/ffi/api/c_api.h` (interface version 0.3 and its compatible successors), and is read here as 64-bit
words:

    frame    0 size, 1 extension, 2 api, 3 context, 4 stage, 5-9 arguments, 10-14 results, 15-20 attributes
    list     0 size, 1 extension, 2 count, 3 types, 4 pointers to the buffers
    buffer   0 size, 1 extension, 2 type, 3 data, 4 rank, 5 pointer to the dimensions

Shapes and types are checked where the call is traced (`native/kernel.py`), so a handler trusts them. There is no
compiler in the way: numba emits the machine code and keeps it in its cache between processes.
"""

import ctypes
import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any, no_type_check

import jax
import numba
import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

ARGUMENTS, RESULTS = 5, 10
DATA, RANK, DIMENSIONS = 3, 4, 5  # words of a buffer
WORD, HALF = ir.IntType(64), ir.IntType(32)
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


@dataclasses.dataclass(frozen=True)
class Part:
    """A buffer as kernel code sees it: argument or result number `index`, of type `dtype` (None: that of the call).

    Without `lead` it is the array `[axes]` that XLA hands over. With it all axes before the last `rank` are one, the
    lead: `ALL` of it stays, or a kernel sees what lies at one place of it, that of the trial, that of the sum (group)
    or that which the table of rows has for the trial in a column.
    """

    kind: int
    index: int
    rank: int
    dtype: Any
    lead: Any = None


ALL, TRIAL, GROUP = "all", "trial", "group"


def reader_of(parts: tuple[Part, ...], table: int | None = None):
    """The function `read(frame, b, group, dtype)` of compiled code: the parts as a tuple of arrays and numbers.

    `b` and `group` are the places that `TRIAL` and `GROUP` mean, `table` the argument that is the table of rows. It is
    written as LLVM has it, as numba takes long over tuples that are put together.
    """

    @intrinsic
    @no_type_check
    def read(typingctx, frame, b, group, dtype):
        kinds = [_kind(part, dtype.dtype) for part in parts]

        @no_type_check
        def generate(context, builder, signature, arguments):
            frame, b, group, _ = arguments
            places = {TRIAL: b, GROUP: group}

            def place_of(part):
                if part.lead in places:
                    return places[part.lead]
                start = _buffer(builder, frame, ARGUMENTS, table)
                columns = _load(builder, _load(builder, start, DIMENSIONS), 1)
                entry = builder.add(builder.mul(b, columns), WORD(part.lead))
                return builder.sext(_load(builder, _load(builder, start, DATA), entry, HALF), WORD)

            values = []
            for part, kind in zip(parts, kinds, strict=True):
                place = None if part.lead in (None, ALL) else place_of(part)
                values.append(_value(context, builder, frame, part, kind, place))
            return context.make_tuple(builder, signature.return_type, values)

        return types.Tuple(kinds)(types.int64, types.int64, types.int64, dtype), generate

    return read


def _kind(part, number):
    """Type of a part for numba."""
    scalar = number if part.dtype is None else numba.from_dtype(np.dtype(part.dtype))
    axes = part.rank + (part.lead == ALL)
    return types.Array(scalar, axes, "C") if axes else scalar


def _load(builder, address, index, kind=WORD):
    """Number `index` of those of one kind that lie at an address."""
    index = index if isinstance(index, ir.Value) else WORD(index)
    return builder.load(builder.gep(builder.inttoptr(address, kind.as_pointer()), [index]))


def _buffer(builder, frame, kind, index):
    """Address of the words of argument (`kind` = ARGUMENTS) or result (RESULTS) number `index`."""
    return _load(builder, _load(builder, frame, kind + 4), index)


def _product(builder, numbers):
    return functools.reduce(builder.mul, numbers, WORD(1))


def _value(context, builder, frame, part, kind, place):
    """A part as an array (without an owner) or a number."""
    words = _buffer(builder, frame, part.kind, part.index)
    data, rank, sizes = (_load(builder, words, word) for word in (DATA, RANK, DIMENSIONS))
    lead = builder.sub(rank, WORD(part.rank))
    shape = [_load(builder, sizes, builder.add(lead, WORD(axis))) for axis in range(part.rank)]
    scalar = kind.dtype if isinstance(kind, types.Array) else kind
    size = WORD(context.get_abi_sizeof(context.get_data_type(scalar)))
    if place is not None:
        data = builder.add(data, _product(builder, [place, size, *shape]))
    pointer = builder.inttoptr(data, context.get_data_type(scalar).as_pointer())
    if not isinstance(kind, types.Array):
        return builder.load(pointer)
    if part.lead == ALL:
        shape = [_lead(builder, sizes, lead), *shape]
    strides = [_product(builder, [size, *shape[axis + 1 :]]) for axis in range(len(shape))]
    array = cgutils.create_struct_proxy(kind)(context, builder)
    array.data, array.itemsize, array.nitems = pointer, size, _product(builder, shape)
    array.shape, array.strides = (cgutils.pack_array(builder, one) for one in (shape, strides))
    array.meminfo, array.parent = (cgutils.get_null_value(one.type) for one in (array.meminfo, array.parent))
    return array._getvalue()


def _lead(builder, sizes, count):
    """Product of the first `count` sizes."""
    total = cgutils.alloca_once_value(builder, WORD(1))
    with cgutils.for_range(builder, count) as loop:
        builder.store(builder.mul(builder.load(total), _load(builder, sizes, loop.index)), total)
    return builder.load(total)


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
def target(kernel: str, entry, unpack, dtype) -> str:
    """Name under which XLA knows `entry(frame, unpack, dtype)`, compiled (or taken from the cache) and registered.

    `entry` and `unpack` are found under their qualified names and marked `register_jitable`, `dtype` is the scalar type
    of the numbers. An entry returns 0, or the address of an error (`failure`).
    """
    numba.get_num_threads()  # starts the threads, which a kernel taken from the cache does not do by itself
    name = "_".join([kernel, unpack.__module__, dtype.__name__]).replace(".", "_")
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
