"""Adjoint of a recurrent network on a GPU: a block of threads takes the cotangents of a trial back.

As `stablespike.native.events.replay`: states are found again along the list of spikes and inputs, without a look for
the next spike, first at the beginning of blocks of sqrt(events) events, then, from the last to the first, at the
events of one. A thread does this for its own neurons without a word to the others. With bar the cotangents and f the
right-hand side, the cotangent of an event's time is the change of the power sum(bar . f) across it, the one thing for
which threads meet. It reaches the state of a neuron that spiked once all spikes at that time are undone.
"""

import math
from collections.abc import Callable
from typing import no_type_check

from numba import njit
from numba.extending import register_jitable

from stablespike.native.cuda.arrays import Arrays, number, whole
from stablespike.native.cuda.network import NETWORK
from stablespike.native.cuda.steps import deliverable, flown, scaled, struck
from stablespike.native.cuda.team import meetings
from stablespike.native.overrides.lines import (
    PLAIN,
    add_scaled,
    can_be_reversed,
    distance,
    flow,
    flow_pullback,
    jump,
    jump_pullback,
    load,
    power,
    propagator,
    reset,
    reset_pullback,
    scale,
    scale_of,
    store,
    tangent,
    unreset,
    wait_gradient,
)


@njit(**PLAIN)
@no_type_check
def count_of(spikes):
    """How many spikes there are before the first inf."""
    low, high = 0, spikes.shape[0]
    while low < high:
        middle = (low + high) // 2
        if spikes[middle] - spikes[middle] == 0:
            low = middle + 1
        else:
            high = middle
    return low


@njit(**PLAIN)
@no_type_check
def spikes_next(train, arrivals, k, m):
    """Whether the event after k spikes and m inputs is a spike; at equal times spikes come first."""
    return k < train[2] and (m == arrivals[2] or train[0][k] <= arrivals[0][m])


@njit(**PLAIN)
@no_type_check
def before_that(train, arrivals, k, m):
    """Spikes and inputs before the last event of those, and whether it is a spike."""
    spiked = m == 0 or (k > 0 and train[0][k - 1] > arrivals[0][m - 1])
    return (k - 1 if spiked else k), (m if spiked else m - 1), spiked


@njit(**PLAIN)
@no_type_check
def play(constants, nets, train, arrivals, j, state, at, events, space, keeping):
    """Neuron j through events from `at` = (time, spikes, inputs): its state after them, and where that is.

    If `keeping`, the `space` takes the states that pulses met, and those at its own spikes before the reset.
    """
    (now, k, m), (met, spiking) = at, space
    for place in range(events):
        spiked = spikes_next(train, arrivals, k, m)
        until = train[0][k] if spiked else arrivals[0][m]
        source = train[1][k] if spiked else arrivals[1][m]
        if until > now:
            state = flown(constants, state, until - now)
        if spiked and source == j:
            if keeping:
                store(constants, spiking, place, state)
            state = reset(constants, state)
        if keeping:
            store(constants, met[place], j, state)
        weight = nets[0][source, j] if spiked else nets[1][source, j]
        state = struck(constants, state, weight)
        now = until
        if spiked:
            k += 1
        else:
            m += 1
    return state, (now, k, m)


@njit(**PLAIN)
@no_type_check
def mark_own(t, threads, constants, nets, train, arrivals, ends, marks, space, numbers):
    """States of a thread's neurons at the beginning of blocks; in `numbers` how far they miss their final states."""
    initial, final, duration = ends
    events, size = train[2] + arrivals[2], space[0].shape[0]
    worst = duration - duration
    for j in range(t, initial.shape[1], threads):
        state, at, block = scaled(constants, load(constants, initial, j)), (duration - duration, 0, 0), 0
        while block * size < events:
            store(constants, marks[block], j, state)
            left = min(size, events - block * size)
            state, at = play(constants, nets, train, arrivals, j, state, at, left, space, False)
            block += 1
        if duration > at[0]:
            state = flown(constants, state, duration - at[0])
        error = distance(constants, state, load(constants, final, j))
        worst = worst if error <= worst else error
    numbers[t] = worst


@njit(**PLAIN)
@no_type_check
def begin_own(t, threads, constants, final, final_bars, here, due):
    """Final states of a thread's neurons, and their cotangents without the part along the length."""
    state, bars, _ = here
    for j in range(t, state.shape[1], threads):
        one = load(constants, final, j)
        store(constants, state, j, one)
        store(constants, bars, j, tangent(constants, one, load(constants, final_bars, j)))
        due[j] = 0


@njit(**PLAIN)
@no_type_check
def settle(constants, j, here, due, start, initial, dt, at_zero):
    """What the spike time of neuron j owes reaches its state, then back through a free flow from `start`."""
    state, bars, owed = here
    after, bar = load(constants, state, j), load(constants, bars, j)
    reversible = can_be_reversed(constants)
    if due[j] != 0 and reversible:
        after = scaled(constants, load(constants, initial, j)) if at_zero else after
        bar = add_scaled(constants, bar, wait_gradient(constants, after), owed[j])
    if dt > 0:
        step = propagator(constants, dt)
        bar = scale(constants, bar, scale_of(constants, flow(constants, step, start)))
        bar, _ = flow_pullback(constants, step, start, after, bar)
    if due[j] != 0 and not reversible:
        bar = add_scaled(constants, bar, wait_gradient(constants, start), owed[j])
    due[j] = 0
    store(constants, state, j, start)
    store(constants, bars, j, bar)


@njit(**PLAIN)
@no_type_check
def undo(constants, j, here, before, weight, spiking):
    """Neuron j back through a pulse that met it `before`, and through its own reset, if it is `spiking` (a state).

    The cotangent of the weight, and by how much its power changed.
    """
    state, bars, _ = here
    bar = load(constants, bars, j)
    after = power(constants, load(constants, state, j), bar)
    bar = scale(constants, bar, scale_of(constants, jump(constants, before, weight)))
    bar, weight_bar = jump_pullback(constants, before, weight, bar)
    if spiking[0]:
        before = unreset(constants, spiking[1])
        bar = reset_pullback(constants, before, bar)
    store(constants, state, j, before)
    store(constants, bars, j, bar)
    return weight_bar, power(constants, before, bar) - after


@njit(**PLAIN)
@no_type_check
def undo_own(t, threads, constants, event, pair, space, here, numbers):
    """A thread's neurons back through the event at a place of the block; the change of their power in `numbers`."""
    (place, source, spiked), (row, row_bars), (met, kept) = event, pair, space
    numbers[t] = row[0] - row[0]
    for j in range(t, row.shape[0], threads):
        own = spiked and source == j
        at = place if own else 0
        weight_bar, change = undo(
            constants, j, here, load(constants, met[place], j), row[j], (own, load(constants, kept, at))
        )
        row_bars[j] += weight_bar
        numbers[t] += change


def block_pull(threads: int, barrier: Callable) -> Callable:
    """The function of a block for one event backwards, and for what comes before: the flow to the event after it."""
    total = meetings(threads, barrier).total

    @register_jitable
    @no_type_check
    def pull(first, past, constants, pair, event, later, initial, space, here, due, shared):
        place, (dt, together, at_zero) = event[0], later
        for t in range(first, past):
            if not together:
                for j in range(t, due.shape[0], threads):
                    start = struck(constants, load(constants, space[0][place], j), pair[0][j])
                    settle(constants, j, here, due, start, initial, dt, at_zero)
            undo_own(t, threads, constants, event, pair, space, here, shared[0])
        return total(first, past, shared)

    return pull


def trial_pull(threads: int, barrier: Callable) -> Callable:
    """The function of a block for one trial backwards, from final states to initial ones."""
    pull = block_pull(threads, barrier)

    @register_jitable
    @no_type_check
    def back(first, past, constants, nets, pools, train, arrivals, ends, marks, space, here, due, bars_of, shared):
        (initial, _, duration), (spike_bars, time_bars) = ends, bars_of
        zero, size = duration - duration, space[0].shape[0]
        k, m, later, spiked_later = train[2], arrivals[2], duration, False
        block = (k + m - 1) // size
        while k + m > 0:
            begin_k, begin_m = k, m
            for _ in range(k + m - block * size):
                begin_k, begin_m, _spiked = before_that(train, arrivals, begin_k, begin_m)
            began = zero
            if begin_k > 0:
                began = max(began, train[0][begin_k - 1])
            if begin_m > 0:
                began = max(began, arrivals[0][begin_m - 1])
            for t in range(first, past):
                for j in range(t, due.shape[0], threads):
                    state, at = load(constants, marks[block], j), (began, begin_k, begin_m)
                    play(constants, nets, train, arrivals, j, state, at, k + m - block * size, space, True)
            while k + m > block * size:
                k, m, spiked = before_that(train, arrivals, k, m)
                now = train[0][k] if spiked else arrivals[0][m]
                source = train[1][k] if spiked else arrivals[1][m]
                row = nets[0][source] if spiked else nets[1][source]
                row_bars = pools[0][source] if spiked else pools[1][source]
                event = (k + m - block * size, source, spiked)
                after = (later - now, spiked and spiked_later and now == later, later == 0)
                bar = pull(first, past, constants, (row, row_bars), event, after, initial, space, here, due, shared)
                for t in range(first, past):
                    if spiked and source % threads == t:
                        due[source], here[2][source] = 1, spike_bars[k] + bar
                    elif not spiked and t == 0 and m < time_bars.shape[0]:
                        time_bars[m] = bar
                later, spiked_later = now, spiked
            block -= 1
        for t in range(first, past):
            for j in range(t, due.shape[0], threads):
                start = scaled(constants, load(constants, initial, j))
                settle(constants, j, here, due, start, initial, later, later == 0)

    return back


@njit(**PLAIN)
@no_type_check
def empty_own(t, threads, weight_bars, input_weight_bars):
    """Sums of a thread's neurons are zero."""
    for j in range(t, weight_bars.shape[1], threads):
        for i in range(weight_bars.shape[0]):
            weight_bars[i, j] = 0
        for i in range(input_weight_bars.shape[0]):
            input_weight_bars[i, j] = 0


@njit(**PLAIN)
@no_type_check
def leave_own(t, threads, constants, initial, bars, state_bars, fine):
    """Cotangents of the initial states of a thread's neurons; zero after a run that failed."""
    for j in range(t, bars.shape[1], threads):
        one = scale(constants, load(constants, bars, j), scale_of(constants, load(constants, initial, j)))
        store(constants, state_bars, j, one)
        if not fine:
            for v in range(state_bars.shape[0]):
                state_bars[v, j] = 0


def adjoint(unpack: Callable, threads: int, barrier: Callable) -> Callable:
    """`one(block, first, past, arrays, here, shared)`: threads `first` to `past` - 1 take a group of trials back.

    `arrays`: those of `ADJOINT`; `here`: states and cotangents `[variables, neurons]`, what spike times owe
    `[neurons]`, and `due` whole numbers of the block, `shared` the places of `team`.
    """
    back, threads_meet = trial_pull(threads, barrier), barrier

    @register_jitable
    @no_type_check
    def one(block, first, past, arrays, here, shared):
        constants, weights, input_weights, states, times, sources, durations, table = arrays[:8]
        spikes, spike_sources, final, flags, spike_bars, final_bars, members, marks, met, kept = arrays[8:18]
        weight_bars, input_weight_bars, state_bars, time_bars, errors = arrays[18:]
        pools, places, due = (weight_bars[block], input_weight_bars[block]), here[:3], here[3]
        for t in range(first, past):
            empty_own(t, threads, weight_bars[block], input_weight_bars[block])
        for member in range(members.shape[1]):
            b = members[block, member]
            if b < 0:
                continue
            row, mine = table[b], unpack(constants[table[b, 0]])
            duration, initial = durations[row[6]], states[row[3]]
            inputs, _ = deliverable(times[row[4]], sources[row[5]], duration, input_weights.shape[1])
            train = spikes[b], spike_sources[b], count_of(spikes[b])
            arrivals, nets = (times[row[4]], sources[row[5]], inputs), (weights[row[1]], input_weights[row[2]])
            ends, space = (initial, final[b], duration), (met[block], kept[block])
            for t in range(first, past):
                begin_own(t, threads, mine, final[b], final_bars[b], places, due)
                for k in range(t, time_bars.shape[1], threads):
                    time_bars[b, k] = 0
                shared[0][t] = duration - duration
            threads_meet()
            if flags[b] == 0:
                for t in range(first, past):
                    mark_own(t, threads, mine, nets, train, arrivals, ends, marks[block], space, shared[0])
                threads_meet()
            for t in range(first, past):
                if t == 0:
                    errors[b] = largest(shared[0])
            threads_meet()
            if flags[b] == 0:
                bars_of = spike_bars[b], time_bars[b]
                back(
                    first,
                    past,
                    mine,
                    nets,
                    pools,
                    train,
                    arrivals,
                    ends,
                    marks[block],
                    space,
                    places,
                    due,
                    bars_of,
                    shared,
                )
            for t in range(first, past):
                leave_own(t, threads, mine, initial, here[1], state_bars[b], flags[b] == 0)

    return one


@njit(**PLAIN)
@no_type_check
def largest(numbers):
    """The largest; nan, once it is there, stays."""
    worst = numbers[0]
    for x in numbers:
        worst = worst if x <= worst else x
    return worst


ADJOINT = Arrays(
    NETWORK
    | {
        "spikes": number("trials events"),
        "spike_sources": whole("trials events"),
        "final": number("trials variables neurons"),
        "flags": whole("trials"),
        "spike_bars": number("trials events"),
        "final_bars": number("trials variables neurons"),
        "members": whole("groups members"),  # trials whose cotangents of weights are summed; -1 = none
    },
    {
        "marks": number("groups blocks variables neurons"),  # states at the beginning of blocks of events
        "met": number("groups size variables neurons"),  # states that the pulses of a block met
        "kept": number("groups variables size"),  # states at the spikes of a block
        "weight_bars": number("groups neurons neurons"),
        "input_weight_bars": number("groups channels neurons"),
        "state_bars": number("trials variables neurons"),
        "time_bars": number("trials wanted"),
        "errors": number("trials"),  # how far the replay missed the final state
    },
)


def block_sizes(events: int, inputs: int) -> tuple[int, int]:
    """Events of a block, and number of blocks, of trials of at most so many spikes and inputs."""
    size = max(1, math.isqrt(max(events + inputs - 1, 0)) + 1)
    return size, max(1, -(-(events + inputs) // size))
