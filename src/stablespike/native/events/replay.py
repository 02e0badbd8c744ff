"""Adjoint of the network kernel for trials whose reversal loses its digits: their states are found forwards again.

The trial is repeated along its list of spikes and inputs, without a search for the next spike, in blocks of about as
many events as there are blocks: first the state at the beginning of each block is kept, then, from the last block to
the first, the states at the events of one block. So the space is that of 2 sqrt(events) states, and the time that of
two more runs. The difference from the final state of the first run is the error.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.events.forward import flow_all
from stablespike.native.layer.forward import checked_inputs, copy
from stablespike.native.overrides.lines import (
    INLINED,
    PLAIN,
    add_scaled,
    can_be_reversed,
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
    unreset,
    wait_gradient,
)


@njit(**INLINED)
@no_type_check
def merged(spikes, times):
    """Events in order, spike k as k, input m as -1 - m; at equal times spikes come first."""
    events = np.empty(spikes.shape[0] + times.shape[0], np.int64)
    k, m = 0, 0
    while k + m < events.shape[0]:
        if m == times.shape[0] or (k < spikes.shape[0] and spikes[k] <= times[m]):
            events[k + m] = k
            k += 1
        else:
            events[k + m] = -1 - m
            m += 1
    return events


@njit(**INLINED)
@no_type_check
def block_bounds(events, spikes):
    """Where each block of events begins, then their number; spikes at one time are in one block."""
    size, count = int(np.ceil(np.sqrt(events.shape[0]))), 0
    bounds = np.empty(events.shape[0] + 2, np.int64)
    bounds[0] = 0
    for place in range(1, events.shape[0]):
        one, other = events[place - 1], events[place]
        together = one >= 0 and other >= 0 and spikes[one] == spikes[other]
        if place - bounds[count] >= size and not together:
            count += 1
            bounds[count] = place
    bounds[count + 1] = events.shape[0]
    return bounds[: count + 2]


@njit(**PLAIN)
@no_type_check
def time_of(event, train, arrivals):
    """When an event happened."""
    return train[0][event] if event >= 0 else arrivals[0][-1 - event]


@njit(**PLAIN)
@no_type_check
def row_of(event, nets, train, arrivals):
    """The weights of an event's pulses, of `nets`: recurrent and input weights, or their cotangents."""
    return nets[0][train[1][event]] if event >= 0 else nets[1][arrivals[1][-1 - event]]


@njit(**PLAIN)
@no_type_check
def strike(constants, state, row):
    """A pulse with the weights `row` reaches the network, in place."""
    for j in range(state.shape[1]):
        new = jump(constants, load(constants, state, j), row[j])
        store(constants, state, j, scale(constants, new, scale_of(constants, new)))


@njit(**PLAIN)
@no_type_check
def play(constants, nets, train, arrivals, events, state, now, met, spiking):
    """From `now` through the events, in place; `met` keeps the states that their pulses met, while it has room.

    `spiking` `[variables, events]` the states of neurons at their spikes, before the reset.
    """
    for place in range(events.shape[0]):
        event = events[place]
        until = time_of(event, train, arrivals)
        if until > now:
            flow_all(constants, state, until - now)
        if event >= 0:
            j = train[1][event]
            mine = load(constants, state, j)
            if place < met.shape[0]:
                store(constants, spiking, place, mine)
            store(constants, state, j, reset(constants, mine))
        if place < met.shape[0]:
            copy(met[place], state)
        strike(constants, state, row_of(event, nets, train, arrivals))
        now = until
    return now


@njit(**PLAIN)
@no_type_check
def unstrike(constants, met, bars, row, row_bars):
    """Back through a pulse that met these states: cotangents in place, those of the weights are added."""
    for j in range(met.shape[1]):
        before = load(constants, met, j)
        bar = scale(constants, load(constants, bars, j), scale_of(constants, jump(constants, before, row[j])))
        bar, weight_bar = jump_pullback(constants, before, row[j], bar)
        store(constants, bars, j, bar)
        row_bars[j] += weight_bar


@njit(**PLAIN)
@no_type_check
def unflow(constants, before, state, bars, dt):
    """Back through a free flow from `before` to `state`, both in place."""
    if dt > 0:
        step = propagator(constants, dt)
        for j in range(state.shape[1]):
            start = load(constants, before, j)
            bar = scale(constants, load(constants, bars, j), scale_of(constants, flow(constants, step, start)))
            bar, _ = flow_pullback(constants, step, start, load(constants, state, j), bar)
            store(constants, bars, j, bar)
    copy(state, before)


@njit(**PLAIN)
@no_type_check
def total_power(constants, state, bars):
    """sum(bar . f) over the network."""
    result = bars[0, 0] - bars[0, 0]
    for j in range(state.shape[1]):
        result += power(constants, load(constants, state, j), load(constants, bars, j))
    return result


@njit(**PLAIN)
@no_type_check
def undo(constants, nets, pools, train, arrivals, events, met, spiking, state, bars):
    """Back through the pulses, and the resets, of events at one time: the cotangents of their times by themselves."""
    time_bars = np.empty(events.shape[0], state.dtype)
    for place in range(events.shape[0] - 1, -1, -1):
        event = events[place]
        after = total_power(constants, state, bars)
        row, row_bars = row_of(event, nets, train, arrivals), row_of(event, pools, train, arrivals)
        unstrike(constants, met[place], bars, row, row_bars)
        copy(state, met[place])
        if event >= 0:
            j = train[1][event]
            at_spike = unreset(constants, load(constants, spiking, place))
            store(constants, state, j, at_spike)
            store(constants, bars, j, reset_pullback(constants, at_spike, load(constants, bars, j)))
        time_bars[place] = total_power(constants, state, bars) - after
    return time_bars


@njit(**PLAIN)
@no_type_check
def pull_waits(constants, initial, train, events, state, bars, time_bars, at_start):
    """Hand the cotangents of the times of simultaneous spikes to the states of their neurons, once all is undone."""
    for place in range(events.shape[0]):
        j = train[1][events[place]]
        if at_start:
            store(constants, state, j, load(constants, initial, j))
        gradient = wait_gradient(constants, load(constants, state, j))
        store(constants, bars, j, add_scaled(constants, load(constants, bars, j), gradient, time_bars[place]))


@njit(**PLAIN)
@no_type_check
def pull_whole_waits(constants, train, events, state, bars, time_bars):
    """As `pull_waits`, to the states from which the neurons waited: there a class says how long with any digits."""
    for place in range(events.shape[0]):
        j = train[1][events[place]]
        gradient = wait_gradient(constants, load(constants, state, j))
        store(constants, bars, j, add_scaled(constants, load(constants, bars, j), gradient, time_bars[place]))


@njit(**PLAIN)
@no_type_check
def pull_block(constants, nets, pools, train, arrivals, events, initial, began, begin, met, spiking, found):
    """Back through the events of a block, which began at the time `begin` in the state `began`.

    `met`: states that its pulses met; `spiking`: those of neurons at their spikes; `found`: state, cotangents, those of
    spike times (given) and input times.
    """
    state, bars, spike_bars, input_bars = found
    before, past = np.empty_like(state), events.shape[0]
    while past > 0:
        now, first = time_of(events[past - 1], train, arrivals), past - 1
        while first > 0 and events[past - 1] >= 0 and events[first - 1] >= 0:
            if train[0][events[first - 1]] != now:
                break
            first -= 1
        here = events[first:past]
        time_bars = undo(
            constants, nets, pools, train, arrivals, here, met[first:past], spiking[:, first:past], state, bars
        )
        if here[0] >= 0:
            time_bars += spike_bars[here[0] : here[0] + here.shape[0]]
            if can_be_reversed(constants):
                pull_waits(constants, initial, train, here, state, bars, time_bars, now == 0)
        elif -1 - here[0] < input_bars.shape[0]:
            input_bars[-1 - here[0]] = time_bars[0]
        copy(before, met[first - 1] if first > 0 else began)
        if first > 0:
            strike(constants, before, row_of(events[first - 1], nets, train, arrivals))
        unflow(constants, before, state, bars, now - (time_of(events[first - 1], train, arrivals) if first else begin))
        if here[0] >= 0 and not can_be_reversed(constants):
            pull_whole_waits(constants, train, here, state, bars, time_bars)
        past = first


@njit(**INLINED)
@no_type_check
def pull_along(constants, nets, pools, train, arrivals, duration, initial, found):
    """The whole trial, from cotangents of the final state to those of the initial one, in place: the final state.

    `train`, `arrivals`: times and sources of spikes and inputs; `found`: as for `pull_block`, its state the final one.
    """
    state, bars, _, _ = found
    events = merged(train[0], arrivals[0])
    bounds = block_bounds(events, train[0])
    blocks = bounds.shape[0] - 1
    starts, times = np.empty((blocks + 1, *initial.shape), initial.dtype), np.empty(blocks + 1, initial.dtype)
    largest = 0
    for block in range(blocks):
        largest = max(largest, bounds[block + 1] - bounds[block])
    met = np.empty((largest, *initial.shape), initial.dtype)
    spiking = np.empty((initial.shape[0], largest), initial.dtype)
    copy(starts[0], initial)
    times[0] = duration - duration
    for block in range(blocks):
        copy(starts[block + 1], starts[block])
        here, began = events[bounds[block] : bounds[block + 1]], times[block]
        times[block + 1] = play(constants, nets, train, arrivals, here, starts[block + 1], began, met[:0], spiking)
    end = starts[blocks].copy()
    flow_all(constants, end, duration - times[blocks])
    unflow(constants, starts[blocks], state, bars, duration - times[blocks])
    for block in range(blocks - 1, -1, -1):
        here, began = events[bounds[block] : bounds[block + 1]], starts[block]
        play(constants, nets, train, arrivals, here, began.copy(), times[block], met, spiking)
        pull_block(constants, nets, pools, train, arrivals, here, initial, began, times[block], met, spiking, found)
    return end


@njit(**INLINED)
@no_type_check
def inputs_within(times, channels, duration, count):
    """Times and channels of the inputs of the trial."""
    used, _ = checked_inputs(times, channels, duration, count)
    return times[:used], channels[:used]
