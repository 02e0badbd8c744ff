"""One sound on its way through the cochlea: the figure of `from-sound-to-spikes`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, INK, ORDERED, YELLOW, letter_panels, new_figure


def sound_to_spikes_figure(
    sound: np.ndarray,
    velocity: np.ndarray,
    probability: np.ndarray,
    spikes: pd.DataFrame,
    delays: pd.DataFrame,
    bands: Mapping[str, pd.DataFrame],
    *,
    duration: float,
    channels: int,
) -> Figure:
    """Compose the sound, the membrane's travelling wave, hair cells, spikes, delays of a click, and spikes per band.

    `sound` `[times]`, `velocity` and `probability` `[some channels, times]` over `duration` in s; `spikes`: `time`,
    `channel`; `delays`: `frequency` in Hz, `delay` in s; `bands`: for each source (ours first) `band`, `spikes`,
    `spikes_sd`.
    """
    figure = new_figure(FULL_WIDTH, 5.6)
    rows = figure.add_gridspec(4, 2, height_ratios=(0.8, 1.5, 1.5, 1.5), width_ratios=(2.2, 1))
    left = [figure.add_subplot(rows[row, 0]) for row in range(4)]
    left[0].plot(np.linspace(0, duration, len(sound)), sound, color=INK, linewidth=0.4)
    left[0].set(ylabel="sound", yticks=[])
    extent = (0.0, duration, float(channels), 0.0)
    plot_over_time(velocity, left[1], extent, "membrane velocity,\nchannel", symmetric=True)
    plot_over_time(probability, left[2], extent, "firing probability,\nchannel", symmetric=False)
    left[3].scatter(spikes["time"], spikes["channel"], s=0.6, color=INK, linewidths=0, rasterized=True)
    left[3].set(ylim=(channels, 0), ylabel="spikes,\nchannel", xlabel="time (s)")
    for axes in left:
        axes.set_xlim(0, duration)
        axes.tick_params(labelbottom=axes is left[3])
    right = [figure.add_subplot(rows[:2, 1]), figure.add_subplot(rows[2:, 1])]
    plot_delays(delays, right[0])
    plot_bands(bands, right[1])
    letter_panels([*left, *right])
    return figure


def plot_over_time(
    values: np.ndarray, axes: Axes, extent: tuple[float, float, float, float], label: str, *, symmetric: bool
) -> Axes:
    """Draw numbers `[channels, times]` as a picture over `extent` (left, right, bottom, top), base at the top.

    The darkest hundredth is one colour; 17 shades tell as much at this size as 256, in a third of the bytes.
    """
    high = float(np.quantile(np.abs(values), 0.99))
    low = -high if symmetric else float(values.min())
    image = axes.imshow(
        values, aspect="auto", extent=extent, vmin=low, vmax=high,
        cmap=colormaps["RdBu_r" if symmetric else "Greys"].resampled(17), interpolation="nearest", rasterized=True,
    )  # fmt: skip
    axes.set(ylabel=label)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, aspect=14)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6)
    return axes


def plot_delays(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw how long after a click the membrane moves most (below 0: before it), against the place's resonance."""
    axes.plot(table["frequency"], 1e3 * table["delay"], color=INK)
    axes.set(xscale="log", xlabel="resonance (Hz)", ylabel="delay of a click (ms)")
    axes.invert_xaxis()
    return axes


def plot_bands(tables: Mapping[str, pd.DataFrame], axes: Axes) -> Axes:
    """Draw spikes per band with their standard deviation over seeds, one colour per source."""
    for (name, table), colour, mark in zip(tables.items(), (INK, YELLOW, ORDERED[1]), "os^", strict=False):
        axes.errorbar(table["band"], table["spikes"], 2 * table["spikes_sd"], color=colour, label=name, fmt=mark)
    axes.set(xlabel="band, from base to apex", ylabel="spikes (± 2 sd)")
    axes.set_ylim(bottom=0)
    if len(tables) > 1:
        axes.legend()
    return axes
