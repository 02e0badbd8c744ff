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
from numba import njit

from stablespike.native.bridge import array_at, spread
from stablespike.native.grid.forward import GATES, LAYER
from stablespike.native.kernel import Buffers, Kernel, nothing, number, whole
from stablespike.native.overrides.lines import PLAIN
from stablespike.native.tiles import ROWS, add_product, pack_transpose, width_of

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


BUFFERS = Buffers(
    f"{__name__}.PULL",
    rows=LAYER,
    own={
        "spikes": number("steps neurons"),
        "voltages": number("steps neurons"),
        "currents": number("steps neurons"),
        "slopes": number("steps neurons"),  # h
        "spike_bars": number("steps neurons"),
        "final_bars": number("2 neurons"),  # of V and I
    },
    common=GATES | {"blocks": whole("blocks size")},  # trials of every block, padded with -1
    results={
        "current_bars": number("steps neurons"),  # I_
        "start_bars": number("3 neurons"),
        "constant_bars": number("kept neurons"),  # four, or none if they are not wanted
    },
)
arrays_of, trial_of = BUFFERS.read, BUFFERS.read_trial


@njit(**PLAIN)
@no_type_check
def state_before(one, t):
    """(V, I, s) of a trial before step t."""
    if t > 0:
        return one.voltages[t - 1], one.currents[t - 1], one.spikes[t - 1]
    return one.start[0], one.start[1], one.start[2]


@njit(**PLAIN)
@no_type_check
def pull_step(one, t, voltage_bar, current_bar, spike_bar):
    """Step t of a trial backwards, from cotangents of the state after it to those before it, except for R.

    Before: what V, I and s get from later steps. After: the same, one step earlier, save that I_ is not decayed yet.
    """
    constants, gates, slope, before = one.constants, one.gates, one.slopes[t], state_before(one, t)
    driving = before[1] if gates[7] != 0 else one.currents[t]
    add_row(spike_bar, one.spike_bars[t])
    through_spike(slope, spike_bar, voltage_bar)
    if gates[7] == 0:
        add_driving(constants, gates, before[2], voltage_bar, current_bar)
    bars = one.current_bars[t]
    for j in range(bars.shape[0]):
        bars[j] = current_bar[j]
    if one.constant_bars.shape[0] > 0:
        threshold_through_spike(constants[3], one.voltages[t], slope, spike_bar, one.constant_bars)
        constants_through_update(constants, gates, before, driving, voltage_bar, bars, one.constant_bars)
    spike_bar.fill(0)
    if gates[6] != 0:
        through_reset(constants, gates, before[0], driving, voltage_bar, spike_bar)


@njit(**PLAIN)
@no_type_check
def pull_decay(one, t, voltage_bar, current_bar):
    """What V_ and I_ hand on to the state before step t."""
    constants, gates, spiked = one.constants, one.gates, state_before(one, t)[2]
    decay(constants[0], constants.dtype.type(0), spiked, current_bar)
    if gates[7] != 0:
        add_driving(constants, gates, spiked, voltage_bar, current_bar)
    decay(constants[1], gates[3], spiked, voltage_bar)


@njit(**PLAIN)
@no_type_check
def pull_block(members, panels, frame, dtype):
    """A block of trials that share their weights, from the last step to the first."""
    steps, neurons = arrays_of(frame, dtype).current_bars.shape[1:]
    rows = -(-members.shape[0] // ROWS) * ROWS
    voltage_bars, current_bars = np.zeros((rows, neurons), dtype), np.zeros((rows, neurons), dtype)
    spike_bars = np.zeros((rows, max(neurons, panels.shape[0] * panels.shape[2])), dtype)
    for m in range(members.shape[0]):
        one = trial_of(frame, np.int64(members[m]), 0, nothing, dtype)
        add_row(voltage_bars[m], one.final_bars[0])
        add_row(current_bars[m], one.final_bars[1])
    for t in range(steps - 1, -1, -1):
        for m in range(members.shape[0]):
            one = trial_of(frame, np.int64(members[m]), 0, nothing, dtype)
            pull_step(one, t, voltage_bars[m], current_bars[m], spike_bars[m])
        if panels.shape[0] > 0:
            add_product(spike_bars, current_bars, panels)
        for m in range(members.shape[0]):
            one = trial_of(frame, np.int64(members[m]), 0, nothing, dtype)
            pull_decay(one, t, voltage_bars[m], current_bars[m])
    for m in range(members.shape[0]):
        one = trial_of(frame, np.int64(members[m]), 0, nothing, dtype)
        add_row(one.start_bars[0], voltage_bars[m])
        add_row(one.start_bars[1], current_bars[m])
        add_row(one.start_bars[2], spike_bars[m, :neurons])


@njit(**PLAIN)
@no_type_check
def shape_of_panels(weights):
    """Shape of the packed transposes of all weights."""
    width = width_of(weights)
    return weights.shape[0], -(-weights.shape[1] // width), weights.shape[2], width


@no_type_check
def pull_one(k, frame, shared, unpack, dtype):
    """Block `k` of a call, with the weights' transposes at the address `shared`."""
    arrays, count = arrays_of(frame, dtype), 0
    padded, panels = arrays.blocks[k], array_at(shared, shape_of_panels(arrays.weights), dtype)
    while count < padded.shape[0] and padded[count] >= 0:
        count += 1
    weights_of_trial = arrays.table[padded[0], 1]
    pull_block(padded[:count], panels[weights_of_trial], frame, dtype)


@no_type_check
def pull(frame, job, unpack, dtype):
    """All trials, with the weights' transposes packed once."""
    arrays = arrays_of(frame, dtype)
    panels = np.zeros(shape_of_panels(arrays.weights), dtype)
    for table in range(panels.shape[0]):
        pack_transpose(arrays.weights[table], panels[table])
    arrays.start_bars.fill(0)
    arrays.constant_bars.fill(0)
    spread(job, arrays.blocks.shape[0], frame, panels.ctypes.data)
    return 0 * panels.shape[0]  # they are kept until here


PULL = Kernel(BUFFERS, entry=pull, job=pull_one)
