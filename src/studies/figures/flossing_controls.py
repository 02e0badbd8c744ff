"""Accuracy by what was done to networks before training: the figure of `flossing-controls`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, PALE, letter_panels, new_figure

CHANCE = 50.0  # per cent


def flossing_controls_figure(table: pd.DataFrame) -> Figure:
    """Compose accuracy after training for each kind of network, and against the gradient that was left before it.

    `table`: `kind`, `treatment`, `accuracy`, `norm`, a row for each network, at the delay that is compared.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    kinds = list(table.groupby("kind", sort=False))
    panels = list(np.atleast_1d(figure.subplots(1, len(kinds) + 1)))
    for (kind, rows), axes in zip(kinds, panels, strict=False):
        plot_treatments(rows, axes).set_title(kind)
    plot_norms(table, panels[-1])
    letter_panels(panels)
    return figure


def plot_treatments(rows: pd.DataFrame, axes: Axes) -> Axes:
    """Draw a line of dots for each treatment, and a bar at their mean."""
    names = list(rows.treatment.unique())
    for place, name in enumerate(names):
        heights = 100 * rows[rows.treatment == name].accuracy
        axes.plot(heights, np.full(len(heights), place), "o", color=ORDERED[1], markersize=2.5, alpha=0.7)
        axes.plot([heights.mean()], [place], "|", color=INK, markersize=10)
    axes.axvline(CHANCE, color=PALE, linewidth=0.6, zorder=0)
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(45, 102), xlabel="accuracy (%)")
    axes.invert_yaxis()
    return axes


def plot_norms(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracy against the norm of the last answer's gradient in the first state, before training."""
    for (kind, rows), look, colour in zip(table.groupby("kind", sort=False), "o^", (ORDERED[1], GREY), strict=False):
        axes.plot(rows["norm"], 100 * rows.accuracy, look, color=colour, markersize=2.5, label=kind)
    axes.set(xscale="log", xlabel="norm of the gradient", ylabel="accuracy (%)", ylim=(45, 102))
    axes.legend()
    return axes
