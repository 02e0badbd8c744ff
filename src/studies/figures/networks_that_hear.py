"""Networks that learn to name spoken digits: the figure of `networks-that-hear`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import FULL_WIDTH, GREY, INK, letter_panels, looks_of, new_figure
from studies.figures.training_curves import draw_spread

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
    looks = looks_of(dict.fromkeys(history["kind"]))
    handles = [Line2D([], [], label=kind, markersize=3.5, **look) for kind, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=4, handlelength=2.4)
    letter_panels([curves, ends])
    return figure


def plot_curves(history: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracy on the validation speakers in per cent: means over seeds, bands from smallest to largest."""
    per_cent = history.assign(test_accuracy=100 * history["test_accuracy"])
    for kind, look in looks_of(dict.fromkeys(history["kind"])).items():
        rows = per_cent[per_cent["kind"] == kind]
        draw_spread(rows, "test_accuracy", axes, look["color"], kind, look["linestyle"])
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 100))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def plot_ends(table: pd.DataFrame, axes: Axes, linear: float, chance: float) -> Axes:
    """Draw accuracies at the end on each part, a mark for each seed; on the test trials the two classifiers."""
    looks = looks_of(dict.fromkeys(table["kind"]))
    for place, (kind, look) in enumerate(looks.items()):
        draw_parts(table[table["kind"] == kind], axes, (place - (len(looks) - 1) / 2) * 0.18, look)
    draw_references(axes, linear, chance)
    axes.set(ylim=(max(0, 100 * min(linear, table[list(PARTS)].min().min()) - 8), 101))
    return axes


def draw_parts(rows: pd.DataFrame, axes: Axes, shift: float, look: Mapping[str, Any]) -> None:
    """Draw accuracies on each part, a mark for each seed, the marks of different seeds a little aside."""
    aside = shift + np.linspace(-0.03, 0.03, len(rows)) * (len(rows) > 1)
    marks = {**look, "linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8}
    for column, part in enumerate(PARTS):
        axes.plot(column + aside, 100 * rows[part], **marks)


def draw_references(axes: Axes, linear: float, chance: float) -> None:
    """Draw accuracies of the linear classifier and of chance on the test trials, beside the column of these trials."""
    beside = [1.55, len(PARTS) - 0.55]
    axes.plot(beside, [100 * linear] * 2, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.plot(beside, [100 * chance] * 2, color=GREY, linewidth=0.9, linestyle=":")
    axes.set_xticks(range(len(PARTS)), PARTS)
    axes.set(ylabel="accuracy (%)", xlim=(-0.5, len(PARTS) - 0.5))
