"""Adjoint of the layer kernel: the cotangents run back through the trial.

The states that they meet on the way are not kept from the forward pass: a block of neurons is replayed from its initial
state into a buffer of the thread, which the next block overwrites. Between the passes nothing is stored, and the
replayed states are those of the forward pass to the last bit, which a reversal from the final state could not promise.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from stablespike.dynamics.kernels.layer import (
    CONSTANTS,
    DURATION,
    PLAIN,
    RESCALE_EVERY,
    ROWS,
    SOURCES,
    STATES,
    TIMES,
    WEIGHTS,
    WIDTH,
    checked_inputs,
    copy,
    pass_interval,
    pulse,
)
from stablespike.dynamics.kernels.lines import (
    add_scaled,
    flow,
    flow_pullback,
    jump,
    jump_pullback,
    load,
    propagator,
    reset,
    reset_pullback,
    scale,
    scale_of,
    store,
    wait,
    wait_gradient,
)
from stablespike.dynamics.native import ARGUMENTS, RESULTS, cube, matrix, vector

SPIKE_BARS, STATE_BARS, MEMBERS = ROWS + 1, ROWS + 2, ROWS + 3


@njit(error_model="numpy", fastmath={"reassoc"})
@no_type_check
def total(numbers):
    """Sum in an order that the compiler fixes."""
    result = numbers[0] - numbers[0]
    for number in numbers:
        result += number
    return result


@njit(**PLAIN)
@no_type_check
def spikes_pullback(constants, start, now, until, bar, spike_bars, chain, pauses):
    """Back through an interval with `len(spike_bars)` own spikes: cotangents of the state, `now` and `until`.

    `chain` and `pauses` are space for the states after each spike and the times between them.
    """
    fired = spike_bars.shape[0]
    store(constants, chain, 0, start)
    left = until - now
    for i in range(fired):
        state = load(constants, chain, i)
        pauses[i] = wait(constants, state)
        left -= pauses[i]
        store(constants, chain, i + 1, reset(constants, flow(constants, propagator(constants, pauses[i]), state)))
    state, step = load(constants, chain, fired), propagator(constants, left)
    bar, until_bar = flow_pullback(constants, step, state, flow(constants, step, state), bar)
    now_bar = -until_bar
    for i in range(fired - 1, -1, -1):
        state, step = load(constants, chain, i), propagator(constants, pauses[i])
        now_bar += spike_bars[i]
        at_spike = flow(constants, step, state)
        bar, pause_bar = flow_pullback(constants, step, state, at_spike, reset_pullback(constants, bar))
        bar = add_scaled(constants, bar, wait_gradient(constants, state), pause_bar + now_bar)
    return bar, now_bar, until_bar


@njit(**PLAIN)
@no_type_check
def interval_pullback(constants, start, end, now, until, fired, ordinals, spike_bars, bars, now_bars, until_bars):
    """Back through the interval from `now` to `until`, in place; `fired` own spikes of each neuron are in it."""
    capacity = spike_bars.shape[1]
    step = propagator(constants, until - now)
    hit = False
    for j in range(bars.shape[1]):
        hit |= fired[j] > 0
    if not hit:
        for j in range(bars.shape[1]):
            old, new = load(constants, start, j), load(constants, end, j)
            bar, until_bars[j] = flow_pullback(constants, step, old, new, load(constants, bars, j))
            now_bars[j] = -until_bars[j]
            store(constants, bars, j, bar)
        return
    chain, pauses = np.empty((bars.shape[0], capacity + 1), bars.dtype), np.empty(capacity, bars.dtype)
    for j in range(bars.shape[1]):
        ordinals[j] -= fired[j]
        mine = spike_bars[j, ordinals[j] : ordinals[j] + fired[j]]
        old, bar = load(constants, start, j), load(constants, bars, j)
        bar, now_bars[j], until_bars[j] = spikes_pullback(constants, old, now, until, bar, mine, chain, pauses)
        store(constants, bars, j, bar)


@njit(**PLAIN)
@no_type_check
def pulse_pullback(constants, before, row, event, bars, row_bars):
    """Back through an input spike, in place; its weights' cotangents are added to `row_bars`."""
    rescaled = event % RESCALE_EVERY == RESCALE_EVERY - 1
    for j in range(bars.shape[1]):
        old, bar = load(constants, before, j), load(constants, bars, j)
        if rescaled:
            bar = scale(constants, bar, scale_of(constants, jump(constants, old, row[j])))
        bar, weight_bar = jump_pullback(constants, old, row[j], bar)
        store(constants, bars, j, bar)
        row_bars[j] += weight_bar


@njit(**PLAIN)
@no_type_check
def replay(constants, weights, times, sources, duration, initial, record, fired, counts, trains):
    """Run a block again; `record[k]` is its state before input k (the last: at the end), `fired[k]` its spikes
    before.
    """
    now = duration - duration
    state = initial.copy()
    for k in range(times.shape[0] + 1):
        last = k == times.shape[0]
        until = duration if last else times[k]
        for j in range(counts.shape[0]):
            fired[k, j] = -counts[j]
        if until != now or last:
            pass_interval(constants, state, record[k], now, until, trains, counts)
        else:
            copy(record[k], state)
        for j in range(counts.shape[0]):
            fired[k, j] += counts[j]
        if not last:
            pulse(constants, record[k], state, weights[sources[k]], k)
        now = until


@njit(**PLAIN)
@no_type_check
def block_pullback(constants, weights, times, sources, duration, initial, spike_bars, bars, weight_bars, time_bars):
    """Cotangents of a block: `bars`, those of the final state, become those of the initial one, in place."""
    events, width = times.shape[0], bars.shape[1]
    record = np.empty((events + 1, *initial.shape), initial.dtype)
    fired = np.empty((events + 1, width), np.int32)
    counts, trains = np.zeros(width, np.int32), np.empty_like(spike_bars)
    replay(constants, weights, times, sources, duration, initial, record, fired, counts, trains)
    start, now_bars, until_bars = np.empty_like(initial), np.empty(width, bars.dtype), np.empty(width, bars.dtype)
    for j in range(width):
        factor = scale_of(constants, load(constants, record[events], j))
        store(constants, bars, j, scale(constants, load(constants, bars, j), factor))
    for k in range(events, -1, -1):
        if k < events:
            pulse_pullback(constants, record[k], weights[sources[k]], k, bars, weight_bars[sources[k]])
        now = times[k - 1] if k else duration - duration
        until = times[k] if k < events else duration
        wanted = time_bars.shape[0] > 0
        if until == now and k < events and not wanted:
            continue
        if k:
            pulse(constants, record[k - 1], start, weights[sources[k - 1]], k - 1)
        else:
            copy(start, initial)
        interval_pullback(
            constants, start, record[k], now, until, fired[k], counts, spike_bars, bars, now_bars, until_bars
        )
        if wanted and k < events:
            time_bars[k] += total(until_bars)
        if wanted and k:
            time_bars[k - 1] += total(now_bars)


@njit(**PLAIN)
@no_type_check
def trial_pullback(
    constants, weights, initial, times, sources, duration, spike_bars, final_bars, weight_bars, state_bars, time_bars
):
    """Cotangents of one trial; those of the weights are added, the others set."""
    events, _ = checked_inputs(times, sources, duration, weights.shape[0])
    times, sources = times[:events], sources[:events]
    time_bars.fill(0)
    for first in range(0, initial.shape[0], WIDTH):
        past = min(first + WIDTH, initial.shape[0])
        state = np.empty((initial.shape[1], past - first), initial.dtype)
        bars = np.empty_like(state)
        copy(state, initial[first:past].T)
        copy(bars, final_bars[first:past].T)
        block_pullback(
            constants,
            weights[:, first:past],
            times,
            sources,
            duration,
            state,
            spike_bars[first:past],
            bars,
            weight_bars[:, first:past],
            time_bars,
        )
        copy(state_bars[first:past].T, bars)


@njit(parallel=True, **PLAIN)
@no_type_check
def pull(
    unpack,
    constants,
    weights,
    states,
    times,
    sources,
    duration,
    rows,
    spike_bars,
    final_bars,
    members,
    weight_bars,
    state_bars,
    time_bars,
):
    """All trials: a thread takes the trials `members[group]` (-1 = none) one after the other, into sums of their
    own.
    """
    for group in prange(members.shape[0]):
        weight_bars[group].fill(0)
        for b in members[group]:
            if b >= 0:
                row = rows[b]
                trial_pullback(
                    unpack(constants[row[CONSTANTS]]),
                    weights[row[WEIGHTS]],
                    states[row[STATES]],
                    times[row[TIMES]],
                    sources[row[SOURCES]],
                    duration[row[DURATION]],
                    spike_bars[b],
                    final_bars[b],
                    weight_bars[group],
                    state_bars[b],
                    time_bars[b],
                )


@register_jitable
@no_type_check
def pull_entry(frame, unpack, dtype):
    """Arguments: those of the layer, then `SPIKE_BARS`, ... Results: cotangents of weights, states and input times."""
    pull(
        unpack,
        matrix(frame, ARGUMENTS, CONSTANTS, dtype),
        cube(frame, ARGUMENTS, WEIGHTS, dtype),
        cube(frame, ARGUMENTS, STATES, dtype),
        matrix(frame, ARGUMENTS, TIMES, dtype),
        matrix(frame, ARGUMENTS, SOURCES, np.int32),
        vector(frame, ARGUMENTS, DURATION, dtype),
        matrix(frame, ARGUMENTS, ROWS, np.int32),
        cube(frame, ARGUMENTS, SPIKE_BARS, dtype),
        cube(frame, ARGUMENTS, STATE_BARS, dtype),
        matrix(frame, ARGUMENTS, MEMBERS, np.int32),
        cube(frame, RESULTS, 0, dtype),
        cube(frame, RESULTS, 1, dtype),
        matrix(frame, RESULTS, 2, dtype),
    )
