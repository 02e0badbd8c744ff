"""Adjoint of the layer kernel: the cotangents run back through the trial.

The states that they meet on the way are not kept from the forward pass: a block of neurons is replayed from its initial
state into a buffer of the thread, which the next block overwrites. Between the passes nothing is stored, and the
replayed states are those of the forward pass to the last bit, which a reversal from the final state could not promise.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.kernel import Buffers, Kernel, number
from stablespike.native.layer.forward import (
    NETWORK,
    RESCALE_EVERY,
    WIDTH,
    checked_inputs,
    copy,
    pass_interval,
    pulse,
    summed_rows,
    volleys,
)
from stablespike.native.overrides.lines import (
    PLAIN,
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
    tangent,
    wait_gradient,
    wait_within,
)


@njit(error_model="numpy", fastmath={"reassoc"})
@no_type_check
def total(numbers):
    """Sum in an order that the compiler fixes."""
    result = numbers[0] - numbers[0]
    for one in numbers:
        result += one
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
        pauses[i] = wait_within(constants, state, left)
        left -= pauses[i]
        store(constants, chain, i + 1, reset(constants, flow(constants, propagator(constants, pauses[i]), state)))
    state, step = load(constants, chain, fired), propagator(constants, left)
    bar, until_bar = flow_pullback(constants, step, state, flow(constants, step, state), bar)
    now_bar = -until_bar
    for i in range(fired - 1, -1, -1):
        state, step = load(constants, chain, i), propagator(constants, pauses[i])
        now_bar += spike_bars[i]
        at_spike = flow(constants, step, state)
        bar, pause_bar = flow_pullback(constants, step, state, at_spike, reset_pullback(constants, at_spike, bar))
        bar = add_scaled(constants, bar, wait_gradient(constants, state), pause_bar + now_bar)
    return bar, now_bar, until_bar


@njit(**PLAIN)
@no_type_check
def interval_pullback(constants, start, end, now, until, fired, ordinals, spike_bars, bars, now_bars, until_bars):
    """Back through the interval from `now` to `until`, in place; `fired` own spikes of each neuron are in it."""
    step = propagator(constants, until - now)
    hit = False
    for j in range(bars.shape[1]):
        hit |= fired[j] > 0
    late = bars.copy() if hit else bars
    for j in range(bars.shape[1]):  # those that spiked, too: a loop without branches is worth it
        old, new = load(constants, start, j), load(constants, end, j)
        bar, until_bars[j] = flow_pullback(constants, step, old, new, load(constants, bars, j))
        now_bars[j] = -until_bars[j]
        store(constants, bars, j, bar)
    if not hit:
        return
    capacity = spike_bars.shape[1]
    chain, pauses = np.empty((bars.shape[0], capacity + 1), bars.dtype), np.empty(capacity, bars.dtype)
    for j in range(bars.shape[1]):
        if fired[j] > 0:
            ordinals[j] -= fired[j]
            mine = spike_bars[j, ordinals[j] : ordinals[j] + fired[j]]
            old, bar = load(constants, start, j), load(constants, late, j)
            bar, now_bars[j], until_bars[j] = spikes_pullback(constants, old, now, until, bar, mine, chain, pauses)
            store(constants, bars, j, bar)


@njit(**PLAIN)
@no_type_check
def pulse_pullback(constants, before, pulses, volley, bars, pulse_bars):
    """Back through a volley, in place; the cotangent of its weights is the same for all its inputs."""
    if volley % RESCALE_EVERY == RESCALE_EVERY - 1:
        for j in range(bars.shape[1]):
            factor = scale_of(constants, jump(constants, load(constants, before, j), pulses[j]))
            store(constants, bars, j, scale(constants, load(constants, bars, j), factor))
    for j in range(bars.shape[1]):
        old, bar = load(constants, before, j), load(constants, bars, j)
        bar, pulse_bars[j] = jump_pullback(constants, old, pulses[j], bar)
        store(constants, bars, j, bar)


@njit(**PLAIN)
@no_type_check
def add_to_rows(rows, first, sources, pulse_bars):
    """Add the cotangents of a volley to those of the weights that it came through."""
    for source in sources:
        row = rows[source][first:]
        for j in range(pulse_bars.shape[0]):
            row[j] += pulse_bars[j]


@njit(**PLAIN)
@no_type_check
def order_bars(constants, before, weights, first, sources, bars, time_bars):
    """Add the cotangents of the times of the single inputs of a volley: the change of bar . d(state)/dt across each.

    `bars` are those of the state `before` the volley. What the intervals before and after the volley contribute to its
    first and last input is left to them.
    """
    still = propagator(constants, time_bars[0] - time_bars[0])
    for j in range(bars.shape[1]):
        state, bar = load(constants, before, j), load(constants, bars, j)
        for k in range(sources.shape[0] - 1):
            weight = weights[sources[k]][first + j]
            state, bar = jump(constants, state, weight), jump_pullback(constants, state, -weight, bar)[0]
            power = flow_pullback(constants, still, state, state, bar)[1]
            time_bars[k] -= power
            time_bars[k + 1] += power


@njit(**PLAIN)
@no_type_check
def replay(constants, weights, first, times, sources, bounds, duration, initial, starts, ends, fired, trains):
    """Run a block again: its states at the `starts` and `ends` of the intervals, and the spikes `fired` in them."""
    now, volleys = duration - duration, bounds.shape[0] - 1
    counts, pulses = np.zeros(initial.shape[1], np.int32), np.empty(initial.shape[1], initial.dtype)
    copy(starts[0], initial)
    for v in range(volleys + 1):
        until = times[bounds[v]] if v < volleys else duration
        for j in range(counts.shape[0]):
            fired[v, j] = -counts[j]
        pass_interval(constants, starts[v], ends[v], now, until, trains, counts)
        for j in range(counts.shape[0]):
            fired[v, j] += counts[j]
        if v < volleys:
            summed_rows(weights, first, sources[bounds[v] : bounds[v + 1]], pulses)
            copy(starts[v + 1], ends[v])
            pulse(constants, starts[v + 1], pulses, v)
        now = until
    return counts


@njit(**PLAIN)
@no_type_check
def block_pullback(
    constants, weights, first, times, sources, bounds, duration, initial, spike_bars, bars, weight_bars, time_bars
):
    """Cotangents of a block: `bars`, those of the final state, become those of the initial one, in place."""
    volleys, width, wanted = bounds.shape[0] - 1, bars.shape[1], time_bars.shape[0] > 0
    starts = np.empty((volleys + 1, *initial.shape), initial.dtype)
    ends, fired = np.empty_like(starts), np.empty((volleys + 1, width), np.int32)
    trains, pulses = np.empty_like(spike_bars), np.empty(width, bars.dtype)
    now_bars, until_bars = np.empty_like(pulses), np.empty_like(pulses)
    counts = replay(constants, weights, first, times, sources, bounds, duration, initial, starts, ends, fired, trains)
    for j in range(width):
        final = load(constants, ends[volleys], j)
        factor = scale_of(constants, final)
        bar = tangent(constants, scale(constants, final, factor), load(constants, bars, j))
        store(constants, bars, j, scale(constants, bar, factor))
    for v in range(volleys, -1, -1):
        here = slice(bounds[v], bounds[v + 1] if v < volleys else bounds[v])
        if v < volleys:
            summed_rows(weights, first, sources[here], pulses)
            pulse_pullback(constants, ends[v], pulses, v, bars, now_bars)
            add_to_rows(weight_bars, first, sources[here], now_bars)
            if wanted:
                order_bars(constants, ends[v], weights, first, sources[here], bars, time_bars[here])
        now = times[bounds[v - 1]] if v else duration - duration
        until = times[bounds[v]] if v < volleys else duration
        interval_pullback(
            constants, starts[v], ends[v], now, until, fired[v], counts, spike_bars, bars, now_bars, until_bars
        )
        if wanted and v < volleys:
            time_bars[bounds[v]] += total(until_bars)
        if wanted and v:
            time_bars[bounds[v] - 1] += total(now_bars)


@njit(**PLAIN)
@no_type_check
def trial_pullback(
    constants, weights, initial, times, sources, duration, spike_bars, final_bars, weight_bars, state_bars, time_bars
):
    """Cotangents of one trial; those of the weights are added, the others set."""
    events, _ = checked_inputs(times, sources, duration, weights.shape[0])
    times, sources, bounds = times[:events], sources[:events], volleys(times[:events])
    time_bars.fill(0)
    for first in range(0, initial.shape[0], WIDTH):
        past = min(first + WIDTH, initial.shape[0])
        state = np.empty((initial.shape[1], past - first), initial.dtype)
        bars = np.empty_like(state)
        copy(state, initial[first:past].T)
        copy(bars, final_bars[first:past].T)
        block_pullback(
            constants,
            weights,
            first,
            times,
            sources,
            bounds,
            duration,
            state,
            spike_bars[first:past],
            bars,
            weight_bars,
            time_bars,
        )
        copy(state_bars[first:past].T, bars)


PULL = Kernel(
    Buffers(
        f"{__name__}.PULL",
        rows=NETWORK,
        own={"spike_bars": number("neurons capacity"), "final_bars": number("neurons variables")},
        sums={"weight_bars": number("channels neurons")},
        results={"state_bars": number("neurons variables"), "time_bars": number("wanted")},
    ),
    trial=trial_pullback,
)
