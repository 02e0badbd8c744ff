"""A kernel, declared once: its operands and results with their axes, and the function of one trial.

    BUFFERS = Buffers(
        f"{__name__}.RUN",
        rows={"weights": number("channels neurons"), ...},  # operands of which a trial uses one row
        results={"spikes": number("neurons capacity"), "flags": whole(""), ...},
    )
    RUN = Kernel(BUFFERS, trial=run_trial)
    spikes, flags = RUN(weights, ..., table, capacity=64)

What XLA calls, how trials are spread over threads, which row of an operand a trial uses, the shapes of the results and
what `vmap` does follow from the declaration. Operands come in the order `rows`, the table of rows, `own`, `common`,
members of sums; the function of one trial takes its parts of `rows`, `own`, `common`, `sums`, `results` in that order
and returns what has no axes of its own.
"""

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from numba import njit
from numba.extending import register_jitable

from stablespike.native.bridge import (
    ALL,
    ARGUMENTS,
    GROUP,
    INNER,
    ONCE,
    RESULTS,
    TRIAL,
    Part,
    reader_of,
    spread,
    target,
)
from stablespike.native.platforms import on_a_processor

TABLE, MEMBERS = "table", "members"


@dataclasses.dataclass(frozen=True)
class Buffer:
    """An array of one trial: the names of its axes (a number is a size), its type (None: that of the call), and whether
    it holds the constants of a neuron, which the neuron's lines unpack.
    """

    axes: tuple[str, ...]
    dtype: Any = None
    unpacked: bool = False


def number(axes: str) -> Buffer:
    """Floating-point numbers, of the type of the call."""
    return Buffer(tuple(axes.split()))


def whole(axes: str) -> Buffer:
    """Integers of 32 bits."""
    return Buffer(tuple(axes.split()), np.int32)


def long(axes: str) -> Buffer:
    """Integers of 64 bits."""
    return Buffer(tuple(axes.split()), np.int64)


def constants(axes: str = "constants") -> Buffer:
    """Derived constants of a neuron; a trial gets them unpacked."""
    return Buffer(tuple(axes.split()), unpacked=True)


@register_jitable
@no_type_check
def nothing(array):
    """In place of the unpacking of a neuron's constants, where a kernel has none."""
    return array


class Buffers:
    """What a kernel is handed: operands of which trials use `rows`, of each trial its `own`, those in `common`;
    `sums` over trials, and `results` of each.

    `read(frame, dtype)` are all of them by name as they are in memory, with the trials (or rows, or sums) as the first
    axis of all but those in `common`; `read_trial(frame, b, group, unpack, dtype)` are those of one trial, by name too.
    """

    def __init__(self, name: str, *, results: Mapping[str, Buffer], unseen: tuple[str, ...] = (), **groups):
        """Without the `unseen`, which the function of one trial does not take."""
        self.name, self.unseen = name, unseen
        self.rows, self.own, self.common, self.sums = (
            dict(groups.pop(group, {})) for group in ("rows", "own", "common", "sums")
        )
        if groups:
            raise ValueError(f"{name}: there is no group {', '.join(groups)}, only rows, own, common and sums.")
        self.results = dict(results)
        table = {TABLE: whole("rows")} if self.rows else {}
        members = {MEMBERS: whole("trials")} if self.sums else {}
        self.operands = self.rows | table | self.own | self.common | members
        self.made = self.sums | self.results
        for name, one in (self.rows | self.own).items():
            if one.unpacked and name != next(iter(self.rows)):
                raise ValueError(f"the constants of a neuron are the first operand with rows, {name} is not.")
        self.read, self.read_trial = _reader(self), _trial_reader(self)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Number of axes of the operands of which trials use rows."""
        return tuple(len(one.axes) for one in self.rows.values())

    @property
    def has_constants(self) -> bool:
        """Whether a neuron's lines unpack the first operand."""
        return next(iter(self.operands.values())).unpacked

    def part(self, name: str, lead: Any) -> Part:
        """An operand or a result as compiled code sees it."""
        kind, group = (ARGUMENTS, self.operands) if name in self.operands else (RESULTS, self.made)
        return Part(kind, list(group).index(name), len(group[name].axes), group[name].dtype, lead)

    def part_of_trial(self, name: str) -> Part:
        """What a trial sees of an operand or a result."""
        leads = dict.fromkeys(self.common) | dict.fromkeys(self.sums, GROUP)
        leads |= {one: column for column, one in enumerate(self.rows)}
        return self.part(name, leads.get(name, TRIAL))


def _named(function: Callable, name: str) -> Callable:
    """The function under a name that no other has: numba puts it into the names of machine code."""
    function.__name__ = function.__qualname__ = name.replace(".", "_")
    return function


def _tuple_reader(buffers: Buffers) -> Callable:
    trials = buffers.rows or buffers.own
    places = {name: ALL if trials and name not in buffers.common else None for name in buffers.operands | buffers.made}
    return reader_of(tuple(buffers.part(name, lead) for name, lead in places.items()))


def _reader(buffers: Buffers) -> Callable:
    read = _tuple_reader(buffers)
    names = namedtuple(f"{buffers.name}_arrays".replace(".", "_"), [*buffers.operands, *buffers.made])  # type: ignore[misc]

    @no_type_check
    def arrays(frame, dtype):
        return names(*read(frame, 0, 0, dtype))

    return njit(**INNER)(_named(arrays, f"{buffers.name}_read"))


def _trial_reader(buffers: Buffers) -> Callable:
    results = [name for name, one in buffers.results.items() if one.axes]
    names = (*buffers.rows, *buffers.own, *buffers.common, *buffers.sums, *results)
    names = tuple(name for name in names if name not in buffers.unseen)
    table = buffers.part(TABLE, ALL).index if buffers.rows else None
    read = reader_of(tuple(map(buffers.part_of_trial, names)), table)

    named = namedtuple(f"{buffers.name}_trial".replace(".", "_"), names)  # type: ignore[misc]

    @no_type_check
    def of_trial(frame, b, group, unpack, dtype):
        return named(*read(frame, b, group, dtype))

    @no_type_check
    def of_trial_with_constants(frame, b, group, unpack, dtype):
        found = read(frame, b, group, dtype)
        return named(unpack(found[0]), *found[1:])

    chosen = of_trial_with_constants if buffers.has_constants else of_trial
    return njit(**ONCE)(_named(chosen, f"{buffers.name}_read_trial"))


class Kernel:
    """Compiled code behind a declaration; called with arrays, inside jit, it returns the list of its results.

    One of `trial`, the function of one trial; `whole`, which takes all arrays, once (after `unpack`, if there are
    constants of a neuron); `entry(frame, job, unpack, dtype)`, which does as it likes and returns 0 or an error, and
    may `spread` what it was handed as `job`, the address of the function `job(k, frame, shared, unpack, dtype)`, over
    threads. Trials are jobs, too, if they are `parallel`. `vmap` makes trials of operands that are all `own`, and runs
    kernels whose operands are all `common` one after the other; where there are rows or sums it raises (`over_trials`).
    """

    def __init__(self, buffers: Buffers, *, trial=None, whole=None, entry=None, job=None, parallel: bool = True):
        self.buffers = buffers
        if trial:
            entry, job = _of_trials(buffers, trial, parallel)
        elif whole:
            entry = _of_whole(buffers, whole)
        self.entry = _adopted(entry, buffers.name, "entry")
        self.job = None if job is None else _adopted(job, buffers.name, "job")
        alone = not (buffers.rows or buffers.sums or (buffers.own and buffers.common))
        self.vmap_method = ("broadcast_all" if buffers.own else "sequential") if alone else None

    def __call__(self, *operands, unpack: Callable = nothing, **sizes: int) -> list:
        """The results; `sizes` of axes that no operand has. Raises `ValueError` for arrays that do not fit."""
        lead, sizes, dtype = self.fitted(operands, sizes)
        results = [
            jax.ShapeDtypeStruct(
                (*lead[name], *(int(axis) if axis.isdigit() else sizes[axis] for axis in one.axes)), one.dtype or dtype
            )
            for name, one in self.buffers.made.items()
        ]
        name = target(self.buffers.name, self.entry, self.job, unpack, np.dtype(dtype).type)
        first = on_a_processor(operands[0], self.buffers.name)
        return list(jax.ffi.ffi_call(name, results, vmap_method=self.vmap_method)(first, *operands[1:]))

    def fitted(self, operands, sizes: dict[str, int]) -> tuple[dict, dict[str, int], Any]:
        """Leading axes of the results by name, sizes of all axes and the type of the call."""
        buffers, sizes, dtype, leads = self.buffers, dict(sizes), None, {}
        for (name, one), array in zip(buffers.operands.items(), operands, strict=True):
            rank = jnp.ndim(array) - len(one.axes)
            leads[name] = array.shape[:rank]
            dtype = array.dtype if one.dtype is None and dtype is None else dtype
            if array.dtype != (one.dtype or dtype) or rank < 0 or (name in buffers.common and rank):
                asked = f"{np.dtype(one.dtype or dtype)}[{' '.join(one.axes)}]"
                raise ValueError(f"{buffers.name}: {name} is {array.dtype}{list(array.shape)}, not {asked}.")
            for axis, size in zip(one.axes, array.shape[rank:], strict=True):
                if size != (int(axis) if axis.isdigit() else sizes.setdefault(axis, size)):
                    raise ValueError(f"{buffers.name}: {name} has {size} {axis}, not {sizes.get(axis, axis)}.")
        for one in buffers.made.values():
            if missing := [axis for axis in one.axes if not axis.isdigit() and axis not in sizes]:
                raise ValueError(f"{buffers.name}: give the size of {' and '.join(missing)}.")
        trials = leads.get(TABLE, next((leads[name] for name in buffers.own), ()))
        if any(leads[name] != trials for name in buffers.own):
            raise ValueError(f"{buffers.name}: operands of trials have leading axes {leads}.")
        found = dict.fromkeys(buffers.results, trials) | dict.fromkeys(buffers.sums, leads.get(MEMBERS, ()))
        return found, sizes, dtype

    def over_trials(self, *operands, unpack: Callable = nothing, **sizes: int) -> list:
        """One trial, with operands in the order `rows`, `common`, whose batch by `vmap` is one call of the kernel.

        What trials share is not copied. Raises `ValueError` where trials have operands in `common` of their own.
        """
        count = len(self.buffers.rows)

        @jax.custom_batching.custom_vmap
        def one(*operands):
            return [result[0] for result in many(1, [False] * len(operands), *operands)]

        def many(trials, batched, *operands):
            if any(batched[count:]):
                raise ValueError(f"{self.buffers.name}: all trials share {', '.join(self.buffers.common)}.")
            rows = [array if own else array[None] for array, own in zip(operands[:count], batched, strict=False)]
            table = np.arange(trials)[:, None] * np.asarray(batched[:count], int)
            return self(*rows, jnp.asarray(table, np.int32), *operands[count:], unpack=unpack, **sizes)

        @one.def_vmap
        def _(trials, batched, *operands):
            return many(trials, batched, *operands), [True] * len(self.buffers.made)

        return one(*operands)


def _adopted(function: Callable, kernel: str, name: str) -> Callable:
    """The function as an attribute of the kernel, under which numba finds it: that is the key of its machine code."""
    function.__module__, _, kernel = kernel.rpartition(".")
    function.__qualname__, function.__name__ = f"{kernel}.{name}", f"{kernel}_{name}"
    return register_jitable(function)


def _of_whole(buffers: Buffers, whole: Callable) -> Callable:
    read = _tuple_reader(buffers)
    if buffers.has_constants:

        @no_type_check
        def entry_with_constants(frame, job, unpack, dtype):
            whole(unpack, *read(frame, 0, 0, dtype))
            return 0

        return entry_with_constants

    @no_type_check
    def entry(frame, job, unpack, dtype):
        whole(*read(frame, 0, 0, dtype))
        return 0

    return entry


def _of_trials(buffers: Buffers, trial: Callable, parallel: bool) -> tuple[Callable, Callable | None]:
    """Entry and job."""
    over = MEMBERS if buffers.sums else TABLE if buffers.rows else next(iter(buffers.own))
    lead = reader_of((buffers.part(over, ALL),))
    run = _all_sums(buffers, _one_trial(buffers, trial)) if buffers.sums else _one_trial(buffers, trial)

    @no_type_check
    def entry_in_turn(frame, job, unpack, dtype):
        for k in range(lead(frame, 0, 0, dtype)[0].shape[0]):
            run(k, k, frame, unpack, dtype)
        return 0

    @no_type_check
    def entry(frame, job, unpack, dtype):
        spread(job, lead(frame, 0, 0, dtype)[0].shape[0], frame, 0)
        return 0

    @no_type_check
    def one(k, frame, shared, unpack, dtype):
        run(k, k, frame, unpack, dtype)

    return (entry, one) if parallel else (entry_in_turn, None)


def _one_trial(buffers: Buffers, trial: Callable) -> Callable:
    """`run(b, group, ...)`: trial b, with its sums in a group."""
    read, store = buffers.read_trial, _last
    numbers = [name for name, one in buffers.results.items() if not one.axes]
    for place, name in reversed(list(enumerate(numbers))):
        store = _stored(buffers, name, place if len(numbers) > 1 else None, store)

    @no_type_check
    def run(b, group, frame, unpack, dtype):
        store(trial(*read(frame, b, group, unpack, dtype)), b, frame, dtype)

    return njit(**ONCE, error_model="numpy")(_named(run, f"{buffers.name}_one"))


@register_jitable
@no_type_check
def _last(values, b, frame, dtype):
    """No number is left to store."""


def _stored(buffers: Buffers, name: str, place: int | None, rest: Callable) -> Callable:
    """What a trial returned, or number `place` of it, goes into a result; then the `rest`."""
    read, alone = reader_of((buffers.part(name, ALL),)), place is None
    place = place or 0

    @no_type_check
    def store(values, b, frame, dtype):
        read(frame, b, 0, dtype)[0][b] = values if alone else values[place]
        rest(values, b, frame, dtype)

    return njit(**ONCE)(_named(store, f"{buffers.name}_store_{name}"))


def _all_sums(buffers: Buffers, run: Callable) -> Callable:
    """`run_group(group, ...)`: the trials `members[group]` (-1 = none) one after the other, into sums of their own."""
    members = reader_of((buffers.part(MEMBERS, GROUP),))
    empty = _last
    for name in buffers.sums:
        empty = _emptied(buffers, name, empty)

    @no_type_check
    def run_group(k, group, frame, unpack, dtype):
        empty(0, group, frame, dtype)
        for b in members(frame, 0, group, dtype)[0]:
            if b >= 0:
                run(np.int64(b), group, frame, unpack, dtype)

    return njit(**ONCE)(_named(run_group, f"{buffers.name}_group"))


def _emptied(buffers: Buffers, name: str, rest: Callable) -> Callable:
    read = reader_of((buffers.part(name, GROUP),))

    @no_type_check
    def empty(values, group, frame, dtype):
        read(frame, 0, group, dtype)[0].fill(0)
        rest(values, group, frame, dtype)

    return njit(**ONCE)(_named(empty, f"{buffers.name}_empty_{name}"))
