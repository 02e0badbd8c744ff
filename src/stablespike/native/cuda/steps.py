"""What one thread does with one neuron: from event to event, on a GPU as on a processor.

These functions allocate nothing and raise nothing, and numbers keep their type: what is written here and in the
neurons' lines compiles for both. A GPU runs them with a thread for each neuron, a processor in a loop over threads
(`targets`).
"""

import math
from typing import no_type_check

from numba import njit

from stablespike.native.conventions import INPUT_SOURCES, INPUT_TIMES, NOT_FINITE
from stablespike.native.overrides.lines import (
    PLAIN,
    flow,
    jump,
    may_spike,
    propagator,
    reset,
    scale,
    scale_of,
    wait_within,
)


@njit(**PLAIN)
@no_type_check
def never(constants):
    """The time of what does not happen, inf, in the type of the call."""
    return constants.one / (constants.one - constants.one)


@njit(**PLAIN)
@no_type_check
def finite(state):
    """Whether all numbers of a state are finite."""
    total = state[0] - state[0]
    for x in state:
        total += x - x
    return total == 0


@njit(**PLAIN)
@no_type_check
def deliverable(times, sources, duration, channels):
    """As `layer.forward.checked_inputs`: inputs up to the end of the trial, and the flags of malformed ones."""
    events, flags = 0, 0
    for k in range(times.shape[0]):
        if not times[k] >= 0 or (k > 0 and not times[k] >= times[k - 1]):
            flags |= INPUT_TIMES
            flags |= NOT_FINITE if times[k] != times[k] else 0
        if math.isfinite(times[k]) and not (sources[k] >= 0 and sources[k] < channels):
            flags |= INPUT_SOURCES
        if times[k] <= duration:
            events = k + 1
    return (0 if flags else events), flags


@njit(**PLAIN)
@no_type_check
def end_of_volley(times, first, inputs):
    """Past the last of the inputs that come together with the input `first`."""
    past = first + 1
    while past < inputs and times[past] == times[first]:
        past += 1
    return past


@njit(**PLAIN)
@no_type_check
def volley_weight(weights, neuron, sources, first, past):
    """Sum over a volley of one neuron's weights, in the order of `layer.forward.summed_rows`."""
    total = weights[0, neuron] - weights[0, neuron]
    k = first
    while k + 4 <= past:
        a, b = weights[sources[k], neuron], weights[sources[k + 1], neuron]
        c, d = weights[sources[k + 2], neuron], weights[sources[k + 3], neuron]
        total += (a + b) + (c + d)
        k += 4
    while k < past:
        total += weights[sources[k], neuron]
        k += 1
    return total


@njit(**PLAIN)
@no_type_check
def advance(constants, state, now, until, may):
    """To the neuron's next spike, if it comes by `until` and it `may` spike, else to `until`.

    The state there, the time, how long it took, and whether it spiked.
    """
    length = until - now
    step = propagator(constants, length)
    after = flow(constants, step, state)
    if may and may_spike(constants, step, state, after):
        pause = wait_within(constants, state, length)
        if now + pause <= until:
            return reset(constants, flow(constants, propagator(constants, pause), state)), now + pause, pause, True
    return after, until, length, False


@njit(**PLAIN)
@no_type_check
def scaled(constants, state):
    """The state at length one, where length has no meaning."""
    return scale(constants, state, scale_of(constants, state))


@njit(**PLAIN)
@no_type_check
def struck(constants, state, weight):
    """The state after a pulse, at length one."""
    return scaled(constants, jump(constants, state, weight))


@njit(**PLAIN)
@no_type_check
def flown(constants, state, dt):
    """The state after a free flow, at length one."""
    return scaled(constants, flow(constants, propagator(constants, dt), state))
