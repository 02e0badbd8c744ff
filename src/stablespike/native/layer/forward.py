"""One layer of independent neurons: the loop over its input events.

Trials are spread over threads. A trial is handled neuron block by neuron block, so that everything that an inner loop
touches stays in the nearest cache; a block meets all input events before the next one starts.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.conventions import BUDGET_EXHAUSTED, INPUT_SOURCES, INPUT_TIMES, NOT_FINITE
from stablespike.native.kernel import Buffers, Kernel, constants, number, whole
from stablespike.native.overrides.lines import (
    PLAIN,
    flow,
    jump,
    load,
    may_spike,
    propagator,
    reset,
    scale,
    scale_of,
    store,
    wait_within,
)

WIDTH = 128  # neurons of a block
RESCALE_EVERY = 8  # events


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
            flags |= NOT_FINITE if times[k] != times[k] else 0
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
        pause = wait_within(constants, state, until - now)
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
def volleys(times):
    """Where each volley, a run of equal input times, begins; then the number of inputs."""
    bounds = np.empty(times.shape[0] + 1, np.int64)
    count = 0
    for k in range(times.shape[0]):
        if k == 0 or times[k] != times[k - 1]:
            bounds[count] = k
            count += 1
    bounds[count] = times.shape[0]
    return bounds[: count + 1]


@njit(**PLAIN)
@no_type_check
def summed_rows(weights, first, sources, pulses):
    """Sum over a volley of the weights of a block: pulses at one time add up, whatever the neuron."""
    width, full = pulses.shape[0], sources.shape[0] // 4 * 4
    pulses.fill(0)
    for k in range(0, full, 4):
        a, b = weights[sources[k]][first:], weights[sources[k + 1]][first:]
        c, d = weights[sources[k + 2]][first:], weights[sources[k + 3]][first:]
        for j in range(width):
            pulses[j] += (a[j] + b[j]) + (c[j] + d[j])
    for k in range(full, sources.shape[0]):
        row = weights[sources[k]][first:]
        for j in range(width):
            pulses[j] += row[j]


@njit(**PLAIN)
@no_type_check
def pulse(constants, block, pulses, volley):
    """A volley reaches a block, in place; lengths without meaning are taken out now and then."""
    for j in range(block.shape[1]):
        store(constants, block, j, jump(constants, load(constants, block, j), pulses[j]))
    if volley % RESCALE_EVERY == RESCALE_EVERY - 1:
        normalise(constants, block)


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
def run_block(constants, weights, first, times, sources, bounds, duration, state, trains, counts, watch):
    """A block, whose first neuron is `first`, through the trial; when its budget ran out and it stopped being finite.

    The latter is looked for after every volley if `watch`, else only at the end; both times are inf if all is well.
    """
    overflow, broken = np.inf, np.inf
    now = duration - duration
    spare, pulses = np.empty_like(state), np.empty(state.shape[1], state.dtype)
    for v in range(bounds.shape[0]):
        last = v == bounds.shape[0] - 1
        until = duration if last else times[bounds[v]]
        excess = pass_interval(constants, state, spare, now, until, trains, counts)
        overflow = excess if excess < overflow else overflow
        copy(state, spare)
        if not last:
            summed_rows(weights, first, sources[bounds[v] : bounds[v + 1]], pulses)
            pulse(constants, state, pulses, v)
        now = until
        if (watch or last) and broken == np.inf and not all_finite(state):
            broken = now
    normalise(constants, state)
    return overflow, broken


@njit(**PLAIN)
@no_type_check
def run_trial(constants, weights, initial, times, sources, duration, spikes, counts, final):
    """One trial of the layer, block by block; its flags and the time up to which it can be used."""
    events, flags = checked_inputs(times, sources, duration, weights.shape[0])
    times, sources, bounds = times[:events], sources[:events], volleys(times[:events])
    end = duration
    spikes.fill(np.inf)
    counts.fill(0)
    for first in range(0, initial.shape[0], WIDTH):
        past = min(first + WIDTH, initial.shape[0])
        state = np.empty((initial.shape[1], past - first), initial.dtype)
        trains, tally = spikes[first:past], counts[first:past]
        for watch in range(2):  # a second time, with a close watch, if it did not stay finite
            copy(state, initial[first:past].T)
            tally.fill(0)
            overflow, broken = run_block(
                constants, weights, first, times, sources, bounds, duration, state, trains, tally, watch
            )
            if broken == np.inf:
                break
        flags |= BUDGET_EXHAUSTED if overflow != np.inf else 0
        flags |= NOT_FINITE if broken != np.inf else 0
        end = overflow if overflow < end else end
        end = broken if broken < end else end
        copy(final[first:past].T, state)
    return flags, end


NETWORK = {  # operands of a layer in one trial
    "constants": constants(),
    "weights": number("channels neurons"),
    "states": number("neurons variables"),
    "times": number("inputs"),
    "sources": whole("inputs"),
    "duration": number(""),
}
RUN = Kernel(
    Buffers(
        f"{__name__}.RUN",
        rows=NETWORK,
        results={
            "spikes": number("neurons capacity"),
            "counts": whole("neurons"),
            "final": number("neurons variables"),
            "flags": whole(""),
            "ends": number(""),
        },
    ),
    trial=run_trial,
)
