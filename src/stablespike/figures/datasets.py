"""Examples of data sets of spikes: the figure of `datasets`."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, new_figure

COLUMNS = 4


def datasets_figure(examples: Mapping[str, pd.DataFrame | None], channels: Mapping[str, int]) -> Figure:
    """One panel per set: a raster of the columns `time` in s and `channel`, or the word absent where there is none."""
    rows = -(-len(examples) // COLUMNS)
    figure = new_figure(FULL_WIDTH, 1.35 * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, spikes) in zip(panels, examples.items(), strict=False):
        plot_example(spikes, axes, channels.get(name, 1))
        axes.set_title(name)
    for axes in panels[len(examples) :]:
        axes.set_axis_off()
    return figure


def plot_example(spikes: pd.DataFrame | None, axes: Axes, channels: int) -> Axes:
    """Draw one trial, a dot per spike; as a picture, since there are thousands."""
    if spikes is None:
        axes.text(0.5, 0.5, "absent", transform=axes.transAxes, ha="center", va="center", color=GREY)
        axes.set(xticks=[], yticks=[])
        return axes
    axes.scatter(spikes["time"], spikes["channel"], s=0.8, color=INK, linewidths=0, rasterized=True)
    axes.set(xlim=(0, None), ylim=(-0.5, channels - 0.5), xlabel="time (s)")
    return axes
