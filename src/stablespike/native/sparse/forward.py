"""A sparse recurrent network, spike by spike: a pulse touches its targets and nobody else.

The next spike comes from windows of time. At the start of a window all neurons' bounds, times before which they surely
do not spike, are read one after the other, which memory is good at; neurons whose bound lies in the window enter a heap
of (time, neuron), which is so small that it stays in the nearest cache. An inhibitory pulse only delays a spike, so
that the bound stays one and need not be touched: the true time is worked out when the bound comes up. An excitatory
pulse, and any pulse to a neuron that inhibition may bring to its spike, lowers the bound, and enters the neuron into
the heap if it now lies in the window. The length of the window is steered so that about one neuron in `SHARE` enters:
reading the bounds then costs each spike a few dozen bounds.

Neurons that reach their spike at the very same time spike one after the other, by index, whatever the pulses of the
others do; a spike that such a pulse triggers at once comes before the next of them. Where the order of reset and pulses
does not matter all are reset first, so that neurons that are equal stay equal to the last bit, and in order.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.conventions import BUDGET_EXHAUSTED, NOT_FINITE, SILENT
from stablespike.native.kernel import Buffers, Kernel, constants, long, number, whole
from stablespike.native.layer.forward import checked_inputs
from stablespike.native.overrides.lines import PLAIN
from stablespike.native.sparse.lines import (
    columns,
    due,
    enter,
    fire,
    frame,
    hit,
    inhibition_delays,
    leave,
    pulses_and_reset_commute,
    rebase,
)
from stablespike.native.sparse.queue import drop_first, push, replace_first

DURATION, RANGE = range(2)  # of the limits: end of the trial, time after which the reference time moves on
CLOCK, EDGE, SPAN, FLOOR = range(4)  # of the schedule: reference time, end and length of the window, shortest length
WINDOWS, ENTRIES, LOOKS, USED = range(4)  # of the work done: windows, neurons that entered, true times, inputs
SHARE = 64  # one neuron in so many shall enter a window


@njit(**PLAIN)
@no_type_check
def start(constants, unpack, states, rows, bounds, schedule):
    """Rows and bounds at time 0, and a first guess of the window's length."""
    total, finite = 0.0, 0
    for j in range(states.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        enter(own, rows, j, states[j])
        bounds[j] = due(own, frame(own, 0.0), 0.0, rows, j)
        if bounds[j] < np.inf:
            total += bounds[j]
            finite += 1
    schedule[SPAN] = total / finite / SHARE if total > 0 else 1.0
    schedule[FLOOR] = 1e-6 * schedule[SPAN]


@njit(**PLAIN)
@no_type_check
def collect(constants, unpack, rows, bounds, now, schedule, heap, neurons, work):
    """Fill the heap with the neurons whose bound lies before the window's end.

    Its size, the first bound of all that stay outside, and whether all is a number.
    """
    size, first, fine, edge = 0, np.inf, True, schedule[EDGE]
    shared = constants.shape[0] == 1
    own = unpack(constants[0])
    step = frame(own, now)
    for j in range(bounds.shape[0]):
        if not bounds[j] >= edge:
            if not shared:
                own = unpack(constants[j])
                step = frame(own, now)
            bounds[j] = due(own, step, now, rows, j)
            fine &= bounds[j] == bounds[j]
            work[LOOKS] += 1
            if bounds[j] < edge:
                size = push(heap, neurons, size, bounds[j], np.int32(j))
        first = bounds[j] if bounds[j] >= edge and bounds[j] < first else first
    work[WINDOWS] += 1
    work[ENTRIES] += size
    return size, first, fine


@njit(**PLAIN)
@no_type_check
def next_window(constants, unpack, rows, bounds, now, arrival, schedule, heap, neurons, work):
    """Begin a window at `now`, or, if nobody is due in it, at the first bound or arrival; heap's size, all numbers."""
    schedule[EDGE] = now + schedule[SPAN]
    while True:
        size, first, fine = collect(constants, unpack, rows, bounds, now, schedule, heap, neurons, work)
        first = min(first, arrival)
        if size > 0 or not fine or first < schedule[EDGE] or first == np.inf:
            break
        schedule[EDGE] = max(first + schedule[SPAN], np.nextafter(first, np.inf))
    if size > 0:
        wanted = max(bounds.shape[0] / SHARE, 8.0) / size
        schedule[SPAN] = max(schedule[SPAN] * min(max(wanted, 0.5), 2.0), schedule[FLOOR])
    return size, fine


@njit(**PLAIN)
@no_type_check
def first_due(constants, unpack, rows, bounds, edge, heap, neurons, size, work):
    """Bring the neuron that spikes next to the top of the heap; its time (inf if there is none) and the size."""
    while size > 0:
        time, j = heap[0], neurons[0]
        if time != bounds[j]:  # it has another entry
            size = drop_first(heap, neurons, size)
            continue
        own = unpack(constants[j % constants.shape[0]])
        work[LOOKS] += 1
        bounds[j] = due(own, frame(own, time), time, rows, j)
        if bounds[j] <= time:
            return time, size
        if bounds[j] < edge:
            replace_first(heap, neurons, size, bounds[j], j)
        else:
            size = drop_first(heap, neurons, size)
    return np.inf, size


@njit(**PLAIN)
@no_type_check
def pulse(constants, unpack, net, source, now, rows, bounds, edge, heap, neurons, size):
    """The pulses of one spike reach its targets; the heap's size. `net`: starts, targets, weights."""
    starts, targets, weights = net
    shared, same = constants.shape[0] == 1, weights.shape[0] == 1
    own = unpack(constants[0])
    step = frame(own, now)
    for c in range(starts[source], starts[source + 1]):
        j, weight = targets[c], weights[0 if same else c]
        if not shared:
            own = unpack(constants[j])
            step = frame(own, now)
        hit(own, step, now, rows, j, weight)
        if weight > 0 or not inhibition_delays(own):
            time = due(own, step, now, rows, j)
            if time < bounds[j]:
                bounds[j] = time
                if time < edge:
                    if size == heap.shape[0]:
                        size = without_old(bounds, heap, neurons, size)
                    size = push(heap, neurons, size, time, j)
    return size


@njit(**PLAIN)
@no_type_check
def without_old(bounds, heap, neurons, size):
    """The heap without entries that no longer are their neuron's bound, or repeat it; its size."""
    kept = 0
    for place in range(size):
        time, j = heap[place], neurons[place]
        if time == bounds[j]:
            bounds[j] = -np.inf  # until all have been looked at: another entry of this neuron is not kept
            heap[kept], neurons[kept] = time, j
            kept += 1
    size = 0
    for place in range(kept):
        time, j = heap[place], neurons[place]
        bounds[j] = time
        size = push(heap, neurons, size, time, j)
    return size


@njit(**PLAIN)
@no_type_check
def next_of_volley(constants, unpack, now, rows, bounds, edge, lists, size, waiting, work):
    """The neuron that spikes next at the time `now`, or -1: the heap's size, and how many are held.

    All that are due are taken off the heap at once, before a pulse can reach them, and held; those that a pulse has
    since lifted to their spike come before them. They are reset here if no pulse at this time makes a difference.
    """
    (heap, neurons, held_keys, held), lifted = lists, np.int32(-1)
    while size > 0 and heap[0] <= now:
        time, size = first_due(constants, unpack, rows, bounds, edge, heap, neurons, size, work)
        if time > now:
            break
        j = neurons[0]
        size, bounds[j] = drop_first(heap, neurons, size), -np.inf  # a pulse shall not put it back
        own = unpack(constants[j % constants.shape[0]])
        if pulses_and_reset_commute(own):
            fire(own, frame(own, now), now, rows, j)
        if lifted < 0:
            lifted = j
        else:
            waiting = push(held_keys, held, waiting, np.float64(j), j)
    if lifted < 0 and waiting > 0:
        lifted = held[0]
        waiting = drop_first(held_keys, held, waiting)
    return lifted, size, waiting


@njit(**PLAIN)
@no_type_check
def volley(constants, unpack, net, now, rows, bounds, edge, lists, size, found, sources, work):
    """All spikes at `now`, one by one: reset, listed while there is room, and pulses; heap's size, and their number."""
    (heap, neurons, _, _), count, waiting = lists, 0, 0
    while count < found.shape[0]:
        j, size, waiting = next_of_volley(constants, unpack, now, rows, bounds, edge, lists, size, waiting, work)
        if j < 0:
            break
        own = unpack(constants[j % constants.shape[0]])
        step = frame(own, now)
        if not pulses_and_reset_commute(own):
            fire(own, step, now, rows, j)
        bounds[j] = due(own, step, now, rows, j)
        sources[count] = j
        count += 1
        if bounds[j] < edge:
            size = push(heap, neurons, size, bounds[j], j)
        size = pulse(constants, unpack, net, j, now, rows, bounds, edge, heap, neurons, size)
    return size, count


@njit(**PLAIN)
@no_type_check
def move_reference(constants, unpack, rows, bounds, now, schedule):
    """Make `now` the reference time of all neurons."""
    shared = constants.shape[0] == 1
    own = unpack(constants[0])
    step = frame(own, now)
    for j in range(bounds.shape[0]):
        if not shared:
            own = unpack(constants[j])
            step = frame(own, now)
        rebase(own, step, now, rows, j)
        bounds[j] -= now
    schedule[CLOCK] += now


@njit(**PLAIN)
@no_type_check
def empty_lists(neurons):
    """Room for the heap (times, neurons) and for those that are held (keys, neurons)."""
    held_keys, held = np.empty(neurons), np.empty(neurons, np.int32)
    return np.empty(2 * neurons + 64), np.empty(2 * neurons + 64, np.int32), held_keys, held


@njit(**PLAIN)
@no_type_check
def leave_all(constants, unpack, rows, now, final):
    """The states of all neurons at `now`; whether they are numbers."""
    fine = True
    for j in range(final.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        leave(own, frame(own, now), now, rows, j, final[j])
        for v in range(final.shape[1]):
            fine &= np.isfinite(final[j, v])
    return fine


@njit(**PLAIN)
@no_type_check
def run(constants, unpack, net, inlets, states, times, channels, limits, found, sources, preceding, final, work):
    """The trial: flags, the time reached and the number of spikes. `net` and `inlets`: starts, targets, weights."""
    inputs, flags = checked_inputs(times, channels, limits[DURATION], inlets[0].shape[0] - 1)
    size, cursor, used, now, fine = 0, 0, 0, 0.0, True
    stamp, stamped = 0.0, -1.0  # time of the last event, in all digits, and seen from the reference time
    rows = np.empty((states.shape[0], columns(unpack(constants[0]))))
    bounds, schedule = np.empty(states.shape[0]), np.zeros(4)
    lists = empty_lists(states.shape[0])
    heap, neurons, _, _ = lists
    start(constants, unpack, states, rows, bounds, schedule)
    while fine and flags == 0:
        edge = schedule[EDGE]
        upcoming, size = first_due(constants, unpack, rows, bounds, edge, heap, neurons, size, work)
        arrival = (times[used] if used < inputs else limits[DURATION]) - schedule[CLOCK]
        until = min(upcoming, arrival)
        if until >= edge:
            now = max(now, edge)
            size, fine = next_window(constants, unpack, rows, bounds, now, arrival, schedule, heap, neurons, work)
            if size == 0 and arrival == np.inf:
                flags |= SILENT
        elif until > limits[RANGE]:
            move_reference(constants, unpack, rows, bounds, until, schedule)
            now, stamped = 0.0, stamped - until
            arrival -= until
            size, fine = next_window(constants, unpack, rows, bounds, now, arrival, schedule, heap, neurons, work)
        elif upcoming <= arrival and cursor == found.shape[0]:
            flags |= BUDGET_EXHAUSTED
        elif upcoming <= arrival:
            now = until
            size, count = volley(
                constants, unpack, net, now, rows, bounds, edge, lists, size, found[cursor:], sources[cursor:], work
            )
            stamp = stamp if now == stamped else now + schedule[CLOCK]
            stamped = now
            found[cursor : cursor + count].fill(stamp)
            preceding[cursor : cursor + count].fill(used)
            cursor += count
            if cursor == found.shape[0] and limits[DURATION] == np.inf:
                break
        else:
            now = until
            if used == inputs:
                break
            size = pulse(constants, unpack, inlets, channels[used], now, rows, bounds, edge, heap, neurons, size)
            stamp, stamped = times[used], now
            used += 1
    work[USED] = used
    fine &= leave_all(constants, unpack, rows, now, final)
    return flags | (0 if fine else NOT_FINITE), now + schedule[CLOCK], cursor


@njit(**PLAIN)
@no_type_check
def run_trial(
    unpack,
    constants,
    starts,
    targets,
    weights,
    in_starts,
    in_targets,
    in_weights,
    states,
    times,
    channels,
    limits,
    found,
    sources,
    ordinals,
    counts,
    final,
    flags,
    end,
    work,
    preceding,
):
    """The trial, its results emptied before and the ordinals of its spikes counted after."""
    found.fill(np.inf)
    for array in (sources, ordinals, counts, preceding):
        array.fill(0)
    work.fill(0)
    net, inlets = (starts, targets, weights), (in_starts, in_targets, in_weights)
    flags[0], end[0], spikes = run(
        constants, unpack, net, inlets, states, times, channels, limits, found, sources, preceding, final, work
    )
    for k in range(spikes):
        ordinals[k] = counts[sources[k]]
        counts[sources[k]] += 1


CONNECTIONS = {"starts": whole("starts"), "targets": whole("connections"), "weights": number("values")}
NETWORK = {
    "constants": constants("neurons_or_1 constants"),
    **CONNECTIONS,
    "in_starts": whole("in_starts"),
    "in_targets": whole("in_connections"),
    "in_weights": number("in_values"),
    "states": number("neurons variables"),
    "times": number("inputs"),
    "channels": whole("inputs"),
    "limits": number("2"),
}
RUN = Kernel(
    Buffers(
        f"{__name__}.RUN",
        common=NETWORK,
        results={
            "spikes": number("spikes"),
            "sources": whole("spikes"),
            "ordinals": whole("spikes"),
            "counts": whole("neurons"),
            "final": number("neurons variables"),
            "flags": whole("1"),
            "end": number("1"),
            "work": long("4"),
            "preceding": whole("spikes"),
        },
    ),
    whole=run_trial,
)
