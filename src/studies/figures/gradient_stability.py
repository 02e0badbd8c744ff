"""How gradients fare on their way back through time, and what Lyapunov exponents say about it."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, RED, YELLOW, letter_panels, new_figure

COLOURS = (RED, BLUE, YELLOW, INK, GREY)  # one for each kind of network, in the order of the table


def gradients_through_time_figure(growth: pd.DataFrame, spectra: pd.DataFrame, *, at: float) -> Figure:
    """Compose norm and dimensionality of gradients against the delay, and their spectrum `at` one delay.

    `growth`: `kind`, `seed`, `delay`, `norm`, `dimension`; `spectra`: `kind`, `seed`, `index`, `singular` (in units of
    the largest).
    """
    figure = new_figure(FULL_WIDTH, 2.4)
    panels = figure.subplots(1, 3)
    plot_by_kind(growth, panels[0], "delay", "norm")
    panels[0].set(yscale="log", xlabel="delay (tau)", ylabel="norm of the gradient")
    plot_by_kind(growth, panels[1], "delay", "dimension")
    panels[1].set(yscale="log", xlabel="delay (tau)", ylabel="dimensionality")
    panels[1].legend(fontsize=6)
    plot_by_kind(spectra, panels[2], "index", "singular")
    panels[2].set(yscale="log", xlabel="index", ylabel=f"singular value, {at:g} tau")
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
    for place, ((kind, rows), colour) in enumerate(zip(table.groupby("kind", sort=False), COLOURS, strict=False)):
        axes.errorbar(
            rows["exponent"], rows["growth"], xerr=rows["error"], fmt="o", color=colour, elinewidth=0.5, markersize=2.2,
            label=str(kind), zorder=5 - place,
        )  # fmt: skip
    axes.set(xlabel="leading exponent (1/tau)", ylabel="growth of gradients (1/tau)")
    return axes


def plot_exponents(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the leading exponent against sharpness for surrogates, and as a line across for exact networks."""
    for (_, rows), colour in zip(table.groupby("kind", sort=False), COLOURS, strict=False):
        if rows["sharpness"].isna().all():
            axes.axhspan(rows["exponent"].min(), rows["exponent"].max(), color=colour, alpha=0.2, linewidth=0)
            axes.axhline(rows["exponent"].median(), color=colour)
        else:
            draw_range(rows, axes, "sharpness", "exponent", colour, None)
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.set(xscale="log", xlabel="sharpness of the surrogate", ylabel="leading exponent (1/tau)")
    return axes


def plot_by_kind(table: pd.DataFrame, axes: Axes, x: str, y: str) -> Axes:
    """Draw a column against another, a colour for each kind: medians over seeds, bands from smallest to largest."""
    for (kind, rows), colour in zip(table.groupby("kind", sort=False), COLOURS, strict=False):
        draw_range(rows, axes, x, y, colour, str(kind))
    return axes


def draw_range(table: pd.DataFrame, axes: Axes, x: str, y: str, colour: str, label: str | None) -> None:
    """Median over seeds as a line, smallest to largest as a band."""
    by_x = table.groupby(x)[y]
    median = by_x.median()
    axes.fill_between(median.index, by_x.min(), by_x.max(), color=colour, alpha=0.18, linewidth=0)
    axes.plot(median.index, median, color=colour, label=label)
