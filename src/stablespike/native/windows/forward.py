"""A recurrent network, window by window: all neurons are taken through a window against the spikes that are known.

A sweep takes the whole network from the last known event to the window's end, as if nobody spiked on the way, and asks
each neuron cheaply whether it could have. If none could, the window is done. Otherwise the true times of the few that
could are worked out; the first of them is exact, since nothing came before it, and all that was guessed after it is
dropped: the next sweep starts there. So a sweep settles a window or one more time of spikes. Work per neuron is two
free flows and a pulse per spike, without a branch, several neurons to an instruction; the expensive line of a neuron,
the time of its next spike, is left to the few that are about to spike. The window's length is steered so that these are
about `CANDIDATES`.

Results, conventions at equal times and checkpoints are those of the loop in `stablespike.native.events.forward`.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.conventions import BUDGET_EXHAUSTED, NOT_FINITE, SWEEPS_EXHAUSTED
from stablespike.native.events.forward import FOUND, NETWORK
from stablespike.native.kernel import Buffers, Kernel, whole
from stablespike.native.layer.forward import (
    RESCALE_EVERY,
    all_finite,
    checked_inputs,
    copy,
    normalise,
)
from stablespike.native.overrides.lines import (
    PLAIN,
    by_neuron,
    flow,
    load,
    may_spike,
    only_added,
    propagator,
    pulse_row,
    reset,
    store,
    wait_within,
)
from stablespike.native.overrides.qif import QIFConstants
from stablespike.native.overrides.short_steps import all_small, short_sweep

SWEEPS, WINDOWS, ASKED = range(3)  # of the work done: sweeps, windows, exact spike times that were worked out
CANDIDATES = 6  # neurons about to spike above which windows become shorter
SHORTER, LONGER, SHORTEST = 0.8, 1.5, 1e-6  # factors of the window's length, and the shortest, in parts of the trial


@njit(**PLAIN)
@no_type_check
def sweep_plainly(constants, state, ahead, dt):
    """Free flow of all neurons into `ahead`, and whether one of them may have spiked on the way."""
    step, hit = propagator(constants, dt), False
    for j in range(state.shape[1]):
        before = load(constants, state, j)
        after = flow(constants, step, before)
        hit |= may_spike(constants, step, before, after)
        store(constants, ahead, j, after)
    return hit


@njit(**PLAIN)
@no_type_check
def sweep_qif(constants, state, ahead, dt):
    """`sweep_plainly`, by the series where the interval and the currents are small."""
    s, u = propagator(constants, dt)
    if all_small(constants, state[2], u):
        return short_sweep(constants, state, ahead, s, u)
    return sweep_plainly(constants, state, ahead, dt)


def sweep(constants, state, ahead, dt):
    """Free flow of all neurons into `ahead`, which may be `state`; whether one of them may have spiked on the way."""
    raise NotImplementedError


by_neuron(sweep, sweep_plainly, QIFConstants, sweep_qif)


@njit(**PLAIN)
@no_type_check
def first_spike(constants, state, ahead, now, until, times):
    """The earliest spike from `now` on, of neurons that may spike before `until`, their number, and their `times`."""
    step, first, count = propagator(constants, until - now), times.dtype.type(np.inf), 0
    for j in range(state.shape[1]):
        before = load(constants, state, j)
        times[j] = np.inf
        if may_spike(constants, step, before, load(constants, ahead, j)):
            times[j] = now + wait_within(constants, before, until - now)
            first = times[j] if times[j] < first else first
            count += 1
    return first, count


@njit(**PLAIN)
@no_type_check
def spikes_at(constants, weights, state, now, due, spikes, sources, counts, cursor):
    """All spikes at the time `now`, reset and recorded by index, then their pulses; the new cursor."""
    first = cursor
    for j in range(state.shape[1]):
        if due[j] <= now and cursor < spikes.shape[0]:
            spikes[cursor], sources[cursor] = now, j
            counts[j] += 1
            cursor += 1
            store(constants, state, j, reset(constants, load(constants, state, j)))
    for k in range(first, cursor):
        pulse_row(constants, state, weights[sources[k]])
    return cursor


@njit(**PLAIN)
@no_type_check
def run_trial(
    constants,
    weights,
    input_weights,
    initial,
    times,
    channels,
    duration,
    most,
    spikes,
    sources,
    counts,
    final,
    checks,
    work,
):
    """One trial: its flags and the time reached, after `most` sweeps at most; `work` is what it took."""
    spikes.fill(np.inf)
    for array in (sources, counts, work):
        array.fill(0)
    inputs, flags = checked_inputs(times, channels, duration, input_weights.shape[0])
    state, ahead = np.empty(initial.shape[::-1], initial.dtype), np.empty(initial.shape[::-1], initial.dtype)
    copy(state, initial.T)
    normalise(constants, state)
    due, cursor, used, check, fine = np.empty(initial.shape[0], initial.dtype), 0, 0, 0, all_finite(state)
    now, span = duration - duration, duration / 16
    while fine and flags == 0:
        arrival = times[used] if used < inputs else duration
        checking = check < checks.shape[0] and duration * check / checks.shape[0] <= min(arrival, now + span)
        until = duration * check / checks.shape[0] if checking else min(arrival, now + span)
        first, count = due.dtype.type(np.inf), 0
        if sweep(constants, state, ahead, until - now):
            first, count = first_spike(constants, state, ahead, now, until, due)
        work[SWEEPS] += 1
        work[ASKED] += count
        span = max(span * SHORTER, duration * SHORTEST) if count > CANDIDATES else span
        if work[SWEEPS] > most:
            flags |= SWEEPS_EXHAUSTED
        elif (first <= until or (until == arrival and not checking and used < inputs)) and (
            cursor + used + 1 > spikes.shape[0]
        ):
            flags |= BUDGET_EXHAUSTED
        elif first <= until:
            sweep(constants, state, state, first - now)
            now = first
            cursor = spikes_at(constants, weights, state, now, due, spikes, sources, counts, cursor)
        else:
            state, ahead, now = ahead, state, until
            work[WINDOWS] += 1
            if checking:
                copy(checks[check].T, state)
                normalise(constants, checks[check].T)
                check += 1
            elif until < arrival:
                span *= LONGER
            elif used == inputs:
                break
            else:
                together = used + 1
                while only_added(constants) and together < inputs and times[together] == until:
                    together += 1
                together = min(together, spikes.shape[0] - cursor)
                for k in range(used, together):
                    pulse_row(constants, state, input_weights[channels[k]])
                used = together
        if work[SWEEPS] % RESCALE_EVERY == 0:
            normalise(constants, state)
            fine = all_finite(state)
    normalise(constants, state)
    copy(final.T, state)
    return flags | (0 if fine and all_finite(state) else NOT_FINITE), now


RUN = Kernel(
    Buffers(
        f"{__name__}.RUN",
        rows=NETWORK,
        common={"most": whole("")},
        results=FOUND | {"work": whole("3")},
    ),
    trial=run_trial,
)
