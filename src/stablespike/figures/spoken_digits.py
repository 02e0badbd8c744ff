"""Networks that recognise spoken digits: the figure of `spoken-digits`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, PALE, RED, letter_panels, new_figure
from stablespike.figures.training_curves import draw_spread

KINDS = {"exact": BLUE, "surrogate": RED}


def spoken_digits_figure(
    history: pd.DataFrame, complexity: pd.DataFrame, baselines: Mapping[str, tuple[float, float]]
) -> Figure:
    """Compose accuracy against the epoch and synaptic operations of a trial, a column for each data set.

    `history`: `dataset`, `kind`, `seed`, `epoch`, `test_accuracy`; `complexity`: `dataset`, `kind`, `seed`, `dense`,
    `effective`; `baselines`: accuracy of a linear classifier and of chance for each data set.
    """
    names = list(baselines)
    figure = new_figure(FULL_WIDTH, 4.2)
    upper, lower = figure.subplots(2, len(names), squeeze=False, height_ratios=(1.6, 1))
    for name, curves, bars in zip(names, upper, lower, strict=True):
        plot_accuracy(history[history["dataset"] == name], curves, *baselines[name])
        curves.set_title(name)
        plot_operations(complexity[complexity["dataset"] == name], bars)
    letter_panels([*upper, *lower])
    return figure


def plot_accuracy(table: pd.DataFrame, axes: Axes, linear: float, chance: float) -> Axes:
    """Draw accuracy on the test set in per cent: means over seeds, bands from the smallest to the largest."""
    per_cent = table.assign(test_accuracy=100 * table["test_accuracy"])
    for kind, colour in KINDS.items():
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", axes, colour, kind)
    axes.axhline(100 * linear, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), label="linear, binned counts")
    axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 100))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend()
    return axes


def plot_operations(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw synaptic operations of a trial, all that are possible (pale) and those that happen, means over seeds."""
    means = table.groupby("kind")[["dense", "effective"]].mean().reindex(list(KINDS))
    places = np.arange(len(means))
    axes.barh(places, means["dense"], color=PALE, label="dense")
    axes.barh(places, means["effective"], color=list(KINDS.values()), height=0.5)
    axes.set_yticks(places, list(means.index))
    axes.set(xscale="log", xlabel="synaptic operations per trial", xlim=(means["effective"].min() / 10, None))
    axes.tick_params(axis="y", length=0)
    return axes
