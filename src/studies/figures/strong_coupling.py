"""Exact networks from weak to strong coupling: the figure of `strong-coupling`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, NEURONS, PALE, letter_panels, new_figure

NAMES = {
    "exponent": r"leading exponent ($1/\tau$)",
    "norm": "norm of the gradient",
    "positive": "exponents above zero (part)",
}
MARKS = {"LIF": "s", "QIF": "o"}


def strong_coupling_figure(networks: pd.DataFrame, pushes: pd.DataFrame) -> Figure:
    """Compose exponents, gradient norms and the part of positive exponents against coupling, and distances by pushes.

    `networks`: `neuron`, `loop`, `kind` ("inhibition" or another, drawn dashed), `exponent`, `norm`, `positive`;
    `pushes`: `neuron`, `size`, `distance`.
    """
    figure = new_figure(FULL_WIDTH, 4.2)
    panels = list(figure.subplots(2, 2).flat)
    for axes, column in zip(panels, NAMES, strict=False):
        plot_against_coupling(networks, column, axes)
    panels[0].axhline(0, color=PALE, linewidth=0.6, zorder=0)
    panels[0].legend(fontsize=6)
    panels[1].set_yscale("log")
    plot_pushes(pushes, panels[3])
    letter_panels(panels)
    return figure


def plot_against_coupling(networks: pd.DataFrame, column: str, axes: Axes) -> Axes:
    """Draw a measurement against the strength of the recurrence: medians as lines, all networks as dots."""
    for (neuron, kind), rows in networks.groupby(["neuron", "kind"], sort=False):
        main = kind == "inhibition"
        line, size = ("-", 2.4) if main else ("--", 1.4)
        medians = rows.groupby("loop")[column].median()
        axes.plot(medians.index, medians, line, color=NEURONS[neuron], label=f"{neuron}, {kind}")
        look = {"color": NEURONS[neuron], "markerfacecolor": NEURONS[neuron] if main else "white"}
        axes.plot(rows["loop"], rows[column], MARKS[neuron], markersize=size, alpha=0.7, **look)
    axes.set(xscale="log", xlabel="strength of the recurrence", ylabel=NAMES[column])
    ticks = sorted(networks["loop"].unique())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    return axes


def plot_pushes(pushes: pd.DataFrame, axes: Axes) -> Axes:
    """Draw how far a pushed run ends from the other against the size of the push, a dot for each direction."""
    for neuron, rows in pushes.groupby("neuron", sort=False):
        medians = rows.groupby("size").distance.median()
        axes.plot(medians.index, medians, color=NEURONS[neuron], label=neuron)
        axes.plot(rows["size"], rows["distance"], MARKS[neuron], color=NEURONS[neuron], markersize=2, alpha=0.6)
    ends = [pushes["size"].min(), pushes["size"].max()]
    axes.plot(ends, ends, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="push (deviations of the current)", ylabel="distance at the end")
    axes.legend(fontsize=6)
    return axes
