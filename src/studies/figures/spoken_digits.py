"""Networks that recognise spoken digits: the figure of `spoken-digits`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import FULL_WIDTH, GREY, INK, PALE, RED, letter_panels, looks_of, new_figure
from studies.figures.training_curves import draw_spread

KINDS = looks_of(("exact", "surrogate"))  # of LIF neurons
TITLES = {
    "synthetic-small": "synthetic voices",
    "synthetic": "synthetic voices",
    "heidelberg-digits": "Heidelberg Digits",
    "heidelberg-spikes": "Heidelberg Digits, some",
    "shd": "Spiking Heidelberg Digits",
    "nmnist-small": "N-MNIST, some",
}


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
        curves.set_title(TITLES.get(name, name))
        plot_operations(complexity[complexity["dataset"] == name], bars)
    figure.legend(*upper[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    letter_panels([*upper, *lower])
    return figure


def plot_accuracy(table: pd.DataFrame, axes: Axes, linear: float, chance: float) -> Axes:
    """Draw accuracy on the test set in per cent: means over seeds, bands from the smallest to the largest."""
    per_cent = table.assign(test_accuracy=100 * table["test_accuracy"])
    for kind, look in KINDS.items():
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", axes, look["color"], kind, look["linestyle"])
    axes.axhline(100 * linear, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), label="linear, binned counts")
    axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 100))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def plot_operations(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw millions of synaptic operations of a trial, possible ones (pale) and those that happen, means over seeds."""
    means = table.groupby("kind")[["dense", "effective"]].mean().reindex(list(KINDS)) / 1e6
    places = np.arange(len(means))
    axes.barh(places, means["dense"], color=PALE, label="possible")
    axes.barh(places, means["effective"], color=RED, height=0.5, label="effective")
    axes.set_yticks(places, list(means.index))
    axes.set_xlabel("synaptic operations per trial (10$^6$)")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.3 * float(means["dense"].max()))
    axes.legend(loc="center right")
    return axes
