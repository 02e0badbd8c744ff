"""What the threads of a block find out together: the earliest spike of a network, the next neuron that is due, a sum.

A block takes a network through a trial: thread t has the neurons t, t + threads, t + 2 threads, ... to itself, and
what all need to know is found in two rounds with a barrier after each, by groups of 32 threads and then by every
thread. The code between two barriers is a function of one thread. A GPU runs it once for its thread (`past` = `first`
+ 1), a processor for all of them in turn, where a barrier is nothing. The order of additions is that of threads: sums
do not depend on chance.
"""

from collections.abc import Callable
from typing import NamedTuple, no_type_check

from numba import njit
from numba.extending import register_jitable

from stablespike.native.overrides.lines import PLAIN

GROUP = 32
INDEX, NUMBER, UNFIT = range(3)  # whole numbers of a thread: the neuron that spikes first, how many do, any not finite


class Meetings(NamedTuple):
    """What all threads of a block call together; `shared`: numbers and whole numbers of threads, then of groups."""

    earliest: Callable
    next_due: Callable
    total: Callable


@njit(**PLAIN)
@no_type_check
def merged(one, other):
    """Of two (time, neuron, number): the earlier; at one time the lower neuron and both numbers."""
    if other[0] < one[0] or one[1] < 0:
        return other
    if one[0] < other[0] or other[1] < 0:
        return one
    return one[0], min(one[1], other[1]), one[2] + other[2]


@njit(**PLAIN)
@no_type_check
def entry(numbers, wholes, t):
    """What was written down at a place."""
    return numbers[t], wholes[INDEX, t], wholes[NUMBER, t]


@njit(**PLAIN)
@no_type_check
def write(numbers, wholes, t, found):
    """Write down what was found at a place."""
    numbers[t], wholes[INDEX, t], wholes[NUMBER, t] = found


@njit(**PLAIN)
@no_type_check
def earliest_of_own(t, threads, waits, numbers, wholes):
    """The earliest among the neurons of a thread."""
    wholes[INDEX, t], wholes[NUMBER, t] = -1, 0
    for j in range(t, waits.shape[0], threads):
        if wholes[INDEX, t] < 0 or waits[j] < numbers[t]:
            numbers[t], wholes[INDEX, t], wholes[NUMBER, t] = waits[j], j, 1
        elif waits[j] == numbers[t]:
            wholes[NUMBER, t] += 1


@njit(**PLAIN)
@no_type_check
def earliest_of(first, past, numbers, wholes):
    """The earliest among neighbouring places, and whether one of them is unfit."""
    found, unfit = entry(numbers, wholes, first), wholes[UNFIT, first]
    for t in range(first + 1, past):
        found = merged(found, entry(numbers, wholes, t))
        unfit |= wholes[UNFIT, t]
    return found, unfit


@njit(**PLAIN)
@no_type_check
def next_of_own(t, threads, waits, now, last, wholes):
    """The lowest neuron of a thread after the last one that is due."""
    wholes[INDEX, t] = waits.shape[0]
    for j in range(t, waits.shape[0], threads):
        if j > last and waits[j] <= now and j < wholes[INDEX, t]:
            wholes[INDEX, t] = j


@njit(**PLAIN)
@no_type_check
def lowest(first, past, wholes):
    """The lowest index at neighbouring places."""
    found = wholes[INDEX, first]
    for t in range(first + 1, past):
        found = min(found, wholes[INDEX, t])
    return found


@njit(**PLAIN)
@no_type_check
def added(first, past, numbers):
    """Sum of the numbers at neighbouring places."""
    total = numbers[first]
    for t in range(first + 1, past):
        total += numbers[t]
    return total


def meetings(threads: int, barrier: Callable) -> Meetings:
    """The meetings of a block of that many threads, a multiple of 32 up to 1024."""
    groups = threads // GROUP

    @register_jitable
    @no_type_check
    def earliest(first, past, waits, shared):
        numbers, wholes, of_groups, whole_of_groups = shared
        for t in range(first, past):
            earliest_of_own(t, threads, waits, numbers, wholes)
        barrier()
        for t in range(first, past):
            if t < groups:
                found, unfit = earliest_of(t * GROUP, t * GROUP + GROUP, numbers, wholes)
                write(of_groups, whole_of_groups, t, found)
                whole_of_groups[UNFIT, t] = unfit
        barrier()
        return earliest_of(0, groups, of_groups, whole_of_groups)

    @register_jitable
    @no_type_check
    def next_due(first, past, waits, now, last, shared):
        _, wholes, _, whole_of_groups = shared
        for t in range(first, past):
            next_of_own(t, threads, waits, now, last, wholes)
        barrier()
        for t in range(first, past):
            if t < groups:
                whole_of_groups[INDEX, t] = lowest(t * GROUP, t * GROUP + GROUP, wholes)
        barrier()
        return lowest(0, groups, whole_of_groups)

    @register_jitable
    @no_type_check
    def total(first, past, shared):
        numbers, _, of_groups, _ = shared
        barrier()
        for t in range(first, past):
            if t < groups:
                of_groups[t] = added(t * GROUP, t * GROUP + GROUP, numbers)
        barrier()
        return added(0, groups, of_groups)

    return Meetings(earliest, next_due, total)
