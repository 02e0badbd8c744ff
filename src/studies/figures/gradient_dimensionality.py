"""Directions of gradients on their way back, and who learns: the figure of `gradient-dimensionality`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, RED, YELLOW, letter_panels, new_figure

LOOKS = ("o", "s", "^", "D")
SHADES = (BLUE, YELLOW, RED, GREY)


def gradient_dimensionality_figure(
    bias: pd.DataFrame, profiles: pd.DataFrame, networks: pd.DataFrame, judged: pd.DataFrame
) -> Figure:
    """Compose the estimator's bias, dimensions on the way back and by depth, and how well they tell who learns.

    `bias`: `dimension`, `trials`, `estimate`, `naive`; `profiles`: `layers`, `layer`, `before`, `sharpness`,
    `dimension`; `networks`: `dimension`, `accuracy`, `family`; `judged`: `measured`, `area`, `low`, `high`.
    """
    figure = new_figure(FULL_WIDTH, 4.2)
    panels = list(figure.subplots(2, 2).flat)
    plot_bias(bias, panels[0])
    plot_profiles(profiles, panels[1])
    plot_networks(networks, panels[2])
    plot_areas(judged, panels[3])
    letter_panels(panels)
    return figure


def plot_bias(bias: pd.DataFrame, axes: Axes) -> Axes:
    """Draw both estimates over the true dimension against the number of trials."""
    for place, (dimension, rows) in enumerate(bias.groupby("dimension")):
        look, shade = LOOKS[place % len(LOOKS)], SHADES[place % len(SHADES)]
        axes.plot(rows.trials, rows.estimate / dimension, f"{look}-", color=shade, label=f"{dimension}")
        axes.plot(rows.trials, rows.naive / dimension, f"{look}--", color=shade, markerfacecolor="none")
    axes.axhline(1, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set(xscale="log", xlabel="trials", ylabel="estimate over true dimension", ylim=(0, 1.3))
    sizes = sorted(bias.trials.unique())
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.legend(title="true dimension", title_fontsize=6, fontsize=6, loc="lower right")
    return axes


def plot_profiles(profiles: pd.DataFrame, axes: Axes) -> Axes:
    """Draw medians of the dimension against the time before the answer, by sharpness, a line style for each layer."""
    styles = {1: "-", 2: "--", 3: ":"}
    for place, (sharpness, rows) in enumerate(profiles.groupby("sharpness")):
        for (layers, layer), some in rows.groupby(["layers", "layer"]):
            if layers not in (1, rows.layers.max()):
                continue
            medians = some.groupby("before").dimension.median()
            alone = layers == 1
            axes.plot(
                medians.index,
                medians,
                "-" if alone else styles[int(layer)],
                color=SHADES[place % len(SHADES)],
                linewidth=1.6 if alone else 0.8,
                label=f"{sharpness:g}" if alone else None,
            )
    axes.set(yscale="log", xlabel="time before the delay's end (tau)", ylabel="dimension of gradients")
    axes.legend(title="sharpness", title_fontsize=6, fontsize=6)
    return axes


def plot_networks(networks: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracy after training against the dimension before it, a dot for each network."""
    for place, (family, rows) in enumerate(networks.groupby("family", sort=False)):
        look, shade = LOOKS[place % len(LOOKS)], SHADES[place % len(SHADES)]
        axes.plot(rows.dimension, rows.accuracy, look, color=shade, markersize=3, alpha=0.7, label=family)
    axes.set(xscale="log", xlabel="dimension of gradients over the delay", ylabel="accuracy", ylim=(0, 1.05))
    axes.legend(fontsize=6, loc="lower right")
    return axes


def plot_areas(judged: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the area under the curve of every measurement, with its interval."""
    places = np.arange(len(judged))[::-1]
    errors = [judged.area - judged.low, judged.high - judged.area]
    shades = [BLUE if name == "dimension" else INK for name in judged.measured]
    for place, area, low, high, shade in zip(places, judged.area, *errors, shades, strict=True):
        axes.errorbar(area, place, xerr=[[low], [high]], fmt="o", color=shade, markersize=3)
    axes.axvline(0.5, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set_yticks(places, judged.measured)
    axes.set(xlabel="area under the curve", xlim=(0, 1))
    return axes
