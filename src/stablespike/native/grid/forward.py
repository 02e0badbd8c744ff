"""A layer of current-based leaky integrate-and-fire neurons on a time grid, driven and, or not, recurrent.

    I' = a I + drive + s R;  V' = (1 - rho s) b V + (1 - sigma s) g I* - kappa theta s;  s' = 1 if V' >= theta else 0

with I* = I' or I; rho, sigma and kappa, each 0 or 1, make the reset. Trials are spread over threads. A step is a few
short loops over neurons, each of which writes one array: those are what numba turns into vector instructions.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from stablespike.native.bridge import ARGUMENTS, RESULTS, cube, matrix, vector
from stablespike.native.grid.spike_rows import pack, unpack_into
from stablespike.native.layer.forward import PRANGE_ONLY, summed_rows
from stablespike.native.overrides.lines import PLAIN

CONSTANTS, WEIGHTS, START, DRIVE, GATES, ROWS = range(6)  # the arguments of the kernel


class Gates(NamedTuple):
    """Which terms of the update there are: rho, sigma and kappa forwards, the same for the derivative, whether the
    derivative goes through the spikes that reset, and whether the current before its update drives the membrane.
    """

    decayed: int
    driven: int
    subtracted: int
    decayed_felt: int
    driven_felt: int
    subtracted_felt: int
    spikes_felt: int
    old: int


@njit(**PLAIN)
@no_type_check
def step_current(a, before, drive, pulses, after):
    """I' = a I + drive + s R."""
    for j in range(after.shape[0]):
        after[j] = a[j] * before[j] + (drive[j] + pulses[j])


@njit(**PLAIN)
@no_type_check
def step_voltage(constants, gates, spiked, before, driving, after):
    """V' from V, s and I*."""
    b, g, threshold = constants[1], constants[2], constants[3]
    rho, sigma, kappa, one = gates[0], gates[1], gates[2], b.dtype.type(1)
    for j in range(after.shape[0]):
        free = (one - rho * spiked[j]) * (b[j] * before[j]) + (one - sigma * spiked[j]) * (g[j] * driving[j])
        after[j] = free - kappa * spiked[j] * threshold[j]


@njit(**PLAIN)
@no_type_check
def step_spikes(threshold, voltage, spiked):
    """s' = 1 where V' >= theta."""
    one = threshold.dtype.type(1)
    for j in range(spiked.shape[0]):
        spiked[j] = one if voltage[j] >= threshold[j] else 0 * one


@njit(**PLAIN)
@no_type_check
def first_failure(voltages, current):
    """First step after which a voltage is not finite; the number of steps if none, one less if a current is not."""
    steps = voltages.shape[0]
    total = current[0] - current[0]
    for j in range(current.shape[0]):
        total += (current[j] - current[j]) + (voltages[steps - 1, j] - voltages[steps - 1, j])
    if total == 0:  # what is not finite stays so
        return steps
    for t in range(steps):
        for j in range(current.shape[0]):
            if not np.isfinite(voltages[t, j]):
                return t
    return steps - 1


@njit(**PLAIN)
@no_type_check
def run_trial(constants, gates, weights, start, drive, words, spikes, voltages, currents):
    """One trial, into spikes, voltages and currents of every step and the bits of the spikes before every step."""
    voltage, current, spiked = start[0], start[1], start[2]
    pulses, channels = np.zeros(drive.shape[1], drive.dtype), np.empty(drive.shape[1], np.int64)
    pack(spiked, words[0])
    for t in range(drive.shape[0]):
        if weights.shape[0] > 0:
            summed_rows(weights, 0, channels[: unpack_into(words[t], channels)], pulses)
        step_current(constants[0], current, drive[t], pulses, currents[t])
        step_voltage(constants, gates, spiked, voltage, current if gates[7] != 0 else currents[t], voltages[t])
        step_spikes(constants[3], voltages[t], spikes[t])
        voltage, current, spiked = voltages[t], currents[t], spikes[t]
        pack(spiked, words[t + 1])
    return first_failure(voltages, current)


@njit(**PLAIN)
@no_type_check
def run_one(b, frame, dtype):
    """Trial `b` of a call."""
    row = matrix(frame, ARGUMENTS, ROWS, np.int32)[b]
    vector(frame, RESULTS, 4, np.int32)[b] = run_trial(
        cube(frame, ARGUMENTS, CONSTANTS, dtype)[row[CONSTANTS]],
        vector(frame, ARGUMENTS, GATES, dtype),
        cube(frame, ARGUMENTS, WEIGHTS, dtype)[row[WEIGHTS]],
        cube(frame, ARGUMENTS, START, dtype)[row[START]],
        cube(frame, ARGUMENTS, DRIVE, dtype)[row[DRIVE]],
        cube(frame, RESULTS, 3, np.int32)[b],
        cube(frame, RESULTS, 0, dtype)[b],
        cube(frame, RESULTS, 1, dtype)[b],
        cube(frame, RESULTS, 2, dtype)[b],
    )


@njit(parallel=PRANGE_ONLY, **PLAIN)
@no_type_check
def run(count, frame, dtype):
    """All trials."""
    for b in prange(count):
        run_one(np.int64(b), frame, dtype)


@register_jitable
@no_type_check
def run_entry(frame, unpack, dtype):
    """Arguments: constants `[_, 4, neurons]` (a, b, g, theta), weights R `[_, pre, post]` (no `pre`: not recurrent),
    start `[_, 3, neurons]` (V, I, s), drive `[_, steps, neurons]`, gates, and which row `[trials, 4]` of each operand a
    trial uses. Results of every trial: spikes, voltages, currents `[steps, neurons]`, bits of the spikes
    `[steps + 1, words]`, the first step that failed.
    """
    run(matrix(frame, ARGUMENTS, ROWS, np.int32).shape[0], frame, dtype)
    return 0
