"""Where exact networks are chaotic: the figure of `phase-diagram`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, INK, NEURONS, PALE, letter_panels, new_figure

LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MARKS = ("o", "s", "^")


def phase_diagram_figure(
    maps: Mapping[str, pd.DataFrame], curves: Mapping[str, pd.DataFrame], chaotic: float
) -> Figure:
    """Compose maps of the leading exponent, one for each neuron, and its curves against all else that was varied.

    `maps`: by neuron, a row for each mean input, a column for each strength of the recurrence; `curves`: by the name
    of the axis, medians with the columns `neuron`, `value` and one for each strength. Exponents above `chaotic` are
    bold.
    """
    figure = new_figure(FULL_WIDTH, 4.0)
    grid = figure.add_gridspec(2, 6)
    panels = [figure.add_subplot(grid[0, 3 * place : 3 * place + 3]) for place in range(2)]
    highest = max(float(np.nanmax(one.to_numpy())) for one in maps.values())
    shades = ScalarMappable(TwoSlopeNorm(0.0, -highest, highest), "RdBu_r")
    for axes, (neuron, one) in zip(panels, maps.items(), strict=True):
        plot_map(one, neuron, shades, chaotic, axes)
    figure.colorbar(shades, ax=panels, label=r"leading exponent ($1/\tau$)", aspect=14)
    for place, (name, one) in enumerate(curves.items()):
        axes = figure.add_subplot(grid[1, 2 * place : 2 * place + 2])
        plot_curves(one, name, axes)
        panels.append(axes)
    panels[2].set_ylabel(r"leading exponent ($1/\tau$)")
    panels[2].legend(fontsize=5.5, ncols=2, handlelength=2.2, columnspacing=0.8)
    letter_panels(panels)
    return figure


def plot_map(exponents: pd.DataFrame, neuron: str, shades: ScalarMappable, chaotic: float, axes: Axes) -> Axes:
    """Draw the leading exponent as a shade, with its number; bold where it is above `chaotic`."""
    values = exponents.to_numpy()
    axes.imshow(values, cmap=shades.cmap, norm=shades.norm, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        weight = "bold" if value > chaotic else "normal"
        text = f"{value:.2f}" if np.isfinite(value) else "–"
        strong = np.isfinite(value) and abs(value) > 0.6 * shades.norm.vmax
        axes.text(column, row, text, ha="center", va="center", fontsize=6, weight=weight, color="w" if strong else INK)
    axes.set_xticks(range(values.shape[1]), [f"{loop:g}" for loop in exponents.columns])
    axes.set_yticks(range(values.shape[0]), [f"{mean:g}" for mean in exponents.index])
    axes.set(xlabel="strength of the recurrence", ylabel=f"{neuron}: mean input")
    axes.tick_params(length=0)
    return axes


def plot_curves(medians: pd.DataFrame, name: str, axes: Axes) -> Axes:
    """Draw the leading exponent against what was varied: a hue for each neuron, a line for each strength."""
    strengths = [column for column in medians.columns if column not in ("neuron", "value")]
    values = sorted(medians.value.unique())
    for neuron, rows in medians.groupby("neuron", sort=False):
        for strength, line, mark in zip(strengths, LINES, MARKS, strict=False):
            look = {"linestyle": line, "marker": mark, "markersize": 3, "color": NEURONS[neuron]}
            places = [values.index(value) for value in rows.value]
            axes.plot(places, rows[strength], **look, label=f"{neuron}, {strength:g}")
    axes.axhline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlabel(name)
    return axes
