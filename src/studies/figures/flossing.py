"""Lyapunov spectra before and after flossing, and how they got there."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, INK, ORDERED, YELLOW, letter_panels, new_figure

COLOURS = ORDERED  # one for each number of exponents that was flossed, in the order of the table


def flossing_spectra_figure(spectra: pd.DataFrame, history: pd.DataFrame, *, target: float, goal: float) -> Figure:
    """Compose the spectra before and after, and the largest distance from the target against the flossing step.

    `spectra`: `seed`, `count` (flossed exponents; 0 before), `index`, `exponent`; `history`: `seed`, `count`, `step`,
    `distance`. `goal` is the distance asked for.
    """
    figure = new_figure(FULL_WIDTH, 2.5)
    left, right = figure.subplots(1, 2)
    plot_spectra(spectra, left, target=target)
    plot_distance(history, right, goal=goal)
    letter_panels([left, right])
    return figure


def plot_spectra(table: pd.DataFrame, axes: Axes, *, target: float) -> Axes:
    """Draw exponents by index, the mean over seeds as a line and every seed as a pale one, one colour per count."""
    axes.axhline(target, color=INK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    counts = [count for count in table["count"].unique() if count]
    for count, colour in zip([0, *counts], (YELLOW, *COLOURS), strict=False):
        rows = table[table["count"] == count]
        for _, single in rows.groupby("seed"):
            axes.plot(single["index"], single["exponent"], color=colour, linewidth=0.4, alpha=0.5)
        mean = rows.groupby("index")["exponent"].mean()
        look = {"linestyle": "-" if count else "--", "zorder": 2 if count else 3}
        axes.plot(mean.index, mean, color=colour, label=f"k = {count}" if count else "before", **look)
    axes.set(xlabel="index of the exponent", ylabel="exponent (nats per step)")
    axes.legend(loc="lower left")
    return axes


def plot_distance(table: pd.DataFrame, axes: Axes, *, goal: float) -> Axes:
    """Draw the largest distance of a flossed exponent from the target against the step, the median of seeds thick."""
    for (count, rows), colour in zip(table.groupby("count", sort=False), COLOURS, strict=False):
        for _, single in rows.groupby("seed"):
            axes.plot(single["step"], single["distance"], color=colour, linewidth=0.4, alpha=0.5)
        median = rows.groupby("step")["distance"].median()
        axes.plot(median.index, median, color=colour, label=f"k = {count}")
    axes.axhline(goal, color=INK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    axes.set(yscale="log", xlabel="flossing step", ylabel="largest distance from target")
    axes.set_ylim(top=float(np.max(table["distance"])) * 1.5)
    return axes
