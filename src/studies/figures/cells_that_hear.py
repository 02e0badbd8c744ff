"""Networks of cells that leak, adapt or resonate: the figure of `cells-that-hear`."""

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.style import RED
from studies.figures.time_constants import time_constants_figure


def cells_that_hear_figure(
    history: pd.DataFrame, table: pd.DataFrame, linear: float, chance: float, claimed: float
) -> Figure:
    """Compose learning curves and accuracies at the end, with the level `claimed` of the best kind on the test.

    Tables and numbers are those of `time_constants_figure`, whose panels these are.
    """
    figure = time_constants_figure(history, table, linear, chance)
    _, ends = figure.axes
    ends.plot([1.6, 2.4], [100 * claimed] * 2, color=RED, linewidth=1.2)
    return figure
