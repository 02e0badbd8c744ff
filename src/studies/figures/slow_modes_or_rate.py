"""Accuracy against slow modes and rate, of networks whose rate was chosen: the figure of `slow-modes-or-rate`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stablespike.figures.style import FULL_WIDTH, GREY, ORDERED, PALE, letter_panels, new_figure

LOOKS = ("o", "s", "^", "D", "v")  # strengths of the recurrence
CHANCE = 25.0  # per cent
LABELS = {
    "near": r"exponents within $0.5/\tau$ of zero",
    "exponent": r"leading exponent ($1/\tau$)",
    "rate": r"rate of a neuron ($1/\tau$)",
}


def slow_modes_figure(table: pd.DataFrame, delay: float) -> Figure:
    """Compose the rates that were reached, and accuracy against modes near zero, leading exponent and rate.

    `table`: `loop`, `target`, `seed`, `rate`, `near`, `exponent`, `delay`, `accuracy`; accuracy is drawn at `delay`.
    """
    figure = new_figure(FULL_WIDTH, 4.6)
    panels = list(figure.subplots(2, 2).flat)
    rows = table[table.delay == delay]
    plot_modes(rows, panels[0])
    for axes, column in zip(panels[1:], LABELS, strict=True):
        plot_accuracy(rows, column, axes)
    handles = [
        Line2D([], [], linestyle="", marker=look, color=GREY, markersize=4, label=f"strength {loop:g}")
        for loop, look in zip(sorted(rows.loop.unique()), LOOKS, strict=False)
    ] + [
        Line2D([], [], linestyle="", marker="o", color=shade, markersize=4, label=rf"{target:g} spikes per $\tau$")
        for target, shade in zip(sorted(rows.target.unique()), ORDERED[::2], strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=1.2)
    letter_panels(panels)
    return figure


def plot_modes(rows: pd.DataFrame, axes: Axes) -> Axes:
    """Draw how many exponents lie near zero against the strength of the recurrence."""
    draw(rows, "loop", rows.near, axes)
    axes.set(xlabel="strength of the recurrence", ylabel=LABELS["near"], ylim=(0, None))
    return axes


def plot_accuracy(rows: pd.DataFrame, column: str, axes: Axes) -> Axes:
    """Draw accuracy after training against what a network was before it."""
    draw(rows, column, 100 * rows.accuracy, axes)
    axes.axhline(CHANCE, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel=LABELS[column], ylabel="accuracy (%)", ylim=(0, 103))
    return axes


def draw(rows: pd.DataFrame, column: str, heights: pd.Series, axes: Axes) -> None:
    """A mark for each strength, a shade for each rate, a dot for each network."""
    for loop, look in zip(sorted(rows.loop.unique()), LOOKS, strict=False):
        for target, shade in zip(sorted(rows.target.unique()), ORDERED[::2], strict=False):
            ours = (rows.loop == loop) & (rows.target == target)
            axes.plot(rows[column][ours], heights[ours], look, color=shade, markersize=3.6)
