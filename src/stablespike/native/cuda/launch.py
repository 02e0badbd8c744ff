"""What XLA calls in a program for a GPU: the arguments of a kernel from the call frame, the launch on XLA's stream.

The frame is read as in `native.bridge`. Beyond what is said there: words 15-20 are the attributes (the number of them
in word 17, pointers to them in word 20, by name in alphabetical order; that of a number points to its type and its
place), and word 10 of the function table is `XLA_FFI_Stream_Get`, whose request has the words size, extension, context
and, as the answer, stream. All this is fixed by the header `xla/ffi/api/c_api.h` that jaxlib ships.

One function serves all kernels. It finds the one that is meant by a number in the attributes, in a table of plans; a
plan holds where the code is, how many threads a block has, and what to say when the driver refuses. It waits for
nothing, and touches no memory of the device.
"""

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, no_type_check

import jax
import numpy as np
from numba import cfunc, njit, types

from stablespike.native.bridge import (
    ARGUMENTS,
    DATA,
    DIMENSIONS,
    INNER,
    RANK,
    RESULTS,
    _called,
    answered,
    array_at,
    failure,
    fingerprint,
    words,
)
from stablespike.native.cuda.arrays import Arrays
from stablespike.native.cuda.driver import ABSENT, DIGITS, MISFIT, UNKNOWN, WIDTH, Driver, sentences
from stablespike.native.cuda.machine_code import Code, Kind
from stablespike.native.cuda.targets import THREADS

CONTEXT, ATTRIBUTES = 3, 15  # words of a frame
COUNT, POINTERS = 2, 4  # words of a list
LIST_OF_ATTRIBUTES, NUMBER = 5, 1  # pointers to the attributes; the place of a number of theirs
BLOCKS, KERNEL = range(2)  # the attributes, by name
STREAM_GET, STREAM_REQUEST_SIZE = 10, 32
TYPE, LONG_TYPES = 2, (5, 12)  # of a buffer; int64 and float64
ARRAY_WORDS = 5  # of an array for numba, beside its shape and strides: two owners, items, bytes of one, address
FUNCTION, IMAGE, ENTRY, BLOCK, PARAMETERS, LOAD, FIND, LAUNCH, ANSWERS, SENTENCES, MANY, FIRST_DIGIT = range(12)
PLAN_WORDS, MOST_PLANS = 12, 4096
_TABLE = np.zeros((MOST_PLANS, 2), np.int64)  # numbers of kernels, and addresses of their plans; 0 = no more
_KEPT: dict[int, tuple] = {}  # what plans point to


@njit(**INNER)
@no_type_check
def array_words(buffer, values, place):
    """The words of an array as kernels of numba take it, from a buffer of XLA; where the next one begins."""
    about = words(buffer, DIMENSIONS + 1)
    rank, kind = about[RANK], about[TYPE] & 0xFFFFFFFF
    stride = 8 if kind == LONG_TYPES[0] or kind == LONG_TYPES[1] else 4
    items, sizes = 1, words(about[DIMENSIONS], rank)
    values[place], values[place + 1], values[place + 3], values[place + 4] = 0, 0, stride, about[DATA]
    for axis in range(rank - 1, -1, -1):
        values[place + ARRAY_WORDS + axis] = sizes[axis]
        values[place + ARRAY_WORDS + rank + axis] = stride
        stride *= sizes[axis]
        items *= sizes[axis]
    values[place + 2] = items
    return place + ARRAY_WORDS + 2 * rank


@njit(**INNER)
@no_type_check
def count_of_words(frame):
    """Words of all arrays of a call."""
    total = 0
    for which in (ARGUMENTS, RESULTS):
        listed = words(frame, which + POINTERS + 1)[which:]
        buffers = words(listed[POINTERS], listed[COUNT])
        for k in range(listed[COUNT]):
            total += ARRAY_WORDS + 2 * words(buffers[k], RANK + 1)[RANK]
    return total


@njit(**INNER)
@no_type_check
def parameters(frame, values):
    """The words of all arrays of a call: its arguments, then its results."""
    place = 0
    for which in (ARGUMENTS, RESULTS):
        listed = words(frame, which + POINTERS + 1)[which:]
        buffers = words(listed[POINTERS], listed[COUNT])
        for k in range(listed[COUNT]):
            place = array_words(buffers[k], values, place)


@njit(**INNER)
@no_type_check
def attribute(frame, index):
    """A whole number among the attributes."""
    pointers = words(words(frame, ATTRIBUTES + LIST_OF_ATTRIBUTES + 1)[ATTRIBUTES + LIST_OF_ATTRIBUTES], index + 1)
    return words(words(pointers[index], NUMBER + 1)[NUMBER], 1)[0]


@njit(**INNER)
@no_type_check
def answer(function, arguments):
    """What a function of the driver answers, 32 bits; the rest of the word is anything."""
    return _called(function, arguments) & 0xFFFFFFFF


@njit(**INNER)
@no_type_check
def found_in_driver(plan):
    """Load the code of a plan unless it is; 0, or what the driver answered. Two threads at once load it twice."""
    if plan[FUNCTION] != 0:
        return 0
    if plan[LOAD] == 0:
        return ABSENT
    found = np.zeros(2, np.int64)
    here = found.ctypes.data
    refused = answer(plan[LOAD], (here, plan[IMAGE], 0, 0, 0, 0, 0, 0))
    if refused == 0:
        refused = answer(plan[FIND], (here + 8, found[0], plan[ENTRY]))
    if refused == 0:
        plan[FUNCTION] = found[1]
    return refused + 0 * found.size


@njit(**INNER)
@no_type_check
def launched(plan, frame, blocks, stream):
    """Launch the kernel of a plan; 0, or what the driver answered. It copies the parameters before it returns."""
    count = count_of_words(frame)
    if count != plan[PARAMETERS]:
        return MISFIT
    values, pointers = np.zeros(count, np.int64), np.zeros(count, np.int64)
    parameters(frame, values)
    for k in range(count):
        pointers[k] = values.ctypes.data + 8 * k
    here = pointers.ctypes.data
    refused = answer(plan[LAUNCH], (plan[FUNCTION], blocks, 1, 1, plan[BLOCK], 1, 1, 0, stream, here, 0))
    return refused + 0 * (values.size + pointers.size)


@njit(**INNER)
@no_type_check
def sentence(plan, refused):
    """The sentence for an answer, as the bytes of a C string."""
    answers, row = array_at(plan[ANSWERS], (plan[MANY],), np.int64), 0
    while row < plan[MANY] and answers[row] != refused:
        row += 1
    text = array_at(plan[SENTENCES], (plan[MANY] + 1, WIDTH), np.uint8)[row].copy()
    if row == plan[MANY]:
        for place in range(len(DIGITS) - 1, -1, -1):
            text[plan[FIRST_DIGIT] + place] = 48 + refused % 10
            refused //= 10
    return text


@njit(**INNER)
@no_type_check
def address_of_plan(table, number):
    """Where the plan of a kernel is, by its number; 0 if this process knows none."""
    row = 0
    while row < MOST_PLANS and table[row, 0] != 0:
        if table[row, 0] == number:
            return table[row, 1]
        row += 1
    return 0


@cache
def handler() -> Any:
    """The C function that XLA calls, with the table of plans at a fixed place."""
    table_at, unknown = _TABLE.ctypes.data, sentences("a kernel")
    row = np.flatnonzero(unknown[0] == UNKNOWN)[0]
    no_plan = unknown[1][row].copy()

    @no_type_check
    def handle(frame):
        if answered(frame):
            return 0
        table = array_at(table_at, (MOST_PLANS, 2), np.int64)
        place = address_of_plan(table, attribute(frame, KERNEL))
        if place == 0:
            return failure(frame, no_plan.copy())
        plan, blocks = words(place, PLAN_WORDS), attribute(frame, BLOCKS)
        request = np.zeros(4, np.int64)
        request[0], request[2] = STREAM_REQUEST_SIZE, words(frame, CONTEXT + 1)[CONTEXT]
        error = _called(words(words(frame, 3)[2], STREAM_GET + 1)[STREAM_GET], (request.ctypes.data,))
        if error != 0 or blocks == 0:
            return error
        refused = found_in_driver(plan)
        if refused == 0:
            refused = launched(plan, frame, blocks, request[3])
        return 0 if refused == 0 else failure(frame, sentence(plan, refused))

    return cfunc(types.int64(types.int64))(handle)


@cache
def register(target: str) -> str:
    """Tell XLA the function under a name, for GPUs; the name."""
    jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(ctypes.c_void_p(handler().address)), platform="CUDA")
    return target


def name_of(kind: Kind, unpack: Callable | None) -> str:
    """What a kernel is called in sentences: with the neuron whose lines it has, if there is a choice."""
    return kind.name if unpack is None else f"{kind.name} ({unpack.__module__}.{unpack.__qualname__})"


def number_of(kind: Kind, unpack: Callable | None, dtype: Any, sizes: tuple[int, ...], more: Any) -> int:
    """The number of a kernel, the same in every process with these sources."""
    told = repr((fingerprint(), name_of(kind, unpack), np.dtype(dtype).str, sizes, more)).encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:7], "big") + 1


def plan(number: int, name: str, arrays: Arrays, code: Code, driver: Driver) -> None:
    """Put a kernel into the table, unless it is there. Raises `RuntimeError` when it is full."""
    if number in _KEPT:
        return
    if len(_KEPT) == MOST_PLANS:
        raise RuntimeError(f"this process has {MOST_PLANS} kernels for GPUs, and no room for more.")
    answers, texts = sentences(name)
    image, entry = np.frombuffer(code.image, np.uint8), np.frombuffer(code.entry.encode() + b"\0", np.uint8)
    one = np.zeros(PLAN_WORDS, np.int64)
    one[IMAGE], one[ENTRY], one[BLOCK] = image.ctypes.data, entry.ctypes.data, THREADS
    one[PARAMETERS] = sum(ARRAY_WORDS + 2 * len(each.axes) for each in every(arrays))
    one[LOAD], one[FIND], one[LAUNCH] = driver[:3]
    one[ANSWERS], one[SENTENCES], one[MANY] = answers.ctypes.data, texts.ctypes.data, len(answers)
    one[FIRST_DIGIT] = bytes(texts[-1]).index(DIGITS)
    row = len(_KEPT)
    _KEPT[number] = one, image, entry, answers, texts
    _TABLE[row, 1] = one.ctypes.data
    _TABLE[row, 0] = number


def every(arrays: Arrays) -> tuple:
    """Operands and results."""
    return *arrays.operands.values(), *arrays.results.values()


class Launcher(NamedTuple):
    """Where kernels are launched: the name under which XLA knows the function, the driver,
    `lines(neuron, variables, dtype)`, `compiled(kind, unpack, dtype, sizes, capabilities)`, and `register(name)`.
    """

    target: str
    driver: Driver
    lines: Callable
    compiled: Callable
    register: Callable = register

    def __call__(
        self, kind: Kind, unpack: Callable | None, operands: Any, blocks_of: int, **sizes: int
    ) -> dict[str, Any]:
        """Results of a kernel by name: as many blocks as the trials of what takes a block for one, or as `blocks_of`
        threads fill. `unpack`: that of the neuron's lines; None on a grid.

        Raises `NoKernel` where there is none.
        """
        dtype, shapes = np.dtype(operands[0].dtype), kind.arrays.made(operands, **sizes)
        memory = tuple(operands[3].shape[1:]) if kind.shared else ()
        number = number_of(kind, unpack, dtype, memory, (self.target, self.driver.capabilities))
        code = self.compiled(kind, unpack, dtype, memory, self.driver.capabilities)
        plan(number, f"the kernel {name_of(kind, unpack)}", kind.arrays, code, self.driver)
        blocks = blocks_of if kind.by_blocks else -(-blocks_of // THREADS)
        call = jax.ffi.ffi_call(self.register(self.target), list(shapes.values()))
        found = call(*operands, blocks=np.int64(blocks), kernel=np.int64(number))
        return dict(zip(shapes, found, strict=True))
