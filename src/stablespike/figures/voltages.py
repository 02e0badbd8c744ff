"""Membrane voltages over time, of neurons whose voltage leaves the page at every spike."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, GREY, PALE


def plot_output_voltages(
    table: pd.DataFrame, axes: Axes, *, spikes: pd.DataFrame | None = None, limits: tuple[float, float] = (-6.0, 14.0)
) -> Axes:
    """Draw the voltage of every output neuron in one trial: the neuron of the right answer in colour, the others pale.

    `table` has the columns `time`, `neuron`, `voltage` and `label` (the right neuron, the same in all rows). Infinite
    voltages are fine: the axis is cut at `limits`, the data are not, and a line is broken where it comes back from
    +inf at -inf. `spikes` (`time`, `neuron`) are marked above the axis.
    """
    label = int(table["label"].iloc[0])
    for neuron, trace in sorted(table.groupby("neuron"), key=lambda item: item[0] == label):
        right = neuron == label
        trace = trace.sort_values("time", kind="stable")
        times, voltages = broken_at_spikes(trace["time"].to_numpy(float), trace["voltage"].to_numpy(float), limits)
        look = {"color": BLUE, "linewidth": 1.4, "zorder": 3} if right else {"color": PALE, "linewidth": 0.7}
        axes.plot(times, voltages, **look)
    if spikes is not None:
        right = (spikes["neuron"] == label).to_numpy()
        for chosen, colour in ((~right, GREY), (right, BLUE)):
            above = axes.get_xaxis_transform()
            axes.vlines(spikes["time"][chosen], 1.015, 1.075, colors=colour, lw=1, clip_on=False, transform=above)
    axes.set(xlabel="time", ylabel="output voltage", ylim=limits, xlim=(table["time"].min(), table["time"].max()))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes


def broken_at_spikes(
    times: np.ndarray, voltages: np.ndarray, limits: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The trace with a gap at each spike: where a sample is infinite, or falls by more than the visible range."""
    low, high = limits
    # Far outside of the axis but finite: the line runs off the page instead of ending short of its edge.
    bounded = np.clip(voltages, low - 50 * (high - low), high + 50 * (high - low))
    with np.errstate(invalid="ignore"):
        falls = np.flatnonzero(np.diff(bounded) < low - high) + 1
    return np.insert(times, falls, np.nan), np.insert(bounded, falls, np.nan)
