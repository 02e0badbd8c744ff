"""Spike rasters of layered networks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import GREY, INK, PALE

# Largest size in points² of a dot, and what all rows together may take of the axes' height.
LARGEST_DOT, GAP = 5.0, 0.06


def plot_raster(table: pd.DataFrame, axes: Axes, *, sizes: Mapping[str, int], duration: float | None = None) -> Axes:
    """Draw one dot per spike, layers stacked upwards in the order of `sizes` (layer name: number of neurons).

    `table` has a row per spike with `layer`, `neuron` (counted from 0 within its layer) and `time`; none is a silent
    network. Each layer takes the height of its neurons, but at least a tenth of the axes, so that a small output layer
    stays readable. With `duration` the axis ends there: what comes later is not drawn.
    """
    bounds = layer_bounds(sizes)
    for layer, (bottom, top) in bounds.items():
        spikes = table[(table["layer"] == layer) & (table["time"] <= (np.inf if duration is None else duration))]
        if (beyond := spikes["neuron"] >= sizes[layer]).any():
            last = spikes["neuron"][beyond].max()
            raise ValueError(f"Neuron {last} spikes in layer {layer!r}, which has {sizes[layer]} neurons.")
        heights = bottom + (top - bottom) * (spikes["neuron"].to_numpy(float) + 0.5) / sizes[layer]
        axes.axhspan(bottom, top, color=PALE, alpha=0.22, linewidth=0)
        axes.scatter(spikes["time"], heights, s=dot_size(len(spikes)), color=INK, linewidths=0, clip_on=False)
        if spikes.empty:
            place = axes.get_yaxis_transform()
            axes.text(0.5, (bottom + top) / 2, "silent", transform=place, ha="center", va="center", color=GREY)
    axes.set_yticks([(bottom + top) / 2 for bottom, top in bounds.values()], list(bounds))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(0, 1), xlim=(0, duration), xlabel="time")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes


def layer_bounds(sizes: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Bottom and top of each layer's band, from 0 to 1, with a gap between bands."""
    neurons = np.array([max(size, 1) for size in sizes.values()], float)
    shares = np.maximum(neurons / neurons.sum(), 0.1)
    shares *= (1 - GAP * (len(sizes) - 1)) / shares.sum()
    bottoms = np.concatenate([[0], np.cumsum(shares + GAP)[:-1]])
    return {layer: (float(low), float(low + share)) for layer, low, share in zip(sizes, bottoms, shares, strict=True)}


def dot_size(spikes: int) -> float:
    """Area of a dot in points²: small where there are many."""
    return float(np.clip(400 / max(spikes, 1), 1.0, LARGEST_DOT))
