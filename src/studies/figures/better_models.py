"""Networks designed from measured laws beside others: the figure of `better-models`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, PALE, RED, YELLOW, letter_panels, new_figure

SHADES, MARKS = (BLUE, RED, YELLOW, INK), ("o", "s", "^", "D")
CHANCE = 25.0  # per cent


def better_models_figure(table: pd.DataFrame, disturbances: Sequence[str]) -> Figure:
    """Compose accuracies, synaptic operations and what disturbances cost, a row for each model.

    `table`: `model`, `delay`, `seed`, `test`, `additions`, `multiplications` and the accuracies under `disturbances`.
    Operations and disturbances are those of the first delay.
    """
    models = list(dict.fromkeys(table.model))
    figure = new_figure(FULL_WIDTH, 0.9 + 0.27 * len(models))
    panels = list(figure.subplots(1, 3, sharey=True, width_ratios=(1.3, 0.9, 1.3)))
    plot_accuracies(table, models, panels[0])
    first = table[table.delay == table.delay.iloc[0]]
    plot_operations(first, models, panels[1])
    plot_disturbances(first, models, disturbances, panels[2])
    panels[0].set_yticks(range(len(models)), models)
    panels[0].set_ylim(len(models) - 0.4, -0.6)
    letter_panels(panels, left=-8.0)
    return figure


def plot_accuracies(table: pd.DataFrame, models: Sequence[str], axes: Axes) -> Axes:
    """Draw accuracies on new trials, a mark for each delay; small: seeds, large: their mean."""
    for place, (delay, rows) in enumerate(table.groupby("delay", sort=False)):
        heights = rows.model.map(models.index) + 0.22 * (place - (table.delay.nunique() - 1) / 2)
        axes.scatter(100 * rows.test, heights, 5, color=SHADES[place], alpha=0.5, linewidths=0)
        means = (100 * rows.test).groupby(heights).mean()
        axes.plot(means, means.index, MARKS[place], color=SHADES[place], markersize=4, label=f"delay {delay:g} $\\tau$")
    axes.axvline(CHANCE, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set(xlabel="accuracy (%)", xlim=(10, 103))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=table.delay.nunique(), handletextpad=0.1)
    return axes


def plot_operations(rows: pd.DataFrame, models: Sequence[str], axes: Axes) -> Axes:
    """Draw synaptic operations of a trial, full where they are additions alone."""
    for name, group in rows.groupby("model", sort=False):
        adds, multiplies = group.additions.mean(), group.multiplications.mean()
        face = BLUE if adds > multiplies else "white"
        axes.plot((adds + multiplies) / 1000, models.index(name), "o", color=BLUE, markerfacecolor=face, markersize=4)
    faces = {"additions": BLUE, "multiplications": "white"}
    marks = [Line2D([], [], marker="o", color=BLUE, markerfacecolor=face, linewidth=0) for face in faces.values()]
    axes.legend(marks, faces, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, handletextpad=0.1)
    axes.set(xlabel="operations of a trial (thousands)")
    axes.set_xlim(left=0)
    return axes


def plot_disturbances(rows: pd.DataFrame, models: Sequence[str], disturbances: Sequence[str], axes: Axes) -> Axes:
    """Draw by how many points accuracy changes under each disturbance, means over seeds."""
    for place, name in enumerate(disturbances):
        change = (100 * (rows[name] - rows.test)).groupby(rows.model).mean()
        heights = np.array([models.index(model) for model in change.index]) + 0.15 * (place - 1.5)
        axes.plot(change, heights, MARKS[place], color=SHADES[place], markersize=3.2, label=name)
    axes.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel="change of accuracy (points)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.1)
    return axes
