"""Networks that learn to name spoken digits: the figure of `networks-that-hear`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, RED, letter_panels, new_figure
from studies.figures.training_curves import draw_spread

COLOURS = {"LIF": RED, "QIF": BLUE}
PARTS = ("train", "validation", "test")


def networks_that_hear_figure(history: pd.DataFrame, table: pd.DataFrame, linear: float, chance: float) -> Figure:
    """Compose learning curves on the validation speakers and accuracies at the end.

    `history`: `kind` (such as "LIF exact"), `seed`, `epoch`, `test_accuracy`; `table`: `kind`, `seed`, `train`,
    `validation`, `test`, `low`, `high`; `linear` and `chance`: accuracies on the test trials.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    curves, ends = figure.subplots(1, 2, width_ratios=(1.3, 1))
    plot_curves(history, curves)
    plot_ends(table, ends, linear, chance)
    figure.legend(*curves.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    letter_panels([curves, ends])
    return figure


def colour_of(kind: str) -> tuple[str, float]:
    """Colour of a kind by its neuron, and how opaque: paler for surrogate gradients."""
    neuron = next((name for name in COLOURS if kind.startswith(name)), "")
    return COLOURS.get(neuron, GREY), 1.0 if "exact" in kind else 0.45


def plot_curves(history: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracy on the validation speakers in per cent: means over seeds, bands from smallest to largest."""
    per_cent = history.assign(test_accuracy=100 * history["test_accuracy"])
    for kind in dict.fromkeys(history["kind"]):
        colour, alpha = colour_of(kind)
        before = len(axes.lines)
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", axes, colour, kind)
        for line in axes.lines[before:]:
            line.set_alpha(alpha)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 100))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def plot_ends(table: pd.DataFrame, axes: Axes, linear: float, chance: float) -> Axes:
    """Draw accuracies at the end on each part, the test trials with their intervals."""
    kinds = list(dict.fromkeys(table["kind"]))
    for place, kind in enumerate(kinds):
        rows, (colour, alpha) = table[table["kind"] == kind], colour_of(kind)
        shift = (place - (len(kinds) - 1) / 2) * 0.18
        for column, part in enumerate(PARTS):
            at = np.full(len(rows), column + shift)
            axes.plot(at, 100 * rows[part], "o", color=colour, alpha=alpha, markersize=4)
        spans = 100 * np.abs(rows[["low", "high"]].to_numpy().T - rows["test"].to_numpy())
        axes.errorbar(np.full(len(rows), 2 + shift), 100 * rows["test"], spans, fmt="none", color=colour, alpha=alpha)
    axes.axhline(100 * linear, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(PARTS)), PARTS)
    axes.set(ylabel="accuracy (%)", ylim=(0, 100), xlim=(-0.5, len(PARTS) - 0.5))
    return axes
