"""Examples of data sets of spikes: the figure of `datasets`."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import FULL_WIDTH, INK, letter_panels, new_figure

COLUMNS = 4


def datasets_figure(examples: Mapping[str, pd.DataFrame | None], channels: Mapping[str, int]) -> Figure:
    """One panel per set that is there, a raster of the columns `time` in s and `channel`.

    Channels count downwards, as in the figure of the cochlea, so that high tones are at the top.
    """
    present = {name: spikes for name, spikes in examples.items() if spikes is not None}
    rows = max(-(-len(present) // COLUMNS), 1)
    figure = new_figure(FULL_WIDTH, 1.45 * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, spikes) in zip(panels, present.items(), strict=False):
        plot_example(spikes, axes, channels[name])
        axes.set_title(name)
    for axes in panels[len(present) :]:
        axes.set_axis_off()
    for axes in panels[::COLUMNS]:
        axes.set_ylabel("channel")
    letter_panels(list(panels[: len(present)]), left=-14.0)
    return figure


def plot_example(spikes: pd.DataFrame, axes: Axes, channels: int) -> Axes:
    """Draw one trial, a dot per spike; as a picture, since there are thousands."""
    few = 6.0 if len(spikes) < 20 else 1.6
    axes.scatter(spikes["time"], spikes["channel"], s=few, color=INK, linewidths=0, rasterized=True)
    margin = 0.04 * max(spikes["time"].max(), 1e-3) if len(spikes) else 0.0  # a spike at 0 is seen
    axes.set(ylim=(channels - 0.5, -0.5), xlabel="time (s)")
    axes.set_xlim(left=-margin)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return axes
