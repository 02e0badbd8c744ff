"""Adjoint of the network kernel: state and cotangents run back together from the trial's end.

The states are those of the exact inverse flow, started from the final state and set right at every checkpoint; what a
reset destroyed is put back by the neuron's line `unreset`. Beyond the list of spikes the store is the checkpoints, so
it does not depend on the number of events. The difference found at the checkpoints, and at resets from the state after
them, is the reversal error: a trial in which it exceeds the tolerance is replayed forwards (`network_replay`).

With bar the cotangents and f the right-hand side of the free dynamics, the power sum(bar . f) is constant between
events. The cotangent of an event's time is the power before it minus that after it (plus that of a recorded spike
time).
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.bridge import failure, spread
from stablespike.native.events.forward import NETWORK
from stablespike.native.events.replay import inputs_within, pull_along, total_power
from stablespike.native.kernel import Buffers, Kernel, number, whole
from stablespike.native.layer.forward import checked_inputs, copy, normalise
from stablespike.native.overrides.lines import (
    INLINED,
    PLAIN,
    add_scaled,
    by_neuron,
    can_be_reversed,
    distance,
    flow,
    flow_pullback,
    load,
    propagator,
    reset,
    reset_pullback,
    scale,
    scale_of,
    shortening,
    store,
    tangent,
    unpulse_row,
    unreset,
    wait_gradient,
)
from stablespike.native.overrides.qif import QIFConstants
from stablespike.native.overrides.short_steps import all_small, short_unflow

REPLAY_FAILED = np.frombuffer(
    b"Rounding grows too much in this trial for its gradient: replayed along its spikes it missed its own final state "
    b"by more than the tolerance. Ask for a larger tolerance, a shorter trial or smaller weights.\0",
    np.uint8,
)


@njit(**PLAIN)
@no_type_check
def worse(one, other):
    """The larger error; nan, once it is there, stays."""
    return one if other == other and not one <= other else other


@njit(**PLAIN)
@no_type_check
def unflow_each(constants, state, bars, dt):
    """Back through a free flow of length `dt`, in place, for states and cotangents; whether that can be done."""
    possible = True
    if dt == 0:
        return possible
    back, forth = propagator(constants, -dt), propagator(constants, dt)
    for j in range(state.shape[1]):
        after = load(constants, state, j)
        before = flow(constants, back, after)
        factor = scale_of(constants, before)
        short = shortening(constants, back, after)
        before = scale(constants, before, factor)
        short *= shortening(constants, forth, before)
        possible &= short > 0
        bar = scale(constants, load(constants, bars, j), 1 / (factor * state.dtype.type(short)))
        bar, _ = flow_pullback(constants, forth, before, after, bar)
        store(constants, state, j, before)
        store(constants, bars, j, bar)
    return possible


@njit(**PLAIN)
@no_type_check
def unflow_qif(constants, state, bars, dt):
    """`unflow_each`, by the series where the interval and the currents are small."""
    if dt > 0 and all_small(constants, state[2], propagator(constants, -dt)[1]):
        return short_unflow(constants, state, bars, dt)
    return unflow_each(constants, state, bars, dt)


def unflow_all(constants, state, bars, dt):
    """Back through a free flow of length `dt`, in place, for states and cotangents; whether that can be done."""
    raise NotImplementedError


by_neuron(unflow_all, unflow_each, QIFConstants, unflow_qif)


@njit(**PLAIN)
@no_type_check
def unspike(one, initial, state, bars, first, past, at_start):
    """Back through the spikes `first` to `past` - 1, all at one time: their pulses, their resets, then their times.

    Each spike time depends on its neuron as if it were the first of them, so the last part waits for all pulses to be
    undone. The result is how far states were from those after a reset, which sets them right.
    """
    constants, sources = one.constants, one.spike_sources
    time_bars, worst = np.empty(past - first, state.dtype), state[0, 0] - state[0, 0]
    for k in range(past - 1, first - 1, -1):
        j = sources[k]
        after = total_power(constants, state, bars)
        unpulse_row(constants, state, bars, one.weights[j], one.weight_bars[j])
        mine = load(constants, state, j)
        error = distance(constants, mine, reset(constants, mine))
        worst = worse(error, worst)
        at_spike = unreset(constants, mine)
        store(constants, state, j, at_spike)
        store(constants, bars, j, reset_pullback(constants, at_spike, load(constants, bars, j)))
        time_bars[k - first] = one.spike_bars[k] + (total_power(constants, state, bars) - after)
    for k in range(first, past):
        j = sources[k]
        if at_start:
            store(constants, state, j, load(constants, initial, j))
        gradient = wait_gradient(constants, load(constants, state, j))
        store(constants, bars, j, add_scaled(constants, load(constants, bars, j), gradient, time_bars[k - first]))
    return worst


@njit(**PLAIN)
@no_type_check
def correct(constants, state, check):
    """Set the state right at a checkpoint; how far it was off."""
    worst = state[0, 0] - state[0, 0]
    for j in range(state.shape[1]):
        mine = load(constants, state, j)
        store(constants, state, j, load(constants, check.T, j))
        error = distance(constants, mine, load(constants, state, j))
        worst = worse(error, worst)
    return worst


@njit(**PLAIN)
@no_type_check
def back_to(constants, state, bars, checks, check, duration, now, until):
    """Back from `now` to `until`, by way of the checkpoints in between: checkpoints left and the largest error."""
    worst, possible = now - now, True
    while check > 0:
        time = duration * (check - 1) / checks.shape[0]
        if not time > until:
            break
        possible &= unflow_all(constants, state, bars, now - time)
        error = correct(constants, state, checks[check - 1])
        worst = worse(error, worst)
        check -= 1
        now = time
    possible &= unflow_all(constants, state, bars, now - until)
    return check, worst if possible else checks.dtype.type(np.inf)


@njit(**PLAIN)
@no_type_check
def ends(constants, initial, final, final_bars):
    """Final and initial state, and cotangents of the final one without their part along its length."""
    state, start = np.empty(final.shape[::-1], final.dtype), np.empty(final.shape[::-1], final.dtype)
    copy(state, final.T)
    copy(start, initial.T)
    normalise(constants, start)
    bars = np.empty_like(state)
    copy(bars, final_bars.T)
    for j in range(bars.shape[1]):
        store(constants, bars, j, tangent(constants, load(constants, state, j), load(constants, bars, j)))
    return state, start, bars


@njit(**PLAIN)
@no_type_check
def leave(constants, initial, bars, state_bars):
    """Cotangents of the initial state from those of the state of length one: its length is the caller's choice."""
    for j in range(bars.shape[1]):
        factor = scale_of(constants, load(constants, initial.T, j))
        store(constants, bars, j, scale(constants, load(constants, bars, j), factor))
    copy(state_bars.T, bars)


@njit(**PLAIN)
@no_type_check
def trial_pullback(one):
    """Cotangents of a trial; those of weights are added, the others set. The reversal error.

    Without room in `time_bars`, those of the input times are left out. Of a neuron that is not reversed: inf, at once.
    """
    if not can_be_reversed(one.constants):
        return one.final.dtype.type(np.inf)
    constants, times, duration, spikes, checks = one.constants, one.times, one.duration, one.spikes, one.checks
    used, _ = checked_inputs(times, one.sources, duration, one.input_weights.shape[0])
    past = np.searchsorted(spikes, np.inf)
    state, start, bars = ends(constants, one.states, one.final, one.final_bars)
    now, check, worst = duration, checks.shape[0], duration - duration
    while past > 0 or used > 0:
        spiking = used == 0 or (past > 0 and spikes[past - 1] > times[used - 1])
        until = spikes[past - 1] if spiking else times[used - 1]
        check, error = back_to(constants, state, bars, checks, check, duration, now, until)
        worst = worse(error, worst)
        now = until
        if spiking:
            first = past - 1
            while first > 0 and spikes[first - 1] == now:
                first -= 1
            error = unspike(one, start, state, bars, first, past, now == 0)
            worst = worse(error, worst)
            past = first
        else:
            used -= 1
            wanted = used < one.time_bars.shape[0]
            after = total_power(constants, state, bars) if wanted else now - now
            row, row_bars = one.input_weights[one.sources[used]], one.input_weight_bars[one.sources[used]]
            unpulse_row(constants, state, bars, row, row_bars)
            if wanted:
                one.time_bars[used] = total_power(constants, state, bars) - after
    check, error = back_to(constants, state, bars, checks, check, duration, now, now - now)
    worst = worse(error, worst)
    error = correct(constants, state, checks[0])
    worst = worse(error, worst)
    leave(constants, one.states, bars, one.state_bars)
    return worst


@njit(**PLAIN)
@no_type_check
def replayed_pullback(one):
    """As `trial_pullback`, with states from a replay of the trial, and the error of that."""
    constants, duration = one.constants, one.duration
    arrivals = inputs_within(one.times, one.sources, duration, one.input_weights.shape[0])
    count = np.searchsorted(one.spikes, np.inf)
    state, start, bars = ends(constants, one.states, one.final, one.final_bars)
    nets, pools = (one.weights, one.input_weights), (one.weight_bars, one.input_weight_bars)
    found = state, bars, one.spike_bars, one.time_bars
    train = one.spikes[:count], one.spike_sources[:count]
    reached = pull_along(constants, nets, pools, train, arrivals, duration, start, found)
    leave(constants, one.states, bars, one.state_bars)
    return correct(constants, reached, one.final)


BUFFERS = Buffers(
    f"{__name__}.PULL",
    rows=NETWORK,
    own={
        "spikes": number("events"),
        "spike_sources": whole("events"),
        "final": number("neurons variables"),
        "checks": number("checkpoints neurons variables"),
        "flags": whole(""),
        "spike_bars": number("events"),
        "final_bars": number("neurons variables"),
    },
    common={"tolerance": number("")},
    sums={"weight_bars": number("neurons neurons"), "input_weight_bars": number("channels neurons")},
    results={"state_bars": number("neurons variables"), "time_bars": number("wanted"), "errors": number("")},
    unseen=("flags", "tolerance"),
)
arrays_of, operands_of = BUFFERS.read, BUFFERS.read_trial


@njit(**INLINED)
@no_type_check
def pull_trial(b, group, again, frame, unpack, dtype):
    """Trial `b` by a reversal, or else by a replay; its error."""
    one = operands_of(frame, b, group, unpack, dtype)
    return replayed_pullback(one) if again else trial_pullback(one)


@njit(**INLINED)
@no_type_check
def pull_members(group, frame, unpack, dtype):
    """The trials `members[group]` (-1 = none) one after the other, into sums of their own: whether one of them failed.

    By a replay if their error, so far, exceeds the tolerance.
    """
    arrays, failed = arrays_of(frame, dtype), False
    errors, tolerance = arrays.errors, arrays.tolerance
    arrays.weight_bars[group].fill(0)
    arrays.input_weight_bars[group].fill(0)
    for b in arrays.members[group]:
        if b < 0:
            continue
        arrays.state_bars[b].fill(0)
        arrays.time_bars[b].fill(0)
        if arrays.flags[b] != 0:  # a run that failed has said so, and has no gradient
            continue
        errors[b] = pull_trial(b, group, not errors[b] <= tolerance, frame, unpack, dtype)
        failed |= not errors[b] <= tolerance
    return failed


@no_type_check
def pull_group(group, frame, shared, unpack, dtype):
    """The trials of a group; if the reversal of one fails, the sums, which hold a part of it, are made anew."""
    arrays, first = arrays_of(frame, dtype), True
    for b in arrays.members[group]:
        if b >= 0:
            arrays.errors[b] = 0
    while pull_members(group, frame, unpack, dtype) and first:
        first = False


@no_type_check
def pull(frame, job, unpack, dtype):
    """All trials, a group to a thread at a time; an error of XLA's if the replay of one missed the tolerance."""
    arrays = arrays_of(frame, dtype)
    spread(job, arrays.members.shape[0], frame, 0)
    for error in arrays.errors:
        if not error <= arrays.tolerance:
            return failure(frame, REPLAY_FAILED)
    return 0


PULL = Kernel(BUFFERS, entry=pull, job=pull_group)
