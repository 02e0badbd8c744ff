"""What computations cost: times beside their controls and floors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from stablespike.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    NEURONS,
    ORDERED,
    PALE,
    YELLOW,
    letter_panels,
    new_figure,
)


def engine_benchmarks_figure(table: pd.DataFrame) -> Figure:
    """Compose time and memory of each row: columns `workload`, `time_ms`, `control_ms`, `floor_ms`, `memory_mib`,
    `control_memory_mib`.
    """
    figure = new_figure(FULL_WIDTH, 0.8 + 0.34 * len(table))
    left, right = figure.subplots(1, 2, sharey=True)
    plot_beside(table, left, "time_ms", "control_ms", floor="floor_ms")
    left.set_xlabel("time of a call (ms)")
    plot_beside(table, right, "memory_mib", "control_memory_mib")
    right.set_xlabel("temporary memory (MiB)")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=3)
    letter_panels([left, right])
    return figure


def plot_beside(table: pd.DataFrame, axes: Axes, column: str, control: str, *, floor: str | None = None) -> Axes:
    """Draw a number beside that of its control, a row per workload, on a logarithmic axis; the floor as a tick."""
    rows = np.arange(len(table))
    axes.hlines(rows, table[column], table[control], color=GREY, linewidth=0.6, zorder=1)
    axes.plot(table[column], rows, "o", color=ORDERED[1], label="native")
    axes.plot(table[control], rows, "s", color=INK, label="control")
    if floor is not None:
        axes.plot(table[floor], rows, "|", color=INK, markersize=8, label="floor")
    axes.set_yticks(rows, list(table["workload"]))
    axes.set(xscale="log", ylim=(len(table) - 0.5, -0.5))
    return axes


def cost_compared_figure(table: pd.DataFrame) -> Figure:
    """Draw the time of every package, a panel per `workload`: columns `workload`, `package`, `time_ms`."""
    groups = list(table.groupby("workload"))
    figure = new_figure(FULL_WIDTH, 0.8 + 0.22 * max(len(rows) for _, rows in groups))
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for (workload, rows), axes in zip(groups, panels, strict=True):
        colours = [{"control": INK, "stablespike": ORDERED[1]}.get(name, PALE) for name in rows["package"]]
        places = np.arange(len(rows))
        axes.barh(places, rows["time_ms"], color=colours, height=0.7)
        for place, time in zip(places, rows["time_ms"], strict=True):
            axes.annotate(
                f"{time:.3g}" if time < 100 else f"{time:.0f}",
                (time, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        axes.set_yticks(places, list(rows["package"]))
        axes.set(xscale="log", xlabel="time of a training step (ms)", title=str(workload))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(rows["time_ms"].min() / 2, rows["time_ms"].max() * 3)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if rows["time_ms"].max() < 1e3 else (1.0,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    letter_panels([*panels], left=-60.0)
    return figure


RULE_COLOURS = {"recorded": INK, "checkpointed": YELLOW, "time-reversed": ORDERED[1]}
RULE_MARKS = {"recorded": "o", "checkpointed": "s", "time-reversed": "^"}


def gradient_cost_figure(gradients: pd.DataFrame, batches: pd.DataFrame, sizes: pd.DataFrame) -> Figure:
    """Compose what gradients cost by rule, batches by engine and sparse networks by size.

    `gradients` has the columns `varied`, `rule`, `events`, `neurons`, `duration`, `time_ms`, `memory_mib`, `floor_ms`;
    `batches` `neuron`, `spikes_per_neuron`, `relaxed_ms`, `loop_ms` and perhaps `scan_ms`; `sizes` `neuron`, `neurons`,
    `us_per_spike`, `control_per_s`, `floor_us`.
    """
    figure = new_figure(FULL_WIDTH, 4.2)
    panels = figure.subplots(2, 3).ravel()
    by_events = gradients[gradients["varied"] == "events"]
    plot_rules(by_events, panels[0], "events", "time_ms", floor="floor_ms")
    plot_rules(by_events, panels[1], "events", "memory_mib", floor="floor_mib")
    plot_rules(gradients[gradients["varied"] == "neurons"], panels[2], "neurons", "memory_mib", floor="floor_mib")
    plot_rules(gradients[gradients["varied"] == "duration"], panels[3], "duration", "memory_mib", floor="floor_mib")
    plot_batches(batches, panels[4])
    plot_sizes(sizes, panels[5])
    labels = [
        ("events", "value and gradient (ms)"),
        ("events", "memory (MiB)"),
        ("neurons", "memory (MiB)"),
        (r"duration ($\tau$)", "memory (MiB)"),
        ("spikes per neuron and trial", "batch of trials (ms)"),
        ("neurons", "time per spike (µs)"),
    ]
    for axes, (below, beside) in zip(panels, labels, strict=True):
        axes.set(xlabel=below, ylabel=beside, xscale="log", yscale="log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    panels[5].set_ylim(top=20 * panels[5].get_ylim()[1])  # room for the legend
    panels[4].set_ylim(top=60 * panels[4].get_ylim()[1])
    for axes in panels[:4]:  # a logarithmic axis of less than two decades would show a single tick
        values = np.unique(axes.lines[0].get_xdata())
        axes.set_xticks(values, [f"{float(f'{value:.2g}'):g}" for value in values])
        axes.set_xticks([], minor=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    letter_panels([*panels], left=-34.0)
    return figure


def plot_rules(table: pd.DataFrame, axes: Axes, against: str, column: str, *, floor: str) -> Axes:
    """Draw a cost by gradient rule against what is varied, and its floor."""
    for rule, rows in table.groupby("rule", sort=False):
        look = {"marker": RULE_MARKS[str(rule)], "color": RULE_COLOURS[str(rule)]}
        axes.plot(rows[against], rows[column], label=rule, **look)
    lowest = table.drop_duplicates(against)
    axes.plot(lowest[against], lowest[floor], ":", color=INK, label="floor")
    return axes


def plot_batches(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the time of a batch by engine: theta networks as lines, QIF networks dashed."""
    engines = {"relaxed_ms": ("windows", ORDERED[1]), "loop_ms": ("loop", YELLOW), "scan_ms": ("scan", INK)}
    for kind, rows in table.groupby("neuron", sort=False):
        for column, (label, colour) in engines.items():
            if column in rows:
                style = {"color": colour, "marker": "o", "linestyle": "-" if kind == "theta" else "--"}
                axes.plot(rows["spikes_per_neuron"], rows[column], label=label if kind == "theta" else None, **style)
    axes.plot([], [], "-", color=GREY, label="theta neurons")
    axes.plot([], [], "--", color=GREY, label="QIF neurons")
    axes.legend(fontsize=5.5, loc="upper left")
    return axes


def plot_sizes(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the time per spike of sparse networks against their size, that of the loop over all neurons, the floor."""
    for kind, rows in table.groupby("neuron", sort=False):
        mark = "s-" if kind == "LIF" else "o-"
        axes.plot(rows["neurons"], rows["us_per_spike"], mark, color=NEURONS[str(kind)], label=kind)
    leaky = table.dropna(subset=["control_per_s"])
    axes.plot(leaky["neurons"], 1e6 / leaky["control_per_s"], "o--", color=GREY, label="all neurons, LIF")
    axes.plot(leaky["neurons"], leaky["floor_us"], ":", color=INK, label="floor")
    axes.legend(fontsize=5.5, loc="upper left")
    return axes
