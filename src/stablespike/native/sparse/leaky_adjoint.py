"""Adjoint of a sparse network of leaky neurons, on whose rows a pulse acts by adding: nothing is kept per pulse.

Rows (`sparse_lines`) stay constant between events, and so do their cotangents: a pulse is pulled back by one look at
its target's cotangent. Of the run itself only the row of each spiking neuron is needed (after Wunderlich & Pehle 2021,
who keep its current), found again by a pass along the list of spikes, without a search for the next one.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.kernel import Buffers, Kernel
from stablespike.native.overrides.lines import PLAIN
from stablespike.native.sparse.adjoint import OPERANDS, RESULTS, order_of_events, pull_operands
from stablespike.native.sparse.forward import DURATION, RANGE
from stablespike.native.sparse.lines import (
    columns,
    enter,
    enter_bar,
    fire,
    fire_bar,
    frame,
    hit,
    hit_bar,
    leave_bar,
    rebase,
    rebase_bar,
)


@njit(**PLAIN)
@no_type_check
def hit_all(constants, unpack, net, source, now, rows):
    """The pulses of one spike reach their targets."""
    starts, targets, weights = net
    shared, same = constants.shape[0] == 1, weights.shape[0] == 1
    own = unpack(constants[0])
    step = frame(own, now)
    for c in range(starts[source], starts[source + 1]):
        j = targets[c]
        if not shared:
            own = unpack(constants[j])
            step = frame(own, now)
        hit(own, step, now, rows, j, weights[0 if same else c])


@njit(**PLAIN)
@no_type_check
def hit_all_back(constants, unpack, net, source, now, bars, weight_bars):
    """Cotangents of the weights of one spike's pulses, added, and that of the spike's time."""
    starts, targets, weights = net
    shared, same = constants.shape[0] == 1, weights.shape[0] == 1
    own, time_bar, total = unpack(constants[0]), 0.0, 0.0
    step = frame(own, now)
    for c in range(starts[source], starts[source + 1]):
        j = targets[c]
        if not shared:
            own = unpack(constants[j])
            step = frame(own, now)
        by_weight, by_time = hit_bar(own, step, bars, j, weights[0 if same else c])
        time_bar += by_time
        if same:
            total += by_weight
        else:
            weight_bars[c] += by_weight
    if same:
        weight_bars[0] += total
    return time_bar


@njit(**PLAIN)
@no_type_check
def rebase_all(constants, unpack, rows, dt):
    """A reference time later by `dt` for all rows."""
    for j in range(rows.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        rebase(own, frame(own, dt), dt, rows, j)


@njit(**PLAIN)
@no_type_check
def rebase_all_back(constants, unpack, bars, dt):
    """Cotangents as seen from a reference time that is earlier by `dt`."""
    for j in range(bars.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        rebase_bar(own, frame(own, dt), bars, j)


@njit(**PLAIN)
@no_type_check
def replay(constants, unpack, net, inlets, initial, arrivals, train, events, span):
    """The row of each spiking neuron at its spike; reference times are multiples of `span`."""
    (times, channels), (spikes, sources, _) = arrivals, train
    rows = np.empty((initial.shape[0], columns(unpack(constants[0]))))
    met, block = np.empty((spikes.shape[0], rows.shape[1])), 0.0
    for j in range(initial.shape[0]):
        enter(unpack(constants[j % constants.shape[0]]), rows, j, initial[j])
    for e in events:
        now = times[-1 - e] if e < 0 else spikes[e]
        if np.floor(now / span) != block:
            rebase_all(constants, unpack, rows, span * (np.floor(now / span) - block))
            block = np.floor(now / span)
        now -= span * block
        if e < 0:
            hit_all(constants, unpack, inlets, channels[-1 - e], now, rows)
            continue
        i = sources[e]
        own = unpack(constants[i % constants.shape[0]])
        met[e] = rows[i]
        fire(own, frame(own, now), now, rows, i)
        hit_all(constants, unpack, net, i, now, rows)
    return met, rows


@njit(**PLAIN)
@no_type_check
def pull_end(constants, unpack, rows, now, state_bars):
    """Cotangents of the rows from those of the final states, and the cotangent of the end's time."""
    bars, end_bar = np.empty_like(rows), 0.0
    for j in range(rows.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        end_bar += leave_bar(own, frame(own, now), rows[j], state_bars[j], bars, j)
    return bars, end_bar


@njit(**PLAIN)
@no_type_check
def pull(unpack, constants, net, inlets, initial, arrivals, train, used, end, limits, spike_bars, found):
    """As `sparse_adjoint.pull`."""
    (times, channels), (spikes, sources, preceding) = arrivals, train
    state_bars, weight_bars, in_weight_bars, time_bars = found
    events, span = order_of_events(preceding, used), limits[RANGE]
    met, rows = replay(constants, unpack, net, inlets, initial, arrivals, train, events, span)
    block, after = 0.0, end
    if events.shape[0] > 0:
        last = events[-1]
        block = np.floor((times[-1 - last] if last < 0 else spikes[last]) / span)
    bars, passed = pull_end(constants, unpack, rows, end - span * block, state_bars)
    passed = passed if limits[DURATION] == np.inf else 0.0
    for place in range(events.shape[0] - 1, -1, -1):
        e = events[place]
        time = times[-1 - e] if e < 0 else spikes[e]
        passed = passed if after == time else 0.0
        if np.floor(time / span) != block:
            rebase_all_back(constants, unpack, bars, span * (block - np.floor(time / span)))
            block = np.floor(time / span)
        now, after = time - span * block, time
        if e < 0:
            channel = channels[-1 - e]
            pulses = hit_all_back(constants, unpack, inlets, channel, now, bars, in_weight_bars)
            time_bars[-1 - e], passed = pulses + passed, 0.0
            continue
        pulses = hit_all_back(constants, unpack, net, sources[e], now, bars, weight_bars)
        time_bar = pulses + spike_bars[e] + passed
        before = events[place - 1] if place > 0 else e
        together = place > 0 and (times[-1 - before] if before < 0 else spikes[before]) == time
        own = unpack(constants[sources[e] % constants.shape[0]])
        left = fire_bar(own, frame(own, now), met[e], bars, sources[e], time_bar, time == 0.0, together)
        passed = left if together else 0.0
    if block > 0:
        rebase_all_back(constants, unpack, bars, span * block)
    for j in range(bars.shape[0]):
        enter_bar(unpack(constants[j % constants.shape[0]]), bars[j], state_bars[j])


BUFFERS = Buffers(f"{__name__}.PULL", common=OPERANDS, results=RESULTS)
arrays_of = BUFFERS.read


@no_type_check
def pull_trial(frame, job, unpack, dtype):
    """The trial, unless it failed."""
    failed, operands = pull_operands(arrays_of(frame, dtype))
    if not failed:
        pull(unpack, *operands)
    return 0


PULL = Kernel(BUFFERS, entry=pull_trial)
