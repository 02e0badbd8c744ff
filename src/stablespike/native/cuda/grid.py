"""A layer of current-based LIF neurons on a time grid, on a GPU: one launch takes it through all steps of all trials.

The equations are those of `stablespike.native.grid`, and so are the lines that a thread runs, on the slice of neurons
that it has to itself. Of a layer without recurrent weights a thread takes one neuron through one trial. Of a recurrent
one a block of threads takes a trial: thread t has the neurons t, t + threads, t + 2 threads, ..., and what all of them
need to know of a step lies in the memory of the device: forwards the list of neurons that spiked, in their order, for
sums over the rows of the weights; backwards the cotangents of the currents, for the product with the transposed
weights. Every number of a result is one sum in a fixed order by one thread. Cotangents of weights are left to a matrix
product.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

from numba import njit
from numba.extending import register_jitable

from stablespike.native.cuda.arrays import Arrays, number, whole
from stablespike.native.cuda.team import GROUP
from stablespike.native.grid.adjoint import add_row, pull_decay, pull_step, state_before
from stablespike.native.grid.forward import step_current, step_spikes, step_voltage
from stablespike.native.layer.forward import summed_rows
from stablespike.native.overrides.lines import PLAIN


class Own(NamedTuple):
    """A thread's neurons in one trial, with the names that the lines of `native.grid` know."""

    constants: Any
    gates: Any
    start: Any
    spikes: Any
    voltages: Any
    currents: Any


class OwnBars(NamedTuple):
    """The same backwards."""

    constants: Any
    gates: Any
    start: Any
    spikes: Any
    voltages: Any
    currents: Any
    slopes: Any
    spike_bars: Any
    current_bars: Any
    constant_bars: Any


@njit(**PLAIN)
@no_type_check
def count_spikes(t, threads, spiked, counts):
    """How many neurons spike in each group that falls to a thread."""
    for group in range(t, counts.shape[0], threads):
        counts[group] = 0
        for j in range(group * GROUP, min(group * GROUP + GROUP, spiked.shape[0])):
            counts[group] += 1 if spiked[j] != 0 else 0


@njit(**PLAIN)
@no_type_check
def list_spikes(t, threads, spiked, counts, channels):
    """Write the neurons that spike, of each group that falls to a thread, behind those of the groups before it."""
    for group in range(t, counts.shape[0], threads):
        place = total_of(counts[:group])
        for j in range(group * GROUP, min(group * GROUP + GROUP, spiked.shape[0])):
            if spiked[j] != 0:
                channels[place] = j
                place += 1


@njit(**PLAIN)
@no_type_check
def total_of(counts):
    """Sum of whole numbers."""
    total = 0
    for one in counts:
        total += one
    return total


@njit(**PLAIN)
@no_type_check
def own_of(arrays, b, t, threads):
    """What a thread has of trial `b`."""
    constants, _, start, _, table, gates, spikes, voltages, currents = arrays[:9]
    row = table[b]
    return Own(
        constants[row[0]][:, t::threads], gates, start[row[2]][:, t::threads],
        spikes[b][:, t::threads], voltages[b][:, t::threads], currents[b][:, t::threads],
    )  # fmt: skip


@njit(**PLAIN)
@no_type_check
def step_own(own, step, weights, channels, drive):
    """One step of a thread's neurons; `channels` spiked before it. The new currents are room for the pulses."""
    constants, gates, after = own.constants, own.gates, own.currents[step]
    voltage, current, spiked = state_before(own, step)
    summed_rows(weights, 0, channels, after)
    step_current(constants[0], current, drive, after, after)
    step_voltage(constants, gates, spiked, voltage, current if gates[7] != 0 else after, own.voltages[step])
    step_spikes(constants[3], own.voltages[step], own.spikes[step])


@njit(**PLAIN)
@no_type_check
def note_failure(own, failed):
    """For each of a thread's neurons what `native.grid.forward.first_failure` says of all."""
    steps = own.voltages.shape[0]
    for j in range(failed.shape[0]):
        failed[j] = steps
        if not (math.isfinite(own.voltages[steps - 1, j]) and math.isfinite(own.currents[steps - 1, j])):
            failed[j] = steps - 1  # what is not finite stays so
            while failed[j] > 0 and not math.isfinite(own.voltages[failed[j] - 1, j]):
                failed[j] -= 1


@register_jitable
@no_type_check
def forward_alone(lane, arrays):
    """Trial and neuron number `lane` of a layer without recurrent weights, with the arrays of `FORWARD`."""
    weights, drive, table, failed, channels = arrays[1], arrays[3], arrays[4], arrays[9], arrays[10]
    trials, neurons = failed.shape
    if lane < trials * neurons:
        b, j = lane // neurons, lane % neurons
        own, row = own_of(arrays, b, j, neurons), table[b]
        mine, arriving = weights[row[1]][:, j::neurons], drive[row[3]][:, j::neurons]
        for step in range(arriving.shape[0]):
            step_own(own, step, mine, channels[b][:0], arriving[step])
        note_failure(own, failed[b, j::neurons])


def forward(threads: int, barrier: Callable) -> Callable:
    """`one(block, first, past, arrays)`: threads `first` to `past` - 1 of a block take trial `block`, recurrent."""

    @register_jitable
    @no_type_check
    def one(block, first, past, arrays):
        _, weights, start, drive, table, _, spikes, _, _, failed, channels, counts = arrays
        row, who, many = table[block], channels[block], counts[block]
        for step in range(drive.shape[1]):
            before = start[row[2], 2] if step == 0 else spikes[block, step - 1]
            for t in range(first, past):
                count_spikes(t, threads, before, many)
            barrier()
            for t in range(first, past):
                list_spikes(t, threads, before, many, who)
            barrier()
            for t in range(first, past):
                own, arriving = own_of(arrays, block, t, threads), drive[row[3], step, t::threads]
                step_own(own, step, weights[row[1]][:, t::threads], who[: total_of(many)], arriving)
            barrier()
        for t in range(first, past):
            note_failure(own_of(arrays, block, t, threads), failed[block, t::threads])

    return one


@njit(**PLAIN)
@no_type_check
def own_bars_of(arrays, b, t, threads):
    """What a thread has of trial `b` backwards, and its cotangents of V, I and s: those of the start, in the end."""
    constants, _, start, table, gates, spikes, voltages, currents, slopes, spike_bars = arrays[:10]
    current_bars, start_bars, constant_bars = arrays[11:]
    row = table[b]
    own = OwnBars(
        constants[row[0]][:, t::threads], gates, start[row[2]][:, t::threads],
        spikes[b][:, t::threads], voltages[b][:, t::threads], currents[b][:, t::threads],
        slopes[b][:, t::threads], spike_bars[b][:, t::threads],
        current_bars[b][:, t::threads], constant_bars[b][:, t::threads],
    )  # fmt: skip
    return own, start_bars[b][:, t::threads]


@njit(**PLAIN)
@no_type_check
def begin_own(own, bars, final_bars):
    """The cotangents after the last step, and nothing summed."""
    bars.fill(0)
    own.constant_bars.fill(0)
    add_row(bars[0], final_bars[0])
    add_row(bars[1], final_bars[1])


@njit(**PLAIN)
@no_type_check
def add_transposed(current_bars, transposed, spike_bar):
    """s_ += I_ R' for a thread's neurons."""
    for j in range(spike_bar.shape[0]):
        total = spike_bar[j]
        for k in range(current_bars.shape[0]):
            total += current_bars[k] * transposed[k, j]
        spike_bar[j] = total


@register_jitable
@no_type_check
def adjoint_alone(lane, arrays):
    """Trial and neuron number `lane` of a layer without recurrent weights, backwards, with the arrays of `ADJOINT`."""
    final_bars, current_bars = arrays[10], arrays[11]
    trials, steps, neurons = current_bars.shape
    if lane < trials * neurons:
        b, j = lane // neurons, lane % neurons
        own, bars = own_bars_of(arrays, b, j, neurons)
        begin_own(own, bars, final_bars[b][:, j::neurons])
        for step in range(steps - 1, -1, -1):
            pull_step(own, step, bars[0], bars[1], bars[2])
            pull_decay(own, step, bars[0], bars[1])


def adjoint(threads: int, barrier: Callable) -> Callable:
    """`one(block, first, past, arrays)`: a block of threads takes trial `block` backwards, recurrent."""

    @register_jitable
    @no_type_check
    def one(block, first, past, arrays):
        transposed, table, final_bars, current_bars = arrays[1], arrays[3], arrays[10], arrays[11]
        among = transposed[table[block, 1]]
        for t in range(first, past):
            own, bars = own_bars_of(arrays, block, t, threads)
            begin_own(own, bars, final_bars[block][:, t::threads])
        for step in range(current_bars.shape[1] - 1, -1, -1):
            for t in range(first, past):
                own, bars = own_bars_of(arrays, block, t, threads)
                pull_step(own, step, bars[0], bars[1], bars[2])
            barrier()
            for t in range(first, past):
                own, bars = own_bars_of(arrays, block, t, threads)
                add_transposed(current_bars[block, step], among[:, t::threads], bars[2])
                pull_decay(own, step, bars[0], bars[1])

    return one


FORWARD = Arrays(
    {
        "constants": number("_ four neurons"),  # a, b, g, theta
        "weights": number("_ pre neurons"),
        "start": number("_ three neurons"),  # V, I, s
        "drive": number("_ steps neurons"),
        "table": whole("trials operands"),  # the row that a trial uses of each of those before
        "gates": number("eight"),
    },
    {
        "spikes": number("trials steps neurons"),
        "voltages": number("trials steps neurons"),
        "currents": number("trials steps neurons"),
        "failed": whole("trials neurons"),
        "channels": whole("trials listed"),  # who spiked before a step; `listed`: the neurons, or none
        "counts": whole("trials groups"),
    },
)
ADJOINT = Arrays(
    {
        "constants": number("_ four neurons"),
        "transposed": number("_ post neurons"),  # weights, by the neuron that is reached
        "start": number("_ three neurons"),
        "table": whole("trials rows"),  # the row that a trial uses of each of those before
        "gates": number("eight"),
        "spikes": number("trials steps neurons"),
        "voltages": number("trials steps neurons"),
        "currents": number("trials steps neurons"),
        "slopes": number("trials steps neurons"),
        "spike_bars": number("trials steps neurons"),
        "final_bars": number("trials two neurons"),
    },
    {
        "current_bars": number("trials steps neurons"),
        "start_bars": number("trials three neurons"),
        "constant_bars": number("trials kept neurons"),  # four, or none if they are not wanted
    },
)
