"""A binary heap of (time, neuron) in two arrays: what is due next among the few neurons that are due soon."""

from typing import no_type_check

from numba import njit

from stablespike.native.overrides.lines import PLAIN


@njit(**PLAIN)
@no_type_check
def push(times, neurons, size, time, neuron):
    """Add an entry; the new size. The arrays must have room."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if times[above] < time or (times[above] == time and neurons[above] <= neuron):
            break
        times[place], neurons[place] = times[above], neurons[above]
        place = above
    times[place], neurons[place] = time, neuron
    return size + 1


@njit(**PLAIN)
@no_type_check
def replace_first(times, neurons, size, time, neuron):
    """Put an entry in the place of the first one and let it sink."""
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        other = below + 1
        if other < size and (
            times[other] < times[below] or (times[other] == times[below] and neurons[other] < neurons[below])
        ):
            below = other
        if time < times[below] or (time == times[below] and neuron <= neurons[below]):
            break
        times[place], neurons[place] = times[below], neurons[below]
        place = below
    times[place], neurons[place] = time, neuron


@njit(**PLAIN)
@no_type_check
def drop_first(times, neurons, size):
    """Remove the first entry; the new size."""
    size -= 1
    if size > 0:
        replace_first(times, neurons, size, times[size], neurons[size])
    return size
