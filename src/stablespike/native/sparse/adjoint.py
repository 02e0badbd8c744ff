"""Adjoint of a sparse network: the chain of the Jacobians of its single events, reversed.

A spike touches its source and its targets; so does its pull-back. The run is first repeated along the list of its
spikes, without a search for the next one, and keeps the states that each event met. Backwards, the cotangent of a
neuron stays where its latest event left it, and is taken through the flow only when an earlier event of it comes up.

Theta neurons that are left alone all turn at one rate. Their states and cotangents are kept as they stand in a frame
that turns with them from time 0, where they are constant between events, as the rows of leaky neurons are: the sine and
cosine of an event's time then serve all of its targets.

With bar the cotangents and f the right-hand side of the free dynamics, bar . f is constant between events of a neuron.
The cotangent of an event's time is the sum over the neurons that it touches of bar . f before minus after the event.
"""

from typing import no_type_check

import numpy as np
from numba import njit
from numba.extending import overload

from stablespike.native.kernel import Buffers, Kernel, long, number, whole
from stablespike.native.overrides.lines import (
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
    tangent,
    unreset,
    wait_gradient,
)
from stablespike.native.overrides.theta import ThetaConstants
from stablespike.native.sparse.forward import DURATION, NETWORK


@njit(**PLAIN)
@no_type_check
def at_length_one(constants, state):
    """The state scaled to length one, where length has no meaning."""
    return scale(constants, state, scale_of(constants, state))


def clock(constants, now):
    """What a time means to all neurons of one kind."""
    raise NotImplementedError


def arrive(constants, hand, block, latest, j, now):
    """The state of neuron j at an event from where it was left in `block`; `hand` is the event's `clock`."""
    raise NotImplementedError


def leave(constants, hand, block, latest, j, now, state):
    """Leave the state, or a cotangent, of neuron j in `block` after an event."""
    raise NotImplementedError


def arrive_back(constants, hand, block, latest, j, now, state):
    """The cotangent of the `state` of neuron j after an event, from where a later one left it in `block`."""
    raise NotImplementedError


def lines_for(generic, turning):
    """What numba asks for one of two functions that say a line: for neurons in general, and for theta neurons."""

    @no_type_check
    def choose(constants, *_):
        return turning if getattr(constants, "instance_class", None) is ThetaConstants else generic

    return choose


@no_type_check
def _no_clock(constants, now):
    return constants.one


@no_type_check
def _angle(constants, now):
    return propagator(constants, now)


@no_type_check
def _flowed(constants, hand, block, latest, j, now):
    return at_length_one(
        constants, flow(constants, propagator(constants, now - latest[j]), load(constants, block.T, j))
    )


@no_type_check
def _turned(constants, hand, block, latest, j, now):
    return flow(constants, hand, load(constants, block.T, j))


@no_type_check
def _left(constants, hand, block, latest, j, now, state):
    store(constants, block.T, j, state)
    latest[j] = now


@no_type_check
def _turned_back(constants, hand, block, latest, j, now, state):
    x, y = state
    store(constants, block.T, j, (hand[0] * x - hand[1] * y, hand[0] * y + hand[1] * x))


@no_type_check
def _pulled_back(constants, hand, block, latest, j, now, state):
    step = propagator(constants, latest[j] - now)
    after = flow(constants, step, state)
    bar = scale(constants, load(constants, block.T, j), scale_of(constants, after))
    return flow_pullback(constants, step, state, after, bar)[0]


@no_type_check
def _turned_forward(constants, hand, block, latest, j, now, state):
    return flow(constants, hand, load(constants, block.T, j))


overload(clock, strict=False, jit_options=PLAIN)(lines_for(_no_clock, _angle))
overload(arrive, strict=False, jit_options=PLAIN)(lines_for(_flowed, _turned))
overload(leave, strict=False, jit_options=PLAIN)(lines_for(_left, _turned_back))
overload(arrive_back, strict=False, jit_options=PLAIN)(lines_for(_pulled_back, _turned_forward))


@njit(**PLAIN)
@no_type_check
def order_of_events(preceding, inputs):
    """Events as they happened: spike k is k, input k is -1 - k; `preceding[k]` inputs came before spike k."""
    events = np.empty(preceding.shape[0] + inputs, np.int64)
    k, m = 0, 0
    while k + m < events.shape[0]:
        if k < preceding.shape[0] and preceding[k] <= m:
            events[k + m] = k
            k += 1
        else:
            events[k + m] = -1 - m
            m += 1
    return events


@njit(**PLAIN)
@no_type_check
def replay_pulses(constants, unpack, net, source, now, states, latest, records, cursor):
    """The pulses of one spike reach their targets; states that they met are kept. The new cursor of the records."""
    starts, targets, weights = net
    own, shared, same = unpack(constants[0]), constants.shape[0] == 1, weights.shape[0] == 1
    hand = clock(own, now)
    for c in range(starts[source], starts[source + 1]):
        j = targets[c]
        if not shared:
            own = unpack(constants[j])
            hand = clock(own, now)
        met = arrive(own, hand, states, latest, j, now)
        store(own, records.T, cursor, met)
        cursor += 1
        leave(own, hand, states, latest, j, now, at_length_one(own, jump(own, met, weights[0 if same else c])))
    return cursor


@njit(**PLAIN)
@no_type_check
def replay(constants, unpack, net, inlets, spikes, sources, times, channels, events, states, latest, records, marks):
    """The whole run along the list of events; `states` end as those after each neuron's last event.

    Of a spike the record is the neuron's state at it or, where a class alone says how long a neuron waits, the state
    from which it waited: there it says so with any digits. `marks`: spikes that were lifted, and since when all waited.
    """
    lifted, since = marks
    cursor = 0
    for e in events:
        if e < 0:
            cursor = replay_pulses(
                constants, unpack, inlets, channels[-1 - e], times[-1 - e], states, latest, records, cursor
            )
            continue
        now, i = spikes[e], sources[e]
        own = unpack(constants[i % constants.shape[0]])
        hand = clock(own, now)
        met = arrive(own, hand, states, latest, i, now)
        since[e] = latest[i]
        # A neuron without current that is hit at the very time of its spike was lifted to it; where nobody was,
        # rounding in long times must not look as if.
        lifted[e] = latest[i] == now and states.shape[1] == 1
        if not can_be_reversed(own):
            store(own, records.T, cursor, load(own, states.T, i))
        else:
            if not lifted[e] and now > 0:
                met = unreset(own, reset(own, met))
            store(own, records.T, cursor, met)
        leave(own, hand, states, latest, i, now, reset(own, met))
        cursor = replay_pulses(constants, unpack, net, i, now, states, latest, records, cursor + 1)
    return cursor


@njit(**PLAIN)
@no_type_check
def pull_pulses(constants, unpack, net, source, now, bars, latest, records, cursor, weight_bars):
    """Back through the pulses of one spike: the cursor of the records, and the cotangent of the spike's time."""
    starts, targets, weights = net
    own, shared, same = unpack(constants[0]), constants.shape[0] == 1, weights.shape[0] == 1
    time_bar, hand = 0.0, clock(own, now)
    for c in range(starts[source + 1] - 1, starts[source] - 1, -1):
        cursor -= 1
        j, weight = targets[c], weights[0 if same else c]
        if not shared:
            own = unpack(constants[j])
            hand = clock(own, now)
        met = load(own, records.T, cursor)
        raw = jump(own, met, weight)
        factor = scale_of(own, raw)
        after = scale(own, raw, factor)
        bar = arrive_back(own, hand, bars, latest, j, now, after)
        time_bar -= power(own, after, bar)
        bar, weight_bar = jump_pullback(own, met, weight, scale(own, bar, factor))
        time_bar += power(own, met, bar)
        weight_bars[0 if same else c] += weight_bar
        leave(own, hand, bars, latest, j, now, bar)
    return cursor, time_bar


@njit(**PLAIN)
@no_type_check
def pull_spike(constants, unpack, i, now, bars, latest, met, lifted, since, time_bar):
    """Back through a reset and the spike's time, given its cotangent so far.

    The result is what of it goes to the event before: all, if a pulse at this very time lifted the neuron to it.
    """
    own = unpack(constants[i % constants.shape[0]])
    waiting, hand, step = load(own, met.T, 0), clock(own, now), propagator(own, now - since)
    state = waiting if can_be_reversed(own) else flow(own, step, waiting)
    after = reset(own, state)
    bar = arrive_back(own, hand, bars, latest, i, now, after)
    time_bar -= power(own, after, bar)
    bar = reset_pullback(own, state, bar)
    time_bar += power(own, state, bar)
    if not can_be_reversed(own):
        bar, _ = flow_pullback(own, step, waiting, state, bar)
        leave(own, hand, bars, latest, i, since, add_scaled(own, bar, wait_gradient(own, waiting), time_bar))
        return 0.0
    if not lifted:
        bar = add_scaled(own, bar, wait_gradient(own, state), time_bar)
    leave(own, hand, bars, latest, i, now, bar)
    return time_bar if lifted else 0.0


@njit(**PLAIN)
@no_type_check
def records_needed(net, inlets, sources, channels, events):
    """Number of states that the events meet: that of the source, and those of the targets."""
    count = 0
    for e in events:
        starts, source = (net[0], sources[e]) if e >= 0 else (inlets[0], channels[-1 - e])
        count += starts[source + 1] - starts[source] + (e >= 0)
    return count


@njit(**PLAIN)
@no_type_check
def replayed(constants, unpack, net, inlets, initial, spikes, sources, times, channels, events):
    """States after each neuron's last event, times of that, states that the events met, and marks of the spikes."""
    states, latest = np.empty_like(initial), np.zeros(initial.shape[0])
    count = records_needed(net, inlets, sources, channels, events)
    records, marks = (
        np.empty((count, initial.shape[1])),
        (np.zeros(spikes.shape[0], np.bool_), np.zeros(spikes.shape[0])),
    )
    for j in range(initial.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        store(own, states.T, j, at_length_one(own, load(own, initial.T, j)))
    replay(constants, unpack, net, inlets, spikes, sources, times, channels, events, states, latest, records, marks)
    return states, latest, records, marks


@njit(**PLAIN)
@no_type_check
def pull_end(constants, unpack, states, latest, end, bars):
    """From cotangents of final states, in `bars`, those without a part along the length; the power of all neurons."""
    passed = 0.0
    for j in range(states.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        hand = clock(own, end)
        state = arrive(own, hand, states, latest, j, end)
        bar = tangent(own, state, load(own, bars.T, j))
        leave(own, hand, bars, latest, j, end, bar)
        passed += power(own, state, bar)
    return passed


@njit(**PLAIN)
@no_type_check
def pull_start(constants, unpack, initial, latest, bars):
    """From cotangents at each neuron's first event, in `bars`, those of initial states."""
    for j in range(initial.shape[0]):
        own = unpack(constants[j % constants.shape[0]])
        given = load(own, initial.T, j)
        factor = scale_of(own, given)
        start = latest[j] - latest[j]
        bar = arrive_back(own, clock(own, start), bars, latest, j, start, scale(own, given, factor))
        store(own, bars.T, j, scale(own, bar, factor))


@njit(**PLAIN)
@no_type_check
def pull(unpack, constants, net, inlets, initial, arrivals, train, used, end, limits, spike_bars, found):
    """Cotangents of weights (added), input times (set) and, in `bars`, of initial instead of final states.

    `arrivals`: times and channels of inputs; `train`: times and sources of spikes, inputs `preceding` each; `found`:
    bars of states, weights, input weights and input times. Where the trial ended with its last spike, for want of a
    duration, the final states depend on the time of it.
    """
    (times, channels), (spikes, sources, preceding) = arrivals, train
    bars, weight_bars, in_weight_bars, time_bars = found
    events = order_of_events(preceding, used)
    states, latest, records, (lifted, since) = replayed(
        constants, unpack, net, inlets, initial, spikes, sources, times, channels, events
    )
    passed, after, cursor = pull_end(constants, unpack, states, latest, end, bars), end, records.shape[0]
    passed = passed if limits[DURATION] == np.inf else 0.0
    for place in range(events.shape[0] - 1, -1, -1):
        e = events[place]
        now = times[-1 - e] if e < 0 else spikes[e]
        passed = passed if after == now else 0.0
        if e < 0:
            cursor, time_bar = pull_pulses(
                constants, unpack, inlets, channels[-1 - e], now, bars, latest, records, cursor, in_weight_bars
            )
            time_bars[-1 - e] = time_bar + passed
            passed = 0.0
        else:
            cursor, time_bar = pull_pulses(
                constants, unpack, net, sources[e], now, bars, latest, records, cursor, weight_bars
            )
            cursor, time_bar = cursor - 1, time_bar + spike_bars[e] + passed
            met = records[cursor : cursor + 1]
            passed = pull_spike(constants, unpack, sources[e], now, bars, latest, met, lifted[e], since[e], time_bar)
        after = now
    pull_start(constants, unpack, initial, latest, bars)


OPERANDS = NETWORK | {
    "spikes": number("spikes"),
    "sources": whole("spikes"),
    "preceding": whole("spikes"),
    "used": long("1"),
    "end": number("1"),
    "flags": whole("1"),
    "spike_bars": number("spikes"),
    "final_bars": number("neurons variables"),
}
RESULTS = {
    "weight_bars": number("values"),
    "in_weight_bars": number("in_values"),
    "state_bars": number("neurons variables"),
    "time_bars": number("inputs"),
}
BUFFERS = Buffers(f"{__name__}.PULL", common=OPERANDS, results=RESULTS)
arrays_of = BUFFERS.read


@njit(**PLAIN)
@no_type_check
def pull_operands(arrays):
    """Whether the run failed, and what `pull` takes; results set to zero, or to the final states' bars."""
    bars = arrays.state_bars
    arrays.weight_bars.fill(0)
    arrays.in_weight_bars.fill(0)
    arrays.time_bars.fill(0)
    failed = arrays.flags[0] != 0  # a run that failed has said so, and has no gradient
    for j in range(bars.shape[0]):
        for v in range(bars.shape[1]):
            bars[j, v] = 0 if failed else arrays.final_bars[j, v]
    count = np.searchsorted(arrays.spikes, np.inf)
    operands = (
        arrays.constants,
        (arrays.starts, arrays.targets, arrays.weights),
        (arrays.in_starts, arrays.in_targets, arrays.in_weights),
        arrays.states,
        (arrays.times, arrays.channels),
        (arrays.spikes[:count], arrays.sources, arrays.preceding[:count]),
        arrays.used[0],
        arrays.end[0],
        arrays.limits,
        arrays.spike_bars,
        (bars, arrays.weight_bars, arrays.in_weight_bars, arrays.time_bars),
    )
    return failed, operands


@no_type_check
def pull_trial(frame, job, unpack, dtype):
    """The trial, unless it failed."""
    failed, operands = pull_operands(arrays_of(frame, dtype))
    if not failed:
        pull(unpack, *operands)
    return 0


PULL = Kernel(BUFFERS, entry=pull_trial)
