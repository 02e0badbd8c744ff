"""The adjoint of a recurrent layer on a time grid, backwards through the recorded voltages and currents.

With cotangents V_, I_ and s_ of the state after step t, h the surrogate derivative there, and those of step t + 1
known, the update of `native/grid/forward.py` gives (derivative through the resetting spikes only where it is wanted)

    s_ = (from outside) + I_(t+1) R' - (rho b V + sigma g I* + kappa theta) V_(t+1)
    V_ = (1 - rho s) b V_(t+1) + h s_
    I_ = a I_(t+1) + (1 - sigma s) g V_, where s and V_ are those of the step in which I drives V.

The product with the transposed weights is dense, since a surrogate derivative is zero nowhere: it is made for several
trials at a time, in registers. What weights and drive get is I_, which is kept.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from stablespike.native.bridge import ARGUMENTS, RESULTS, cube, matrix, vector
from stablespike.native.grid.forward import CONSTANTS, GATES, START, WEIGHTS
from stablespike.native.layer.forward import PRANGE_ONLY
from stablespike.native.overrides.lines import PLAIN
from stablespike.native.tiles import ROWS as TILE_ROWS
from stablespike.native.tiles import add_product, pack_transpose, width_of

TABLE, SPIKES, VOLTAGES, CURRENTS, SLOPES, SPIKE_BARS, FINAL_BARS, MEMBERS = range(5, 13)  # further arguments
BLOCK = 16  # trials that share a product


@njit(**PLAIN)
@no_type_check
def add_row(to, one):
    """to += one, as far as that goes."""
    for j in range(one.shape[0]):
        to[j] += one[j]


@njit(**PLAIN)
@no_type_check
def through_spike(slope, spike_bar, voltage_bar):
    """V_ += h s_."""
    for j in range(voltage_bar.shape[0]):
        voltage_bar[j] += slope[j] * spike_bar[j]


@njit(**PLAIN)
@no_type_check
def add_driving(constants, gates, spiked, voltage_bar, current_bar):
    """I_ += (one - sigma s) g V_."""
    g, sigma, one = constants[2], gates[4], constants.dtype.type(1)
    for j in range(current_bar.shape[0]):
        current_bar[j] += (one - sigma * spiked[j]) * (g[j] * voltage_bar[j])


@njit(**PLAIN)
@no_type_check
def through_reset(constants, gates, voltage, driving, voltage_bar, spike_bar):
    """s_ -= (rho b V + sigma g I* + kappa theta) V_."""
    b, g, threshold = constants[1], constants[2], constants[3]
    rho, sigma, kappa = gates[3], gates[4], gates[5]
    for j in range(voltage.shape[0]):
        factor = rho * (b[j] * voltage[j]) + sigma * (g[j] * driving[j]) + kappa * threshold[j]
        spike_bar[j] -= factor * voltage_bar[j]


@njit(**PLAIN)
@no_type_check
def decay(factor, gate, spiked, bar):
    """bar *= (1 - gate s) factor."""
    one = factor.dtype.type(1)
    for j in range(bar.shape[0]):
        bar[j] *= (one - gate * spiked[j]) * factor[j]


@njit(**PLAIN)
@no_type_check
def constants_through_update(constants, gates, before, driving, voltage_bar, current_bar, sums):
    """Cotangents of a, b, g and of the threshold that is subtracted, from one step; `before` is (V, I, s)."""
    voltage, current, spiked = before
    rho, sigma, kappa, one = gates[3], gates[4], gates[5], sums.dtype.type(1)
    for j in range(voltage.shape[0]):
        sums[0, j] += current[j] * current_bar[j]
        sums[1, j] += (one - rho * spiked[j]) * (voltage[j] * voltage_bar[j])
        sums[2, j] += (one - sigma * spiked[j]) * (driving[j] * voltage_bar[j])
        sums[3, j] -= kappa * spiked[j] * voltage_bar[j]


@njit(**PLAIN)
@no_type_check
def threshold_through_spike(threshold, voltage, slope, spike_bar, sums):
    """Cotangent of the threshold in V/theta - 1, where `slope` is that in V."""
    for j in range(voltage.shape[0]):
        sums[3, j] -= slope[j] * spike_bar[j] * (voltage[j] / threshold[j])


@njit(**PLAIN)
@no_type_check
def state_before(b, t, frame, dtype):
    """(V, I, s) of trial `b` before step t."""
    if t > 0:
        voltage = cube(frame, ARGUMENTS, VOLTAGES, dtype)[b, t - 1]
        current = cube(frame, ARGUMENTS, CURRENTS, dtype)[b, t - 1]
        return voltage, current, cube(frame, ARGUMENTS, SPIKES, dtype)[b, t - 1]
    start = cube(frame, ARGUMENTS, START, dtype)[matrix(frame, ARGUMENTS, TABLE, np.int32)[b, START]]
    return start[0], start[1], start[2]


@njit(**PLAIN)
@no_type_check
def pull_step(b, t, frame, dtype, voltage_bar, current_bar, spike_bar):
    """Step t of trial `b` backwards, from cotangents of the state after it to those before it, except for R.

    Before: what V, I and s get from later steps. After: the same, one step earlier, save that I_ is not decayed yet.
    """
    constants = cube(frame, ARGUMENTS, CONSTANTS, dtype)[matrix(frame, ARGUMENTS, TABLE, np.int32)[b, CONSTANTS]]
    gates, sums = vector(frame, ARGUMENTS, GATES, dtype), cube(frame, RESULTS, 2, dtype)
    slope, after = cube(frame, ARGUMENTS, SLOPES, dtype)[b, t], cube(frame, ARGUMENTS, VOLTAGES, dtype)[b, t]
    before = state_before(b, t, frame, dtype)
    driving = before[1] if gates[7] != 0 else cube(frame, ARGUMENTS, CURRENTS, dtype)[b, t]
    add_row(spike_bar, cube(frame, ARGUMENTS, SPIKE_BARS, dtype)[b, t])
    through_spike(slope, spike_bar, voltage_bar)
    if gates[7] == 0:
        add_driving(constants, gates, before[2], voltage_bar, current_bar)
    bars = cube(frame, RESULTS, 0, dtype)[b, t]
    for j in range(bars.shape[0]):
        bars[j] = current_bar[j]
    if sums.shape[1] > 0:
        threshold_through_spike(constants[3], after, slope, spike_bar, sums[b])
        constants_through_update(constants, gates, before, driving, voltage_bar, bars, sums[b])
    spike_bar.fill(0)
    if gates[6] != 0:
        through_reset(constants, gates, before[0], driving, voltage_bar, spike_bar)


@njit(**PLAIN)
@no_type_check
def pull_decay(b, t, frame, dtype, voltage_bar, current_bar):
    """What V_ and I_ hand on to the state before step t."""
    constants = cube(frame, ARGUMENTS, CONSTANTS, dtype)[matrix(frame, ARGUMENTS, TABLE, np.int32)[b, CONSTANTS]]
    gates, spiked = vector(frame, ARGUMENTS, GATES, dtype), state_before(b, t, frame, dtype)[2]
    decay(constants[0], constants.dtype.type(0), spiked, current_bar)
    if gates[7] != 0:
        add_driving(constants, gates, spiked, voltage_bar, current_bar)
    decay(constants[1], gates[3], spiked, voltage_bar)


@njit(**PLAIN)
@no_type_check
def pull_block(members, panels, frame, dtype):
    """A block of trials that share their weights, from the last step to the first."""
    final, start = cube(frame, ARGUMENTS, FINAL_BARS, dtype), cube(frame, RESULTS, 1, dtype)
    rows = -(-members.shape[0] // TILE_ROWS) * TILE_ROWS
    voltage_bars, current_bars = np.zeros((rows, final.shape[2]), dtype), np.zeros((rows, final.shape[2]), dtype)
    spike_bars = np.zeros((rows, max(final.shape[2], panels.shape[0] * panels.shape[2])), dtype)
    for m in range(members.shape[0]):
        add_row(voltage_bars[m], final[members[m], 0])
        add_row(current_bars[m], final[members[m], 1])
    for t in range(cube(frame, RESULTS, 0, dtype).shape[1] - 1, -1, -1):
        for m in range(members.shape[0]):
            pull_step(members[m], t, frame, dtype, voltage_bars[m], current_bars[m], spike_bars[m])
        if panels.shape[0] > 0:
            add_product(spike_bars, current_bars, panels)
        for m in range(members.shape[0]):
            pull_decay(members[m], t, frame, dtype, voltage_bars[m], current_bars[m])
    for m in range(members.shape[0]):
        add_row(start[members[m], 0], voltage_bars[m])
        add_row(start[members[m], 1], current_bars[m])
        add_row(start[members[m], 2], spike_bars[m, : final.shape[2]])


@njit(**PLAIN)
@no_type_check
def pull_one(k, panels, frame, dtype):
    """Block `k` of a call."""
    padded = matrix(frame, ARGUMENTS, MEMBERS, np.int32)[k]
    count = 0
    while count < padded.shape[0] and padded[count] >= 0:
        count += 1
    table = matrix(frame, ARGUMENTS, TABLE, np.int32)[padded[0], WEIGHTS]
    pull_block(padded[:count], panels[table], frame, dtype)


@njit(parallel=PRANGE_ONLY, **PLAIN)
@no_type_check
def pull(count, panels, frame, dtype):
    """All blocks."""
    for k in prange(count):
        pull_one(np.int64(k), panels, frame, dtype)


@register_jitable
@no_type_check
def pull_entry(frame, unpack, dtype):
    """Arguments: those of the run, spikes, voltages, currents, slopes h of all trials `[trials, steps, neurons]`,
    cotangents of the spikes and of V and I at the end `[trials, 2, neurons]`, the trials of every block
    `[blocks, BLOCK]`, padded with -1. Results: I_ of every step, cotangents of the start `[trials, 3, neurons]`, and of
    the constants `[trials, 4, neurons]` (with 0 in place of 4 where they are not wanted).
    """
    weights = cube(frame, ARGUMENTS, WEIGHTS, dtype)
    width = width_of(weights)
    panels = np.zeros((weights.shape[0], -(-weights.shape[1] // width), weights.shape[2], width), dtype)
    for table in range(weights.shape[0]):
        pack_transpose(weights[table], panels[table])
    cube(frame, RESULTS, 1, dtype).fill(0)
    cube(frame, RESULTS, 2, dtype).fill(0)
    pull(matrix(frame, ARGUMENTS, MEMBERS, np.int32).shape[0], panels, frame, dtype)
    return 0
