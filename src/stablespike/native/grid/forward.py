"""A layer of current-based leaky integrate-and-fire neurons on a time grid, driven and, or not, recurrent.

    I' = a I + drive + s R;  V' = (1 - rho s) b V + (1 - sigma s) g I* - kappa theta s;  s' = 1 if V' >= theta else 0

with I* = I' or I; rho, sigma and kappa, each 0 or 1, make the reset. Trials are spread over threads. A step is a few
short loops over neurons, each of which writes one array: those are what numba turns into vector instructions.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from stablespike.native.grid.spike_rows import pack, unpack_into
from stablespike.native.kernel import Buffers, Kernel, number, whole
from stablespike.native.layer.forward import summed_rows
from stablespike.native.overrides.lines import PLAIN


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
def run_trial(constants, weights, start, drive, gates, spikes, voltages, currents, words):
    """One trial, into spikes, voltages and currents of every step and the bits of the spikes before every step.

    The first step that failed, or their number.
    """
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


LAYER = {  # operands of a layer in one trial; without `pre` the layer is not recurrent
    "constants": number("4 neurons"),  # a, b, g, theta
    "weights": number("pre neurons"),
    "start": number("3 neurons"),  # V, I, s
    "drive": number("steps neurons"),
}
GATES = {"gates": number("8")}
RUN = Kernel(
    Buffers(
        f"{__name__}.RUN",
        rows=LAYER,
        common=GATES,
        results={
            "spikes": number("steps neurons"),
            "voltages": number("steps neurons"),
            "currents": number("steps neurons"),
            "words": whole("stamps words"),  # bits of the spikes before every step, and after the last
            "failed": whole(""),
        },
    ),
    trial=run_trial,
)
