"""A recurrent network, spike by spike: the forward loop.

All neurons flow from event to event with one propagator. The time of a neuron's next spike is worked out again only
when a pulse reached it; the next spike of the network is the smallest of these times. Neurons that spike at the very
same time form one event: all are reset, then all their pulses arrive, which for these neurons is the same as one after
the other.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from stablespike.native.conventions import BUDGET_EXHAUSTED, NOT_FINITE
from stablespike.native.kernel import Buffers, Kernel, constants, number, whole
from stablespike.native.layer.forward import all_finite, checked_inputs, copy, normalise
from stablespike.native.overrides.lines import PLAIN, flow, jump, load, propagator, reset, scale, scale_of, store, wait


@njit(**PLAIN)
@no_type_check
def flow_all(constants, state, dt):
    """Free flow of all neurons, in place, lengths without meaning taken out."""
    step = propagator(constants, dt)
    for j in range(state.shape[1]):
        new = flow(constants, step, load(constants, state, j))
        store(constants, state, j, scale(constants, new, scale_of(constants, new)))


@njit(**PLAIN)
@no_type_check
def pulse_all(constants, state, row, now, next_spikes):
    """A pulse with the weights `row` reaches the network; whether all it touched is finite."""
    fine = True
    for j in range(state.shape[1]):
        if row[j] != 0:
            new = jump(constants, load(constants, state, j), row[j])
            new = scale(constants, new, scale_of(constants, new))
            store(constants, state, j, new)
            next_spikes[j] = now + wait(constants, new)
            fine &= next_spikes[j] >= now and np.isfinite(new[0]) and np.isfinite(new[-1])
    return fine


@njit(**PLAIN)
@no_type_check
def spike_event(constants, weights, state, now, next_spikes, spikes, sources, counts, cursor):
    """All spikes at time `now`, reset and recorded by index, then their pulses; the new cursor, all finite."""
    first, fine = cursor, True
    for j in range(state.shape[1]):
        if next_spikes[j] <= now and cursor < spikes.shape[0]:
            spikes[cursor], sources[cursor] = now, j
            counts[j] += 1
            cursor += 1
            store(constants, state, j, reset(constants, load(constants, state, j)))
            next_spikes[j] = now + wait(constants, load(constants, state, j))
    for k in range(first, cursor):
        fine &= pulse_all(constants, state, weights[sources[k]], now, next_spikes)
    return cursor, fine


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
    spikes,
    sources,
    counts,
    final,
    checks,
):
    """One trial: its flags and the time reached; `checks[m]` is the state after the part m/M of it."""
    inputs, flags = checked_inputs(times, channels, duration, input_weights.shape[0])
    state, next_spikes = np.empty(initial.shape[::-1], initial.dtype), np.empty(initial.shape[0], initial.dtype)
    copy(state, initial.T)
    normalise(constants, state)
    spikes.fill(np.inf)
    sources.fill(0)
    counts.fill(0)
    for j in range(state.shape[1]):
        next_spikes[j] = wait(constants, load(constants, state, j))
    now, cursor, used, check, fine = duration - duration, 0, 0, 0, all_finite(state)
    while fine and flags == 0:
        upcoming = next_spikes.min()
        arrival = times[used] if used < inputs else duration
        until = upcoming if upcoming < arrival else arrival
        if check < checks.shape[0] and duration * check / checks.shape[0] <= until:
            until = duration * check / checks.shape[0]
            flow_all(constants, state, until - now)
            copy(checks[check].T, state)
            check += 1
            now = until
            continue
        if cursor + used + 1 > spikes.shape[0] and (upcoming <= until or used < inputs):
            flags |= BUDGET_EXHAUSTED
            break
        flow_all(constants, state, until - now)
        now = until
        if upcoming <= until:
            cursor, fine = spike_event(constants, weights, state, now, next_spikes, spikes, sources, counts, cursor)
        elif used < inputs:
            fine = pulse_all(constants, state, input_weights[channels[used]], now, next_spikes)
            used += 1
        else:
            fine = all_finite(state)
            break
    copy(final.T, state)
    return flags | (0 if fine else NOT_FINITE), now


NETWORK = {  # operands of a network in one trial
    "constants": constants(),
    "weights": number("neurons neurons"),
    "input_weights": number("channels neurons"),
    "states": number("neurons variables"),
    "times": number("inputs"),
    "sources": whole("inputs"),
    "duration": number(""),
}
FOUND = {  # results of a trial
    "spikes": number("events"),
    "spike_sources": whole("events"),
    "counts": whole("neurons"),
    "final": number("neurons variables"),
    "checks": number("checkpoints neurons variables"),
    "flags": whole(""),
    "ends": number(""),
}
RUN = Kernel(Buffers(f"{__name__}.RUN", rows=NETWORK, results=FOUND), trial=run_trial)
