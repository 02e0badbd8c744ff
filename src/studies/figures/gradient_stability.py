"""How gradients fare on their way back through time, and what Lyapunov exponents say about it."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, letter_panels, looks_of, new_figure


def gradients_through_time_figure(growth: pd.DataFrame, spectra: pd.DataFrame, *, at: float) -> Figure:
    """Compose norm and dimensionality of gradients against the delay, and their spectrum `at` one delay.

    `growth`: `kind`, `seed`, `delay`, `norm`, `dimension`; `spectra`: `kind`, `seed`, `index`, `singular` (in units of
    the largest).
    """
    figure = new_figure(FULL_WIDTH, 2.6)
    panels = figure.subplots(1, 3)
    plot_by_kind(growth, panels[0], "delay", "norm")
    panels[0].set(yscale="log", xlabel=r"delay ($\tau$)", ylabel="norm of the gradient")
    plot_by_kind(growth, panels[1], "delay", "dimension")
    panels[1].set(xlabel=r"delay ($\tau$)", ylabel="dimensions", ylim=(0.5, None))
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=7)
    plot_by_kind(spectra, panels[2], "index", "singular")
    panels[2].set(yscale="log", xlabel="index", ylabel=rf"singular value, {at:g} $\tau$")
    panels[2].set_ylim(bottom=1e-12)
    letter_panels(list(panels))
    return figure


def lyapunov_predicts_gradients_figure(networks: pd.DataFrame) -> Figure:
    """Compose growth rates of gradients against leading exponents, and exponents against the surrogate's sharpness.

    `networks`: `kind`, `seed`, `loop` (strength of recurrence), `sharpness` (NaN: exact), `exponent`, `error`,
    `growth`. The right panel shows the strongest recurrence.
    """
    figure = new_figure(FULL_WIDTH, 2.6)
    left, right = figure.subplots(1, 2)
    plot_prediction(networks, left).legend(fontsize=6)
    near = left.inset_axes((0.62, 0.1, 0.37, 0.37))  # what one dot hides in the whole
    plot_prediction(networks[networks["sharpness"].isna()], near).set(xlabel="", ylabel="")
    near.tick_params(labelsize=5)
    near.set_title("exact alone", fontsize=6)
    plot_exponents(networks[networks["loop"] == networks["loop"].max()], right)
    letter_panels([left, right])
    return figure


def plot_prediction(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the growth rate of gradients against the exponent, a dot for each network; on the diagonal they agree."""
    ends = [table[["exponent", "growth"]].min().min(), table[["exponent", "growth"]].max().max()]
    axes.plot(ends, ends, color=GREY, linewidth=0.6, zorder=0)
    looks = looks_of(dict.fromkeys(table["kind"]))
    for place, (kind, rows) in enumerate(table.groupby("kind", sort=False)):
        look = looks[str(kind)] | {"linestyle": "none", "elinewidth": 0.5, "markeredgewidth": 0.6, "markersize": 2.6}
        axes.errorbar(rows["exponent"], rows["growth"], xerr=rows["error"], label=named(kind), zorder=5 - place, **look)
    axes.set(xlabel=r"leading exponent ($1/\tau$)", ylabel=r"growth of gradients ($1/\tau$)")
    return axes


def plot_exponents(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the leading exponent against sharpness for surrogates, and as a line across for exact networks."""
    looks = looks_of(dict.fromkeys(table["kind"]))
    for kind, rows in table.groupby("kind", sort=False):
        look = looks[str(kind)]
        if rows["sharpness"].isna().all():
            axes.axhspan(rows["exponent"].min(), rows["exponent"].max(), color=look["color"], alpha=0.2, linewidth=0)
            axes.axhline(rows["exponent"].median(), color=look["color"])
        else:
            draw_range(rows, axes, "sharpness", "exponent", look["color"], None, look["linestyle"])
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.set(xscale="log", xlabel="sharpness of the surrogate", ylabel=r"leading exponent ($1/\tau$)")
    return axes


def plot_by_kind(table: pd.DataFrame, axes: Axes, x: str, y: str) -> Axes:
    """Draw a column against another, a line for each kind: medians over seeds, bands from smallest to largest."""
    looks = looks_of(dict.fromkeys(table["kind"]))
    for kind, rows in table.groupby("kind", sort=False):
        draw_range(rows, axes, x, y, looks[str(kind)]["color"], named(kind), looks[str(kind)]["linestyle"])
    return axes


def draw_range(
    table: pd.DataFrame, axes: Axes, x: str, y: str, colour: str, label: str | None, line: Any = "-"
) -> None:
    """Median over seeds as a line, smallest to largest as a band."""
    by_x = table.groupby(x)[y]
    median = by_x.median()
    axes.fill_between(median.index, by_x.min(), by_x.max(), color=colour, alpha=0.13, linewidth=0)
    axes.plot(median.index, median, color=colour, label=label, linestyle=line)


def named(kind: object) -> str:
    """A kind as a legend has it, with the letter for the time constant."""
    return str(kind).replace("tau/", r"$\tau$/")
