"""Learning to spike at given times: the figures of `single-neuron-learning` and `recurrent-pattern-learning`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.rasters import layer_bounds, plot_raster
from stablespike.figures.style import BLUE, BROKEN, FULL_WIDTH, GREY, INK, PALE, YELLOW, letter_panels, new_figure
from stablespike.figures.voltages import broken_at_spikes

# Colours and lines of the two ways to step, in the order of the table.
RULES, LINES = (BLUE, YELLOW), ("-", BROKEN[0])


def single_neuron_figure(
    times: pd.DataFrame,
    errors: pd.DataFrame,
    voltages: pd.DataFrame,
    inputs: pd.DataFrame,
    *,
    targets: Any,
    duration: float,
) -> Figure:
    """Compose spike times against the trial, errors of all seeds, and voltages before and after learning.

    `times`: `step`, `spike`, `time` (pseudospikes included); `errors`: `step`, `seed`, `rule`, `error`; `voltages`:
    `time`, `voltage`, `stage`; `inputs`: `time`, `weight`, `trained`, `stage`.
    """
    figure = new_figure(FULL_WIDTH, 3.7)
    upper, lower = figure.subplots(2, 2)
    plot_spike_times(times, upper[0], targets=targets, duration=duration)
    plot_pattern_error(errors, upper[1])
    for stage, axes in zip(voltages["stage"].unique(), lower, strict=True):
        plot_voltage(voltages[voltages["stage"] == stage], inputs[inputs["stage"] == stage], axes, targets=targets)
        axes.set_title(stage)
    lower[1].set_ylabel("")
    letter_panels([*upper, *lower])
    return figure


def recurrent_pattern_figure(
    rasters: pd.DataFrame,
    errors: pd.DataFrame,
    moves: pd.DataFrame,
    *,
    sizes: Mapping[str, int],
    targets: Any,
    duration: float,
    limit: float,
) -> Figure:
    """Compose rasters before and after learning, errors of all seeds, and how far spikes moved in a step.

    `rasters`: `layer`, `neuron`, `time`, `stage`, the first layer being the target neurons with `targets` `[neurons,
    spikes]`; `errors` as above; `moves`: `move`, `rule`, one row per step.
    """
    figure = new_figure(FULL_WIDTH, 3.9)
    upper, lower = figure.subplots(2, 2)
    for stage, axes in zip(rasters["stage"].unique(), upper, strict=True):
        plot_raster(rasters[rasters["stage"] == stage], axes, sizes=sizes, duration=duration)
        bottom, top = next(iter(layer_bounds(sizes).values()))
        for row, wanted in enumerate(np.asarray(targets)):
            height = bottom + (top - bottom) * (row + 0.5) / len(targets)
            look = {"facecolors": "none", "edgecolors": INK, "linewidths": 0.8, "zorder": 3}
            axes.scatter(wanted, np.full(len(wanted), height), s=28, **look)
        axes.set_title(stage)
        axes.set_xlabel(r"time ($\tau$)")
    plot_pattern_error(errors, lower[0])
    plot_moves(moves, lower[1], limit=limit)
    letter_panels([*upper, *lower])
    return figure


def plot_spike_times(table: pd.DataFrame, axes: Axes, *, targets: Any, duration: float) -> Axes:
    """Draw spike times against the trial: solid within it, pale as pseudospikes beyond its end."""
    for _, rows in table.groupby("spike"):
        within = rows["time"].where(rows["time"] <= duration)
        axes.plot(rows["step"] + 1, rows["time"], color=PALE, linewidth=1.0)
        axes.plot(rows["step"] + 1, within, color=BLUE)
    for target in targets:
        axes.axhline(target, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    axes.axhline(duration, color=INK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    axes.set(xscale="log", xlabel="trial", ylabel=r"spike time ($\tau$)")
    axes.set_ylim(0, max(duration * 1.1, table["time"].max() * 1.02))
    return axes


def plot_pattern_error(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the error against the trial for every seed, one colour per `rule`, the median thick."""
    table = table.assign(step=table["step"] + 1)
    for (rule, rows), colour, line in zip(table.groupby("rule", sort=False), RULES, LINES, strict=False):
        for _, single in rows.groupby("seed"):
            axes.plot(single["step"], single["error"], color=colour, linewidth=0.4, alpha=0.4)
        median = rows.groupby("step")["error"].median()
        axes.plot(median.index, median, linestyle=line, color=colour, label=str(rule), linewidth=1.8)
    low = max(table["error"].min(), 1e-9)
    axes.set(
        xscale="log", yscale="log", xlabel="trial", ylabel=r"error ($\tau^2$)", ylim=(low / 2, table["error"].max() * 2)
    )
    axes.legend(loc="lower left")
    return axes


def plot_voltage(
    traces: pd.DataFrame, inputs: pd.DataFrame, axes: Axes, *, targets: Any, limits: tuple[float, float] = (-5.0, 8.0)
) -> Axes:
    """Draw the voltage of one trial, cut at `limits`, with the wanted spike times above and the inputs below."""
    times, voltages = broken_at_spikes(traces["time"].to_numpy(float), traces["voltage"].to_numpy(float), limits)
    axes.plot(times, voltages, color=BLUE, linewidth=1.1)
    place = axes.get_xaxis_transform()
    marks = {"clip_on": False, "transform": place}
    axes.plot(targets, np.full(len(targets), 1.04), linestyle="none", marker="v", color=GREY, markersize=4, **marks)
    for trained, colour, width in ((False, GREY, 0.6), (True, INK, 1.8)):
        chosen = inputs[inputs["trained"] == trained]
        for sign, base in ((1, 0.02), (-1, 0.12)):
            some = chosen["time"][np.sign(chosen["weight"]) == sign]
            axes.vlines(some, base, base + 0.07, colors=colour, linewidth=width, transform=place)
    axes.set(xlabel=r"time ($\tau$)", ylabel="voltage", ylim=limits, xlim=(traces["time"].min(), traces["time"].max()))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes


def plot_moves(table: pd.DataFrame, axes: Axes, *, limit: float) -> Axes:
    """Draw which part of the steps moves some spike by more than a given distance, one colour per `rule`."""
    for (rule, rows), colour, line in zip(table.groupby("rule", sort=False), RULES, LINES, strict=False):
        moves = np.sort(rows["move"].to_numpy(float))[::-1]
        axes.plot(moves, (np.arange(moves.size) + 1) / moves.size, color=colour, label=str(rule), linestyle=line)
    axes.axvline(limit, color=INK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    axes.set(
        xscale="log", yscale="log", xlabel=r"largest move of a spike in a step ($\tau$)", ylabel="part of steps beyond"
    )
    axes.set_xlim(left=1e-4)
    axes.legend(loc="lower left")
    return axes
