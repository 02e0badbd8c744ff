"""One layer of independent neurons: the loop over its input events.

Trials are spread over threads. A trial is handled neuron block by neuron block, so that everything that an inner loop
touches stays in the nearest cache; a block meets all input events before the next one starts.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from stablespike.dynamics.kernels.lines import (
    flow,
    jump,
    load,
    may_spike,
    propagator,
    reset,
    scale,
    scale_of,
    store,
    wait,
)
from stablespike.dynamics.native import ARGUMENTS, RESULTS, cube, matrix, vector

WIDTH = 32  # neurons of a block
RESCALE_EVERY = 8  # events
BUDGET_EXHAUSTED, NOT_FINITE, INPUT_TIMES, INPUT_SOURCES = 1, 2, 4, 8
PLAIN = {"error_model": "numpy", "fastmath": {"contract"}}
CONSTANTS, WEIGHTS, STATES, TIMES, SOURCES, DURATION, ROWS = range(7)


@njit(**PLAIN)
@no_type_check
def copy(to, source):
    """`to[:] = source` for a block (numba's own assignment takes half a minute to compile)."""
    for v in range(to.shape[0]):
        for j in range(to.shape[1]):
            to[v, j] = source[v, j]


@njit(**PLAIN)
@no_type_check
def checked_inputs(times, sources, duration, channels):
    """Number of input spikes up to the end of the trial, and the flags of malformed ones (then none is delivered)."""
    events, flags = 0, 0
    for k in range(times.shape[0]):
        if not times[k] >= 0 or (k > 0 and not times[k] >= times[k - 1]):
            flags |= INPUT_TIMES
        if np.isfinite(times[k]) and not 0 <= sources[k] < channels:
            flags |= INPUT_SOURCES
        if times[k] <= duration:
            events = k + 1
    return (0 if flags else events), flags


@njit(**PLAIN)
@no_type_check
def through_spikes(constants, state, now, until, train, count):
    """Exact passage of one neuron through any number of its spikes, appended to `train` while there is room."""
    overflow = np.inf
    while True:
        pause = wait(constants, state)
        if not now + pause <= until:
            break
        state = reset(constants, flow(constants, propagator(constants, pause), state))
        now = now + pause
        if count < train.shape[0]:
            train[count] = now
        count += 1
        if count > train.shape[0]:
            overflow = now
            break
    return flow(constants, propagator(constants, until - now), state), count, overflow


@njit(**PLAIN)
@no_type_check
def pass_interval(constants, before, after, now, until, trains, counts):
    """Flow of a block from `now` to `until`, own spikes included; the time at which a spike budget ran out, or inf."""
    step = propagator(constants, until - now)
    hit = False
    for j in range(before.shape[1]):
        old = load(constants, before, j)
        new = flow(constants, step, old)
        hit |= may_spike(constants, step, old, new)
        store(constants, after, j, new)
    overflow = np.inf
    if hit:
        for j in range(before.shape[1]):
            old = load(constants, before, j)
            if may_spike(constants, step, old, load(constants, after, j)):
                new, counts[j], excess = through_spikes(constants, old, now, until, trains[j], counts[j])
                store(constants, after, j, new)
                overflow = excess if excess < overflow else overflow
    return overflow


@njit(**PLAIN)
@no_type_check
def pulse(constants, before, after, row, event):
    """An input spike with the weights `row` reaches a block; lengths without meaning are taken out now and then."""
    for j in range(before.shape[1]):
        store(constants, after, j, jump(constants, load(constants, before, j), row[j]))
    if event % RESCALE_EVERY == RESCALE_EVERY - 1:
        normalise(constants, after)


@njit(**PLAIN)
@no_type_check
def normalise(constants, block):
    """Scale every state of a block to length one, where length has no meaning."""
    for j in range(block.shape[1]):
        state = load(constants, block, j)
        store(constants, block, j, scale(constants, state, scale_of(constants, state)))


@njit(**PLAIN)
@no_type_check
def all_finite(block):
    """Whether every number of a block is finite."""
    total = block[0, 0]
    for v in range(block.shape[0]):
        for j in range(block.shape[1]):
            total += block[v, j] - block[v, j]
    return np.isfinite(total)


@njit(**PLAIN)
@no_type_check
def run_block(constants, weights, times, sources, duration, state, trains, counts, watch):
    """A block through the whole trial, in place; when its spike budget ran out and when it stopped being finite (inf).

    The latter is looked for after every event if `watch`, else only at the end.
    """
    overflow, broken = np.inf, np.inf
    now = duration - duration
    spare = np.empty_like(state)
    for k in range(times.shape[0] + 1):
        last = k == times.shape[0]
        until = duration if last else times[k]
        if until != now or last:
            excess = pass_interval(constants, state, spare, now, until, trains, counts)
            overflow = excess if excess < overflow else overflow
            copy(state, spare)
        if not last:
            pulse(constants, state, state, weights[sources[k]], k)
        now = until
        if (watch or last) and not np.isfinite(broken) and not all_finite(state):
            broken = now if watch else -np.inf
    normalise(constants, state)
    return overflow, broken


@njit(**PLAIN)
@no_type_check
def run_trial(constants, weights, initial, times, sources, duration, spikes, counts, final):
    """One trial of the layer, block by block; its flags and the time up to which it can be used."""
    events, flags = checked_inputs(times, sources, duration, weights.shape[0])
    times, sources = times[:events], sources[:events]
    end = duration
    spikes.fill(np.inf)
    counts.fill(0)
    for first in range(0, initial.shape[0], WIDTH):
        past = min(first + WIDTH, initial.shape[0])
        state = np.empty((initial.shape[1], past - first), initial.dtype)
        here, trains, tally = weights[:, first:past], spikes[first:past], counts[first:past]
        copy(state, initial[first:past].T)
        overflow, broken = run_block(constants, here, times, sources, duration, state, trains, tally, 0)
        if broken != np.inf:
            copy(state, initial[first:past].T)
            tally.fill(0)
            overflow, broken = run_block(constants, here, times, sources, duration, state, trains, tally, 1)
        flags |= BUDGET_EXHAUSTED if overflow != np.inf else 0
        flags |= NOT_FINITE if broken != np.inf else 0
        end = overflow if overflow < end else end
        end = broken if broken < end else end
        copy(final[first:past].T, state)
    return flags, end


@njit(parallel=True, **PLAIN)
@no_type_check
def run(unpack, constants, weights, states, times, sources, duration, rows, spikes, counts, final, flags, ends):
    """All trials; `rows` `[trials, operands]` says which row of each operand a trial uses."""
    for b in prange(rows.shape[0]):
        row = rows[b]
        flags[b], ends[b] = run_trial(
            unpack(constants[row[CONSTANTS]]),
            weights[row[WEIGHTS]],
            states[row[STATES]],
            times[row[TIMES]],
            sources[row[SOURCES]],
            duration[row[DURATION]],
            spikes[b],
            counts[b],
            final[b],
        )


@register_jitable
@no_type_check
def run_entry(frame, unpack, dtype):
    """Arguments: see `CONSTANTS` ... `ROWS`. Results: spike times, counts, final states, flags, ends."""
    run(
        unpack,
        matrix(frame, ARGUMENTS, CONSTANTS, dtype),
        cube(frame, ARGUMENTS, WEIGHTS, dtype),
        cube(frame, ARGUMENTS, STATES, dtype),
        matrix(frame, ARGUMENTS, TIMES, dtype),
        matrix(frame, ARGUMENTS, SOURCES, np.int32),
        vector(frame, ARGUMENTS, DURATION, dtype),
        matrix(frame, ARGUMENTS, ROWS, np.int32),
        cube(frame, RESULTS, 0, dtype),
        matrix(frame, RESULTS, 1, np.int32),
        cube(frame, RESULTS, 2, dtype),
        vector(frame, RESULTS, 3, np.int32),
        vector(frame, RESULTS, 4, dtype),
    )
