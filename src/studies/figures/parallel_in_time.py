"""Layers in parallel over time beside loops over their inputs: the figure of `parallel-in-time`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, RED, YELLOW, letter_panels, new_figure

ENGINES = {"parallel": BLUE, "native": YELLOW, "recorded": RED}
LINES = {"longer": "-", "denser": "--", "wide": ":"}


def parallel_in_time_figure(costs: pd.DataFrame, programs: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Compose processor time, memory, depth and errors against the number of inputs.

    All have `engine`, `kind` ("longer", "denser" or "wide") and `inputs`; `costs` `gradient_ms` and `memory_mib`,
    `programs` `depth`, `errors` `largest`.
    """
    figure = new_figure(FULL_WIDTH, 4.2)
    panels = list(figure.subplots(2, 2).flat)
    plot_by_inputs(costs, "gradient_ms", panels[0], "gradient (processor, ms)")
    plot_by_inputs(costs[costs["engine"] != "native"], "memory_mib", panels[1], "memory (MiB)")
    plot_by_inputs(programs, "depth", panels[2], "depth (operations)")
    plot_by_inputs(errors, "largest", panels[3], "largest error (tau)")
    panels[0].legend(fontsize=6)
    letter_panels(panels)
    return figure


def plot_by_inputs(rows: pd.DataFrame, column: str, axes: Axes, label: str) -> Axes:
    """Draw a measurement by engine and kind: medians over seeds as lines, seeds as dots."""
    for (engine, kind), group in rows.groupby(["engine", "kind"], sort=False):
        medians = group.groupby("inputs")[column].median()
        colour = ENGINES.get(engine, GREY)
        axes.plot(medians.index, medians, LINES[kind], color=colour, label=f"{engine}, {kind}")
        axes.plot(group["inputs"], group[column], "o", color=colour, markersize=2, alpha=0.6)
    axes.set(xscale="log", yscale="log", xlabel="inputs", ylabel=label)
    return axes
