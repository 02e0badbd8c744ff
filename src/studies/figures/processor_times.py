"""Processor time of computations beside that of their controls."""

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, new_figure
from studies.figures.costs import plot_beside


def processor_times_figure(table: pd.DataFrame) -> Figure:
    """Draw the processor time of each row beside its control: columns `workload`, `time_ms`, `control_ms`."""
    figure = new_figure(FULL_WIDTH, 0.8 + 0.34 * len(table))
    axes = plot_beside(table, figure.subplots(), "time_ms", "control_ms")
    axes.set_xlabel("processor time (ms)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=2)
    return figure
