"""Designed networks beside others on recordings: the figure of `models-on-recordings`."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BLUE, FULL_WIDTH, PALE, RED, YELLOW, letter_panels, new_figure

SHADES, MARKS = (BLUE, RED, YELLOW), ("o", "s", "^")


def models_on_recordings_figure(means: pd.DataFrame, table: pd.DataFrame, disturbances: Sequence[str]) -> Figure:
    """Compose accuracies, synaptic operations and what disturbances cost, a row for each model, a colour for each set.

    `means`: by `set` and `model`, `test`, `train`, the ends `low` and `high`, operations and the accuracies under
    `disturbances`; `table`: `set`, `model` and `test` of all seeds.
    """
    models = list(dict.fromkeys(table.model))
    figure = new_figure(FULL_WIDTH, 0.9 + 0.27 * len(models))
    panels = list(figure.subplots(1, 3, sharey=True, width_ratios=(1.4, 0.9, 1.2)))
    plot_accuracies(means, table, models, panels[0])
    plot_operations(means, models, panels[1])
    plot_disturbances(means, models, disturbances, panels[2])
    panels[0].set_yticks(range(len(models)), models)
    panels[0].set_ylim(len(models) - 0.4, -0.6)
    letter_panels(panels, left=-8.0)
    return figure


def plot_accuracies(means: pd.DataFrame, table: pd.DataFrame, models: Sequence[str], axes: Axes) -> Axes:
    """Draw accuracies on test trials with their intervals; small: seeds, ticks: training trials."""
    for place, (name, rows) in enumerate(means.groupby(level="set", sort=False)):
        shift, shade = 0.24 * (place - 0.5), SHADES[place]
        heights = [models.index(model) + shift for model in rows.index.get_level_values("model")]
        axes.hlines(heights, 100 * rows.low, 100 * rows.high, color=shade, linewidth=0.8)
        axes.plot(100 * rows.test, heights, MARKS[place], color=shade, markersize=4, label=name)
        axes.plot(100 * rows.train, heights, "|", color=shade, markersize=5)
        seeds = table[table.set == name]
        axes.scatter(100 * seeds.test, seeds.model.map(models.index) + shift, 4, color=shade, alpha=0.5, linewidths=0)
    axes.set(xlabel="accuracy (%)", xlim=(0, 103))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.1)
    return axes


def plot_operations(means: pd.DataFrame, models: Sequence[str], axes: Axes) -> Axes:
    """Draw synaptic operations of a trial, open where most are multiplications."""
    for place, (_, rows) in enumerate(means.groupby(level="set", sort=False)):
        for (_, model), one in rows.iterrows():
            face = SHADES[place] if one.additions > one.multiplications else "white"
            height, total = models.index(model) + 0.24 * (place - 0.5), one.additions + one.multiplications
            axes.plot(total, height, MARKS[place], color=SHADES[place], markerfacecolor=face, markersize=4)
    axes.set(xscale="log", xlabel="operations of a trial")
    return axes


def plot_disturbances(means: pd.DataFrame, models: Sequence[str], disturbances: Sequence[str], axes: Axes) -> Axes:
    """Draw by how many points accuracy changes: full for the first disturbance, open for the second."""
    for place, (_, rows) in enumerate(means.groupby(level="set", sort=False)):
        heights = [models.index(model) + 0.24 * (place - 0.5) for model in rows.index.get_level_values("model")]
        for number, disturbance in enumerate(disturbances):
            face = "white" if number else SHADES[place]
            label = disturbance if not place else None
            change = 100 * (rows[disturbance] - rows.test)
            axes.plot(
                change, heights, MARKS[place], color=SHADES[place], markerfacecolor=face, markersize=3.4, label=label
            )
    axes.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel="change of accuracy (points)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.1)
    return axes
