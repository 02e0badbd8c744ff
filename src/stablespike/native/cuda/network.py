"""A recurrent network on a GPU, spike by spike: a block of threads takes it through a trial.

As `stablespike.native.events.forward`: all neurons flow from event to event, the time of a neuron's next spike is
worked out when a pulse reached it, and the earliest of them is the network's next spike. States lie in the block's
shared memory; a thread touches those of its own neurons only, and threads meet once for an event (`team`).
"""

from collections.abc import Callable
from typing import no_type_check

from numba import njit
from numba.extending import register_jitable

from stablespike.native.conventions import BUDGET_EXHAUSTED, NOT_FINITE
from stablespike.native.cuda.arrays import Arrays, number, whole
from stablespike.native.cuda.steps import deliverable, finite, flown, never, scaled, struck
from stablespike.native.cuda.team import UNFIT, meetings
from stablespike.native.overrides.lines import PLAIN, load, reset, store, wait_within


@njit(**PLAIN)
@no_type_check
def start_own(t, threads, constants, initial, duration, here, wholes, found):
    """Initial states of a thread's neurons and their first spikes; nothing has been found."""
    (state, waits), (spikes, sources, counts) = here, found
    wholes[UNFIT, t] = 0
    for j in range(t, waits.shape[0], threads):
        one = scaled(constants, load(constants, initial, j))
        store(constants, state, j, one)
        waits[j] = wait_within(constants, one, duration)
        counts[j] = 0
        if not finite(one):
            wholes[UNFIT, t] = 1
    for k in range(t, spikes.shape[0], threads):
        spikes[k], sources[k] = never(constants), 0


@njit(**PLAIN)
@no_type_check
def flow_own(t, threads, constants, state, dt):
    """Free flow of a thread's neurons, in place."""
    for j in range(t, state.shape[1], threads):
        store(constants, state, j, flown(constants, load(constants, state, j), dt))


@njit(**PLAIN)
@no_type_check
def strike_own(t, threads, constants, row, now, duration, here, wholes):
    """A pulse with the weights `row` reaches a thread's neurons."""
    state, waits = here
    for j in range(t, waits.shape[0], threads):
        if row[j] != 0:
            new = struck(constants, load(constants, state, j), row[j])
            store(constants, state, j, new)
            waits[j] = now + wait_within(constants, new, duration - now)
            if not (waits[j] >= now and finite(new)):
                wholes[UNFIT, t] = 1


@njit(**PLAIN)
@no_type_check
def spike_of(j, constants, now, duration, here, found, cursor):
    """A neuron spikes: it is written down and reset."""
    (state, waits), (spikes, sources, counts) = here, found
    spikes[cursor], sources[cursor] = now, j
    counts[j] += 1
    new = reset(constants, load(constants, state, j))
    store(constants, state, j, new)
    waits[j] = now + wait_within(constants, new, duration - now)


@njit(**PLAIN)
@no_type_check
def leave_own(t, threads, constants, state, wholes, final):
    """Final states of a thread's neurons."""
    for j in range(t, state.shape[1], threads):
        one = load(constants, state, j)
        store(constants, final, j, one)
        if not finite(one):
            wholes[UNFIT, t] = 1


def firing(threads: int, barrier: Callable) -> Callable:
    """The function of a block for all spikes at one time: resets in the order of neurons, then pulses."""
    next_due = meetings(threads, barrier).next_due

    @register_jitable
    @no_type_check
    def fire(first, past, constants, weights, event, trial, here, found, shared, cursor):
        (now, j, number), (duration, room) = event, trial
        begin = cursor
        while True:
            for t in range(first, past):
                if j % threads == t:
                    spike_of(j, constants, now, duration, here, found, cursor)
            cursor += 1
            number -= 1
            if number <= 0 or cursor >= room:
                break
            j = next_due(first, past, here[1], now, j, shared)
        barrier()
        for c in range(begin, cursor):
            for t in range(first, past):
                strike_own(t, threads, constants, weights[found[1][c]], now, duration, here, shared[1])
        return cursor

    return fire


def run(threads: int, barrier: Callable) -> Callable:
    """The function of a block for a trial from its start: flags and the time reached."""
    earliest, fire = meetings(threads, barrier).earliest, firing(threads, barrier)

    @register_jitable
    @no_type_check
    def trial_of(first, past, constants, nets, arrivals, duration, here, found, shared):
        times, channels, inputs = arrivals
        room, now, cursor, used, flags = found[0].shape[0], duration - duration, 0, 0, 0
        while True:
            (upcoming, index, number), unfit = earliest(first, past, here[1], shared)
            if unfit != 0:
                return NOT_FINITE, now
            arrival = times[used] if used < inputs else duration
            spiking = upcoming <= arrival
            if cursor + used + 1 > room and (spiking or used < inputs):
                return BUDGET_EXHAUSTED, now
            until = upcoming if spiking else arrival
            for t in range(first, past):
                flow_own(t, threads, constants, here[0], until - now)
            now = until
            if spiking:
                event, trial = (now, index, number), (duration, room)
                cursor = fire(first, past, constants, nets[0], event, trial, here, found, shared, cursor)
            elif used < inputs:
                for t in range(first, past):
                    strike_own(t, threads, constants, nets[1][channels[used]], now, duration, here, shared[1])
                used += 1
            else:
                return flags, now

    return trial_of


def forward(unpack: Callable, threads: int, barrier: Callable) -> Callable:
    """`one(block, first, past, arrays, here, shared)`: threads `first` to `past` - 1 of a block take trial `block`.

    `arrays`: those of `FORWARD`; `here`: states `[variables, neurons]` and next spikes `[neurons]` of the block,
    `shared` the places of `team`.
    """
    trial_of = run(threads, barrier)
    earliest = meetings(threads, barrier).earliest

    @register_jitable
    @no_type_check
    def one(block, first, past, arrays, here, shared):
        constants, weights, input_weights, states, times, sources, durations, table = arrays[:8]
        spikes, spike_sources, counts, final, flags, ends = arrays[8:]
        row, mine = table[block], unpack(constants[table[block, 0]])
        duration, found = durations[row[6]], (spikes[block], spike_sources[block], counts[block])
        inputs, wrong = deliverable(times[row[4]], sources[row[5]], duration, input_weights.shape[1])
        for t in range(first, past):
            start_own(t, threads, mine, states[row[3]], duration, here, shared[1], found)
        now = duration - duration
        if wrong == 0:
            nets, arrivals = (weights[row[1]], input_weights[row[2]]), (times[row[4]], sources[row[5]], inputs)
            wrong, now = trial_of(first, past, mine, nets, arrivals, duration, here, found, shared)
        for t in range(first, past):
            leave_own(t, threads, mine, here[0], shared[1], final[block])
        _, unfit = earliest(first, past, here[1], shared)
        for t in range(first, past):
            if t == 0:
                flags[block], ends[block] = wrong | (NOT_FINITE if unfit else 0), now

    return one


NETWORK = {
    "constants": number("_ constants"),
    "weights": number("_ neurons neurons"),
    "input_weights": number("_ channels neurons"),
    "states": number("_ variables neurons"),
    "times": number("_ inputs"),
    "sources": whole("_ inputs"),
    "durations": number("_"),
    "table": whole("trials operands"),  # the row that a trial uses of each of those before
}
FORWARD = Arrays(
    NETWORK,
    {
        "spikes": number("trials events"),
        "spike_sources": whole("trials events"),
        "counts": whole("trials neurons"),
        "final": number("trials variables neurons"),
        "flags": whole("trials"),
        "ends": number("trials"),
    },
)
