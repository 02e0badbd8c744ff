"""What tells which networks learn: the figure of `predicting-trainability`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, PALE, letter_panels, new_figure

DELAYS, MARKS = ORDERED, ("o", "s", "^", "D")


def predicting_trainability_figure(
    table: pd.DataFrame, judged: pd.DataFrame, calibrated: dict[str, pd.DataFrame], chance: float
) -> Figure:
    """Compose accuracy against the leading exponent and the modes, held-out areas of all predictors, and calibration.

    `table`: `leading`, `modes`, `delay`, `accuracy`; `judged`: `predictor`, `auc`, `low`, `high`; `calibrated`: `told`
    and `came` by the name of a predictor.
    """
    figure = new_figure(FULL_WIDTH, 4.4)
    panels = figure.subplots(2, 2).flat
    plot_accuracy(table, "leading", panels[0])
    _bent(panels[0], table["leading"], (-10, -3, -1, -0.5, 0, 0.5, 1, 3, 10))
    panels[0].axvline(0, color=PALE, linewidth=0.6, zorder=0)
    panels[0].set(xlabel=r"leading exponent ($1/\tau$)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    plot_accuracy(table, "modes", panels[1])
    _bent(panels[1], table["modes"], (0, 1, 10, 100))
    panels[1].set(xlabel="modes that reach over the delay")
    for axes in panels[:2]:
        axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
        axes.axhline(50 * (1 + chance), color=GREY, linewidth=0.8, linestyle="--", zorder=0)
        axes.set(ylim=(-2, 104), ylabel="accuracy (%)")
    plot_areas(judged, panels[2])
    plot_calibration(calibrated, panels[3])
    letter_panels(list(panels))
    return figure


def _bent(axes: Axes, values: pd.Series, ticks: Sequence[float | int]) -> None:
    """A scale that is linear to 1 and logarithmic beyond."""
    low, high = min(values.min() - 0.2, -0.2), max(1.2 * values.max(), values.max() + 0.2)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(low, high)
    inside = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(inside, [f"{tick:g}" for tick in inside])
    axes.minorticks_off()


def plot_accuracy(table: pd.DataFrame, column: str, axes: Axes) -> Axes:
    """Draw accuracy against a measurement, a dot for each network, a colour for each delay."""
    for (delay, rows), colour, mark in zip(table.groupby("delay"), DELAYS, MARKS, strict=False):
        axes.plot(
            rows[column], 100 * rows["accuracy"], mark, color=colour, markersize=2.2, alpha=0.7,
            label=rf"delay {delay:g} $\tau$",
        )  # fmt: skip
    return axes


def plot_areas(judged: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the held-out area of each predictor with its interval; those of the prediction in colour."""
    colours = {"modes": INK, "leading exponent": INK, "norm": INK}
    for place, row in enumerate(judged.iloc[::-1].to_dict("records")):
        colour = colours.get(row["predictor"], GREY)
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1)
        axes.plot(row["auc"], place, "o", color=colour)
    axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(judged)), judged["predictor"].iloc[::-1])
    axes.set(xlabel="area under the curve, families held out", xlim=(min(0.4, judged["low"].min() - 0.02), 1.0))
    return axes


def plot_calibration(calibrated: dict[str, pd.DataFrame], axes: Axes) -> Axes:
    """Draw the part of networks that learn against the probability that was told, a line for each predictor."""
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.6, zorder=0)
    for (name, rows), colour, line in zip(calibrated.items(), (ORDERED[1], INK, GREY), ("-", "--", ":"), strict=False):
        axes.plot(rows["told"], rows["came"], line, color=colour, marker="o", label=name)
    ticks = np.linspace(0, 1, 3)
    axes.set(xlabel="probability told", ylabel="part that learns", xticks=ticks, yticks=ticks)
    axes.legend(fontsize=6)
    return axes
