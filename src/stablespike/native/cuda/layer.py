"""A layer of independent neurons on a GPU: a thread takes a neuron through a trial, and its cotangents back.

Values are those of `stablespike.native.layer`, to the last bits. Backwards, states are found again from the start of
the trial: first those at the beginning of blocks of about sqrt(steps) steps, then, from the last block to the first,
those of one block; a step leads to an own spike or to the next volley of inputs. So a thread keeps 2 sqrt(steps)
states, and they are those of the run itself. Cotangents of weights that trials share are summed by one thread, trial
after trial, for each group of trials and neuron: the order is fixed, and no addition is atomic.
"""

import math
from collections.abc import Callable
from typing import no_type_check

from numba import njit
from numba.extending import register_jitable

from stablespike.native.conventions import BUDGET_EXHAUSTED, NOT_FINITE
from stablespike.native.cuda.arrays import Arrays, number, whole
from stablespike.native.cuda.steps import advance, deliverable, end_of_volley, finite, never, scaled, volley_weight
from stablespike.native.layer.forward import RESCALE_EVERY
from stablespike.native.overrides.lines import (
    PLAIN,
    add_scaled,
    flow,
    flow_pullback,
    jump,
    jump_pullback,
    load,
    power,
    propagator,
    reset_pullback,
    scale,
    scale_of,
    store,
    tangent,
    wait_gradient,
)

NOW, LENGTH = range(2)  # of a step that is kept: when it begins, how long it takes
INPUT, SPIKE, VOLLEY = range(3)  # and inputs, own spikes and volleys before it


def most_steps(inputs: int, capacity: int) -> int:
    """Steps of a trial: to each volley, to each own spike and the one too many, to the end."""
    return inputs + capacity + 2


def block_size(steps: int) -> int:
    """Steps of a block, and number of blocks."""
    return math.isqrt(max(steps - 1, 0)) + 1


@njit(**PLAIN)
@no_type_check
def volley_reaches(constants, state, weight, volley):
    """The state after a volley; lengths without meaning are taken out now and then."""
    state = jump(constants, state, weight)
    return scaled(constants, state) if volley % RESCALE_EVERY == RESCALE_EVERY - 1 else state


@njit(**PLAIN)
@no_type_check
def run_neuron(constants, weights, neuron, state, times, sources, duration, train):
    """One neuron through a trial: final state, number of spikes, flags and the time up to which it can be used."""
    inputs, flags = deliverable(times, sources, duration, weights.shape[0])
    now, end, broken = duration - duration, duration, never(constants)
    k, volley, count = 0, 0, 0
    for i in range(train.shape[0]):
        train[i] = broken
    while True:
        until = times[k] if k < inputs else duration
        state, now, _, spiked = advance(constants, state, now, until, count <= train.shape[0])
        if spiked:
            if count < train.shape[0]:
                train[count] = now
            else:
                flags |= BUDGET_EXHAUSTED
                end = now
            count += 1
        else:
            last, first = k == inputs, k
            if not last:
                k = end_of_volley(times, first, inputs)
                weight = volley_weight(weights, neuron, sources, first, k)
                state = volley_reaches(constants, state, weight, volley)
                volley += 1
            if not finite(state) and not broken <= now:
                broken = now
            if last:
                break
    if not finite(state):
        flags |= NOT_FINITE
        end = broken if broken < end else end
    return scaled(constants, state), count, flags, end


def forward(unpack: Callable) -> Callable:
    """`one(lane, arrays)`: trial and neuron number `lane` of a layer, with the arrays of `FORWARD`."""

    @register_jitable
    @no_type_check
    def one(lane, arrays):
        constants, weights, states, times, sources, durations, table, spikes, counts, final, flags, ends = arrays
        if lane >= counts.shape[0] * counts.shape[1]:
            return
        b, j = lane // counts.shape[1], lane % counts.shape[1]
        row, here = table[b], unpack(constants[table[b, 0]])
        state, count, wrong, end = run_neuron(
            here, weights[row[1]], j, load(here, states[row[2]], j), times[row[3]], sources[row[4]], durations[row[5]],
            spikes[b, j],
        )  # fmt: skip
        counts[b, j], flags[b, j], ends[b, j] = count, wrong, end
        store(here, final[b], j, state)

    return one


@njit(**PLAIN)
@no_type_check
def keep(constants, kept, level, place, lane, state, moment, progress):
    """Keep the beginning of a step."""
    states, moments, places = kept
    store(constants, states[level, place], lane, state)
    moments[level, place, NOW, lane] = moment
    for one in range(3):
        places[level, place, one, lane] = progress[one]


@njit(**PLAIN)
@no_type_check
def kept_step(constants, kept, level, place, lane):
    """State, time and progress at the beginning of a step that was kept."""
    states, moments, places = kept
    progress = (places[level, place, 0, lane], places[level, place, 1, lane], places[level, place, 2, lane])
    return load(constants, states[level, place], lane), moments[level, place, NOW, lane], progress


@njit(**PLAIN)
@no_type_check
def replay(constants, weights, neuron, trial, kept, lane, first, steps, every):
    """Run a neuron again from the step kept at `first` of level 0, at most `steps` steps: how many there were.

    `every` > 1: that many steps apart, and at the end, steps are kept at level 0; `every` = 1: all of them at level 1.
    """
    times, sources, duration, inputs, capacity = trial
    state, now, (k, count, volley) = kept_step(constants, kept, 0, first, lane)
    level, taken, going = (1 if every == 1 else 0), 0, True
    while going and taken < steps:
        if taken % every == 0:
            keep(constants, kept, level, taken // every, lane, state, now, (k, count, volley))
        until = times[k] if k < inputs else duration
        state, now, length, spiked = advance(constants, state, now, until, count <= capacity)
        if every == 1:
            kept[1][1, taken, LENGTH, lane] = length
        if spiked:
            count += 1
        elif k == inputs:
            going = False
        else:
            past = end_of_volley(times, k, inputs)
            weight = volley_weight(weights, neuron, sources, k, past)
            state = volley_reaches(constants, state, weight, volley)
            k, volley = past, volley + 1
        taken += 1
    if every == 1:
        keep(constants, kept, level, taken, lane, state, now, (k, count, volley))
    return taken


@njit(**PLAIN)
@no_type_check
def within_volley(constants, state, bar, weights, neuron, sources, first, past, time_bars):
    """Cotangents of the times of the inputs of a volley: the change of bar . d(state)/dt across each."""
    for k in range(first, past - 1):
        weight = weights[sources[k], neuron]
        state, bar = jump(constants, state, weight), jump_pullback(constants, state, -weight, bar)[0]
        change = power(constants, state, bar)
        time_bars[k, neuron] -= change
        time_bars[k + 1, neuron] += change


@njit(**PLAIN)
@no_type_check
def through_volley(constants, weights, neuron, sources, step, after, bar, now_bar, bars_of):
    """Back through a volley that met the state `after`; cotangents of its weights and times are added."""
    first, past, volley = step
    weight_bars, time_bars = bars_of
    weight = volley_weight(weights, neuron, sources, first, past)
    if volley % RESCALE_EVERY == RESCALE_EVERY - 1:
        bar = scale(constants, bar, scale_of(constants, jump(constants, after, weight)))
    bar, weight_bar = jump_pullback(constants, after, weight, bar)
    for k in range(first, past):
        weight_bars[sources[k], neuron] += weight_bar
    if time_bars.shape[0] > 0:
        time_bars[past - 1, neuron] += now_bar
        within_volley(constants, after, bar, weights, neuron, sources, first, past, time_bars)
    return bar


@njit(**PLAIN)
@no_type_check
def pull_step(constants, weights, neuron, trial, kept, lane, place, bar, now_bar, spike_bars, bars_of):
    """Back through one step that is kept at level 1: the cotangents of the state and the time at which it begins."""
    state, _, (first, fired, volley) = kept_step(constants, kept, 1, place, lane)
    places = kept[2][1, place + 1]
    past, spiked = places[INPUT, lane], places[SPIKE, lane] > fired
    step = propagator(constants, kept[1][1, place, LENGTH, lane])
    after = flow(constants, step, state)
    if spiked:
        bar = reset_pullback(constants, after, bar)
    elif past > first:
        bar = through_volley(constants, weights, neuron, trial[1], (first, past, volley), after, bar, now_bar, bars_of)
    else:
        factor = scale_of(constants, after)
        bar = scale(constants, tangent(constants, scale(constants, after, factor), bar), factor)
    bar, length_bar = flow_pullback(constants, step, state, after, bar)
    if spiked:
        now_bar += spike_bars[fired] if fired < spike_bars.shape[0] else now_bar - now_bar
        return add_scaled(constants, bar, wait_gradient(constants, state), length_bar + now_bar), now_bar
    if past > first and bars_of[1].shape[0] > 0:
        bars_of[1][first, neuron] += length_bar
    return bar, -length_bar


@njit(**PLAIN)
@no_type_check
def pull_neuron(constants, weights, neuron, state, trial, kept, lane, size, spike_bars, bar, bars_of):
    """One neuron back through one trial, from the cotangent of its final state to that of its initial one."""
    zero = trial[2] - trial[2]
    keep(constants, kept, 0, 0, lane, state, zero, (0, 0, 0))
    steps = replay(constants, weights, neuron, trial, kept, lane, 0, size * size, size)
    now_bar = zero
    for block in range((steps - 1) // size, -1, -1):
        taken = replay(constants, weights, neuron, trial, kept, lane, block, min(size, steps - block * size), 1)
        for place in range(taken - 1, -1, -1):
            bar, now_bar = pull_step(
                constants, weights, neuron, trial, kept, lane, place, bar, now_bar, spike_bars, bars_of
            )
    return bar


def adjoint(unpack: Callable) -> Callable:
    """`one(lane, arrays)`: group of trials and neuron number `lane`, backwards, with the arrays of `ADJOINT`."""

    @register_jitable
    @no_type_check
    def one(lane, arrays):
        constants, weights, states, times, sources, durations, table = arrays[:7]
        spike_bars, final_bars, members, kept_states, moments, places, weight_bars, state_bars, time_bars = arrays[7:]
        if lane >= weight_bars.shape[0] * weight_bars.shape[2]:
            return
        group, j = lane // weight_bars.shape[2], lane % weight_bars.shape[2]
        for channel in range(weight_bars.shape[1]):
            weight_bars[group, channel, j] = 0
        kept, size = (kept_states, moments, places), kept_states.shape[1] - 1
        for member in range(members.shape[1]):
            b = members[group, member]
            if b >= 0:
                row, here = table[b], unpack(constants[table[b, 0]])
                for k in range(time_bars.shape[1]):
                    time_bars[b, k, j] = 0
                train, channels, duration = times[row[3]], sources[row[4]], durations[row[5]]
                inputs, _ = deliverable(train, channels, duration, weights.shape[1])
                trial = train, channels, duration, inputs, spike_bars.shape[2]
                state, bar = load(here, states[row[2]], j), load(here, final_bars[b], j)
                bars_of = weight_bars[group], time_bars[b]
                bar = pull_neuron(
                    here, weights[row[1]], j, state, trial, kept, lane, size, spike_bars[b, j], bar, bars_of
                )
                store(here, state_bars[b], j, bar)

    return one


LAYER = {
    "constants": number("_ constants"),
    "weights": number("_ channels neurons"),
    "states": number("_ variables neurons"),
    "times": number("_ inputs"),
    "sources": whole("_ inputs"),
    "durations": number("_"),
    "table": whole("trials operands"),  # the row that a trial uses of each of those before
}
FORWARD = Arrays(
    LAYER,
    {
        "spikes": number("trials neurons capacity"),
        "counts": whole("trials neurons"),
        "final": number("trials variables neurons"),
        "flags": whole("trials neurons"),
        "ends": number("trials neurons"),
    },
)
ADJOINT = Arrays(
    LAYER
    | {
        "spike_bars": number("trials neurons capacity"),
        "final_bars": number("trials variables neurons"),
        "members": whole("groups members"),  # trials whose cotangents of weights are summed; -1 = none
    },
    {  # `levels` is 2, `places` one more than the steps of a block, `moment` 2, `progress` 3
        "kept_states": number("levels places variables lanes"),
        "moments": number("levels places moment lanes"),
        "progress": whole("levels places progress lanes"),
        "weight_bars": number("groups channels neurons"),
        "state_bars": number("trials variables neurons"),
        "time_bars": number("trials wanted neurons"),  # to be summed over neurons
    },
)
