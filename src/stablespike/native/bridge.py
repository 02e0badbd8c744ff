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
import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

ARGUMENTS, RESULTS = 5, 10
DATA, RANK, DIMENSIONS = 3, 4, 5  # words of a buffer
WORD, HALF = ir.IntType(64), ir.IntType(32)
METADATA_EXTENSION = 1
OLDEST_MINOR_VERSION = 3
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by numba code only: less to compile
ONCE = INNER | {"inline": "always"}  # called at one place: not compiled by itself and then with its caller, again
PRANGE_ONLY = {  # numba would look for loops to parallelise in all else, which takes it long
    option: option == "prange"
    for option in ("comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion", "prange")
}
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
def array_at(address, shape, dtype):
    """An array that lies at an address; whoever handed that on keeps it (`spread`)."""
    return carray(_pointer(address), shape, dtype)


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
def _called(typingctx, function, arguments):
    """What the C function at an address returns for a tuple of words."""

    def generate(context, builder, signature, values):
        words = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(WORD, [WORD] * len(words))
        return builder.call(builder.inttoptr(values[0], kind.as_pointer()), words)

    return types.int64(types.int64, arguments), generate


@intrinsic
@no_type_check
def _address_of(typingctx, job, unpack, dtype):
    """Where the compiled job lies, by its symbol: machine code that is cached knows no addresses."""

    def generate(context, builder, signature, values):
        symbol = _SYMBOLS[job.typing_key, unpack.typing_key, dtype.dtype]
        found = cgutils.get_or_insert_function(builder.module, ir.FunctionType(WORD, [WORD, WORD, WORD]), symbol)
        return builder.ptrtoint(found, WORD)

    return types.int64(job, unpack, dtype), generate


@njit(parallel=PRANGE_ONLY, **INNER)
@no_type_check
def spread(job, count, frame, shared):
    """The jobs 0 to `count` - 1 of a kernel, on all threads; `shared` is a word for them all, as an array's address.

    A job is called by its address and not by its name, for numba compiles all that a parallel loop calls four times.
    """
    for k in prange(count):
        _called(job, (np.int64(k), frame, shared))


@njit(**INNER)
@no_type_check
def failure(frame, text):
    """An XLA error with a text (bytes of a C string), to be returned by an entry instead of 0."""
    request = np.zeros(4, np.int64)
    request[0], request[2], request[3] = ERROR_REQUEST_SIZE, text.ctypes.data, FAILED_PRECONDITION
    error = _called(words(words(frame, 3)[2], 7)[API_ERROR_CREATE], (request.ctypes.data,))
    return error + 0 * request.size  # it is kept until here


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
def target(kernel: str, entry, job, unpack, dtype) -> str:
    """Name under which XLA knows `entry(frame, job, unpack, dtype)`, compiled (or taken from the cache) and registered.

    `entry`, `job` and `unpack` are found under their qualified names and marked `register_jitable`, `dtype` is the
    scalar type of the numbers. An entry returns 0, or the address of an error (`failure`); it is handed the address of
    `job(k, frame, shared, unpack, dtype)`, which `spread` takes, or 0 if the kernel has none.
    """
    numba.get_num_threads()  # starts the threads, which a kernel taken from the cache does not do by itself
    name = "_".join([kernel, unpack.__module__, unpack.__qualname__, dtype.__name__]).replace(".", "_")
    # Machine code from the cache keeps the symbol it was compiled under; handlers of one name would be mixed up.
    symbol = f"{name}_{fingerprint()[:16]}"
    if job is not None:
        _SYMBOLS[job, unpack, numba.from_dtype(np.dtype(dtype))] = of_job = f"{symbol}_job"
        _KEPT[of_job] = compiled = _job(job, unpack, dtype, of_job, fingerprint())
        llvmlite.binding.add_symbol(of_job, compiled.address)
    _KEPT[symbol] = handler = _handler(entry, job, unpack, dtype, symbol, fingerprint())
    address = ctypes.cast(handler.address, ctypes.c_void_p)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(address), platform="cpu")
    return name


_KEPT = {}  # type: ignore[var-annotated]
_SYMBOLS = {}  # type: ignore[var-annotated]


def _job(job, unpack, dtype, name, sources):
    @no_type_check
    def one(k, frame, shared):
        sources  # noqa: B018 — only there to be part of the cache key
        job(k, frame, shared, unpack, dtype)
        return 0

    one.__name__ = one.__qualname__ = name
    return cfunc(types.int64(types.int64, types.int64, types.int64), cache=True)(one)


def _handler(entry, job, unpack, dtype, name, sources):
    @no_type_check
    def handler(frame):
        sources  # noqa: B018
        return 0 if answered(frame) else entry(frame, 0, unpack, dtype)

    @no_type_check
    def handler_of_jobs(frame):
        sources  # noqa: B018
        return 0 if answered(frame) else entry(frame, _address_of(job, unpack, dtype), unpack, dtype)

    chosen = handler if job is None else handler_of_jobs
    chosen.__name__ = chosen.__qualname__ = name
    return cfunc(types.int64(types.int64), cache=True)(chosen)
