"""What mean field says about surrogate exponents: the figure of `surrogate-mean-field`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, PALE, YELLOW, letter_panels, new_figure

MARKERS = {"public": ("o", ORDERED[1]), "gated": ("^", INK), "full": ("s", YELLOW)}
LINES = ("-", "--", ":", "-.")


def mean_field_figure(networks: pd.DataFrame, critical: pd.DataFrame, grids: pd.DataFrame) -> Figure:
    """Compose measured against predicted exponents, critical sharpness and exponents against the number of steps.

    `networks`: `convention`, `measured`, `predicted`, `by_variances`; `critical`: `loop`, `seed`, `steps`, `sharpness`;
    `grids`: `slope`, `loop`, `seed`, `steps`, `measured`, `predicted`.
    """
    figure = new_figure(FULL_WIDTH, 2.5)
    panels = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    plot_prediction(networks, panels[0])
    plot_critical(critical, panels[1])
    plot_grids(grids, panels[2])
    letter_panels(list(panels))
    return figure


def plot_prediction(networks: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the predicted exponent against the measured one, a dot for each network; pale: by variances alone."""
    ends = [networks["measured"].min(), networks["measured"].max()]
    axes.plot(ends, ends, color=GREY, linewidth=0.6, zorder=0)
    axes.plot(networks["measured"], networks["by_variances"], "x", color=GREY, markersize=3, label="by variances")
    for convention, (marker, colour) in MARKERS.items():
        rows = networks[networks["convention"] == convention]
        axes.plot(rows["measured"], rows["predicted"], marker, color=colour, markersize=2.6, label=convention)
    axes.axhline(0, color=PALE, linewidth=0.5, zorder=0)
    axes.axvline(0, color=PALE, linewidth=0.5, zorder=0)
    axes.set(xlabel=r"measured exponent ($1/\tau$)", ylabel=r"predicted exponent ($1/\tau$)")
    axes.legend(fontsize=6)
    return axes


def plot_critical(critical: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the critical sharpness against the steps of a tau, a line for each strength of recurrence."""
    for (loop, rows), line in zip(critical.groupby("loop"), LINES, strict=False):
        by_steps = rows.groupby("steps").sharpness
        axes.plot(by_steps.median().index, by_steps.median(), line, color=INK, marker="o", label=f"recurrence {loop:g}")
        axes.fill_between(by_steps.min().index, by_steps.min(), by_steps.max(), color=INK, alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel=r"steps per $\tau$", ylabel="critical sharpness")
    _steps_as_ticks(axes, critical)
    axes.legend(fontsize=6)
    return axes


def plot_grids(grids: pd.DataFrame, axes: Axes) -> Axes:
    """Draw exponents against the steps of a tau for both slopes: measured as dots, predicted as lines."""
    colours = dict(zip(grids["slope"].unique(), (ORDERED[1], INK), strict=False))
    for place, ((slope, loop), rows) in enumerate(grids.groupby(["slope", "loop"], sort=False)):
        by_steps, line = rows.groupby("steps"), LINES[sorted(grids["loop"].unique()).index(loop)]
        label = f"{slope}, recurrence {loop:g}" if place < 4 else None
        axes.plot(by_steps.predicted.median(), line, color=colours[slope], label=label)
        axes.plot(rows["steps"], rows["measured"], "o", color=colours[slope], markersize=2.6)
    axes.axhline(0, color=PALE, linewidth=0.5, zorder=0)
    axes.set(xscale="log", xlabel=r"steps per $\tau$", ylabel=r"leading exponent ($1/\tau$)")
    _steps_as_ticks(axes, grids)
    axes.legend(fontsize=5.5)
    return axes


def _steps_as_ticks(axes: Axes, table: pd.DataFrame) -> None:
    steps = np.unique(table["steps"])
    axes.set_xticks(steps, [str(count) for count in steps])
    axes.minorticks_off()


def critical_sharpness_figure(table: pd.DataFrame, chance: float, first: dict[str, float]) -> Figure:
    """Compose accuracy against the exponent at the start, against the sharpness, and with flossing before training.

    `table`: `loop`, `delay`, `steps`, `seed`, `factor` (sharpness in units of the critical one), `flossed` (exponents),
    `exponent`, `accuracy`; `first` is the condition (`loop`, `delay`, `steps`) that the others are set beside.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    panels = figure.subplots(1, 3, width_ratios=(1.1, 1, 0.9))
    alone = table[table["flossed"] == 0]
    same = (alone["loop"] == first["loop"]) & (alone["steps"] == first["steps"])
    plot_by_exponent(alone[same], panels[0])
    plot_by_sharpness(alone[alone["delay"] == first["delay"]], panels[1])
    here = (table[list(first)] == pd.Series(first)).all(axis=1)
    plot_flossed(table[here], panels[2])
    for axes in panels:
        axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
        axes.set(ylim=(0, 103), ylabel="accuracy (%)")
    letter_panels(list(panels))
    return figure


def plot_by_exponent(alone: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracy against the leading exponent at the start, a colour for each delay."""
    for (delay, rows), colour in zip(alone.groupby("delay"), ORDERED, strict=False):
        axes.plot(rows["exponent"], 100 * rows["accuracy"], "o", color=colour, markersize=2, alpha=0.5)
        mean = rows.groupby("factor")[["exponent", "accuracy"]].mean().sort_values("exponent")
        axes.plot(mean["exponent"], 100 * mean["accuracy"], color=colour, label=rf"delay {delay:g} $\tau$")
    axes.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel=r"exponent at the start ($1/\tau$)")
    axes.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, handlelength=1, columnspacing=0.8)
    return axes


def plot_by_sharpness(alone: pd.DataFrame, axes: Axes) -> Axes:
    """Draw mean accuracy against the sharpness in units of the critical one, a line for each grid and recurrence."""
    for place, ((loop, steps), rows) in enumerate(alone.groupby(["loop", "steps"])):
        mean = 100 * rows.groupby("factor").accuracy.mean()
        shade = (ORDERED[0], ORDERED[1], ORDERED[3], YELLOW)[place % 4]
        style = {"linestyle": LINES[place % len(LINES)], "color": shade, "marker": "o", "markersize": 2}
        axes.plot(mean.index, mean, label=f"{loop:g}, {steps} steps", **style)
    axes.axvline(1, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xscale="log", xlabel="sharpness over the critical one")
    legend = axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=2, columnspacing=0.6, fontsize=5.5)
    legend.set_title("recurrence, steps", {"size": 5.5})
    return axes


def plot_flossed(here: pd.DataFrame, axes: Axes) -> Axes:
    """Draw accuracies at the critical sharpness and at those that were flossed, before and after."""
    factors = sorted(here[here["flossed"] > 0]["factor"].unique())
    shown = here[here["factor"].isin([1.0, *factors])]
    names = []
    for place, ((factor, count), rows) in enumerate(shown.groupby(["factor", "flossed"])):
        colour, mark = (INK, "o") if factor == 1 else (ORDERED[1], "^") if count else (GREY, "s")
        axes.plot(place + np.array([-0.3, 0.3]), [100 * rows["accuracy"].mean()] * 2, color=colour, linewidth=1.2)
        aside = place + np.linspace(-0.15, 0.15, len(rows)) * (len(rows) > 1)
        axes.plot(aside, 100 * rows["accuracy"], mark, color=colour, markersize=2.6)
        names.append(f"{factor:g}\n{count}")
    axes.set_xticks(range(len(names)), names, fontsize=6)
    axes.set(xlabel="sharpness, flossed")
    return axes
