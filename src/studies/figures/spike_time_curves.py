"""Spike times against one number, their slopes, and how the slopes end with the spike."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from stablespike.figures.style import GREY, INK, NEURONS

# Order of drawing: the curve that breaks off on top of the one that does not.
ORDER = ("QIF", "LIF")


def plot_spike_time(table: pd.DataFrame, axes: Axes, *, duration: float) -> Axes:
    """Draw the first spike time against `value`, one line per `neuron`, up to the trial end (dashed).

    `table` has the columns `neuron`, `value`, `spike_time`, inf where there is no spike: there the line ends. A spike
    that ends before the trial does leaves an open circle, and a dotted line over the jump.
    """
    axes.axhline(duration, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.annotate("trial end", (1, duration), (0, 2.5), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                  ha="right", va="bottom", fontsize=6.5, color=GREY)  # fmt: skip
    for neuron, rows in by_neuron(table):
        values, times = rows["value"].to_numpy(), rows["spike_time"].to_numpy()
        axes.plot(values, np.where(np.isfinite(times), times, np.nan), color=NEURONS[neuron], label=neuron)
        for place in ends(times):
            if times[place] < duration * (1 - 1e-3):
                axes.vlines(values[place], times[place], duration, color=NEURONS[neuron], lw=0.9, linestyle=":")
                look = {"markerfacecolor": "white", "markeredgewidth": 1.0, "markersize": 4, "zorder": 4}
                axes.plot(values[place], times[place], "o", color=NEURONS[neuron], **look)
    axes.set(
        xlim=(table["value"].min(), table["value"].max()),
        ylim=(0, 1.12 * duration),
        ylabel=r"first spike time ($\tau$)",
    )
    return axes


def plot_slope(table: pd.DataFrame, axes: Axes, *, logarithmic: bool = False) -> Axes:
    """Draw minus the slope of the spike time against `value`: exact derivatives as lines, finite differences as dots.

    `table` has the columns `neuron`, `value`, `spike_time`, `gradient` and `difference` (missing where none was taken).
    """
    for neuron, rows in by_neuron(table):
        exact = rows["gradient"].where(np.isfinite(rows["spike_time"]))
        axes.plot(rows["value"], -exact, color=NEURONS[neuron], zorder=2)
        dots = rows.dropna(subset=["difference"])
        axes.scatter(dots["value"], -dots["difference"], s=7, color=INK, linewidths=0, zorder=3)
    axes.set_xlim(table["value"].min(), table["value"].max())
    if logarithmic:
        axes.set_yscale("log")
    return axes


def plot_end_of_slope(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the slope's size against the distance from the last spike, both logarithmic, beside a line of slope -1/2.

    `table` has the columns `neuron`, `inputs`, `distance`, `gradient`; a second kind of `inputs` is drawn as circles.
    """
    first, *others = table["inputs"].unique()
    circles = {"marker": "o", "linestyle": "", "markerfacecolor": "white", "markersize": 3, "markeredgewidth": 0.8}
    for neuron, rows in by_neuron(table):
        line = rows[rows["inputs"] == first]
        axes.plot(line["distance"], -line["gradient"], color=NEURONS[neuron])
        for inputs in others:
            points = rows[rows["inputs"] == inputs].iloc[::8]
            axes.plot(points["distance"], -points["gradient"], color=NEURONS[neuron], **circles)
    steepest = table[table["neuron"] == "LIF"]
    left, right = steepest["distance"].min() * 10, steepest["distance"].max() / 100
    height = 8 * np.interp(left, *steepest.groupby("distance")["gradient"].max().abs().reset_index().to_numpy().T)
    guide = np.array([left, right])
    axes.plot(guide, height * (guide / left) ** -0.5, color=GREY, linewidth=0.8)
    axes.annotate("slope −1/2", (np.sqrt(left * right), height * (right / left) ** -0.25), (3, 3), color=GREY,
                  textcoords="offset points", fontsize=6.5)  # fmt: skip
    axes.set(xscale="log", yscale="log")
    return axes


def by_neuron(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Neurons with their rows in the order of drawing, rows in the order of `value` where there is one."""
    known = [name for name in ORDER if (table["neuron"] == name).any()]
    for neuron in known:
        rows = table[table["neuron"] == neuron]
        yield neuron, rows.sort_values("value", kind="stable") if "value" in rows else rows


def ends(times: np.ndarray) -> np.ndarray:
    """Places of the last spikes beside a gap, on either side."""
    spiked = np.isfinite(times)
    beside = np.zeros_like(spiked)
    beside[1:] |= ~spiked[:-1]
    beside[:-1] |= ~spiked[1:]
    return np.flatnonzero(spiked & beside)
