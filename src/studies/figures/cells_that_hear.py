"""Networks of cells that leak, adapt or resonate: the figure of `cells-that-hear`."""

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, INK, new_figure
from studies.figures.time_constants import looks_of_kinds, time_constants_figure


def cells_that_hear_figure(
    history: pd.DataFrame, table: pd.DataFrame, linear: float, chance: float, claimed: float
) -> Figure:
    """Compose learning curves and accuracies at the end, with the level that was `claimed` on the test.

    Tables and numbers are those of `time_constants_figure`, whose panels these are.
    """
    figure = time_constants_figure(history, table, linear, chance)
    _, ends = figure.axes
    ends.plot([1.55, 2.45], [100 * claimed] * 2, color=INK, linewidth=0.7, zorder=0)
    ends.annotate("claimed", (2.47, 100 * claimed), fontsize=6, va="center", annotation_clip=False)
    return figure


def settings_figure(table: pd.DataFrame) -> Figure:
    """Draw the accuracy on the validation speakers of every try, a line for each kind.

    `table`: `kind`, `setting`, `validation`.
    """
    figure = new_figure(FULL_WIDTH, 2.6)
    axes = figure.subplots()
    for kind, look in looks_of_kinds(list(dict.fromkeys(table["kind"]))).items():
        rows = table[table["kind"] == kind]
        axes.plot(rows["setting"], 100 * rows["validation"], label=kind, linewidth=0.8, **look)
    axes.set(ylabel="validation accuracy (%)")
    axes.tick_params(axis="x", rotation=20)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
