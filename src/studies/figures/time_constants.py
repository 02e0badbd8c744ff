"""Networks that hear with neurons of different time constants: the figure of `time-constants`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, RED, YELLOW, letter_panels, new_figure
from studies.figures.training_curves import draw_spread

COLOURS = (GREY, INK, YELLOW, RED, BLUE)
PARTS = ("train", "validation", "test")


def time_constants_figure(history: pd.DataFrame, table: pd.DataFrame, linear: float, chance: float) -> Figure:
    """Compose learning curves on the validation speakers and accuracies at the end, a colour for each kind.

    `history`: `kind`, `seed`, `epoch`, `test_accuracy`; `table`: `kind`, `seed`, `train`, `validation`, `test`, `low`,
    `high`; `linear` and `chance`: accuracies on the test trials.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    curves, ends = figure.subplots(1, 2, width_ratios=(1.3, 1))
    per_cent = history.assign(test_accuracy=100 * history["test_accuracy"])
    kinds = list(dict.fromkeys(table["kind"]))
    for place, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", curves, colour, kind)
        rows, shift = table[table["kind"] == kind], (place - (len(kinds) - 1) / 2) * 0.15
        for column, part in enumerate(PARTS):
            ends.plot(np.full(len(rows), column + shift), 100 * rows[part], "o", color=colour, markersize=3)
        spans = 100 * np.abs(rows[["low", "high"]].to_numpy().T - rows["test"].to_numpy())
        ends.errorbar(np.full(len(rows), 2 + shift), 100 * rows["test"], spans, fmt="none", color=colour, linewidth=0.8)
    curves.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 100))
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ends.axhline(100 * linear, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    ends.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
    ends.set_xticks(range(len(PARTS)), PARTS)
    ends.set(ylabel="accuracy (%)", ylim=(0, 100), xlim=(-0.5, len(PARTS) - 0.5))
    figure.legend(*curves.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    letter_panels([curves, ends])
    return figure
