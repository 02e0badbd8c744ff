"""Networks that hear with neurons of different time constants: the figure of `time-constants`."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BROKEN, FULL_WIDTH, GREY, INK, RED, YELLOW, letter_panels, new_figure
from studies.figures.networks_that_hear import PARTS, draw_parts, draw_references
from studies.figures.training_curves import draw_spread

# The first kind is that of equal leaky neurons.
COLOURS, LINES, MARKS = (RED, RED, YELLOW, INK, GREY), ("-", BROKEN[0], "-", BROKEN[2], "-"), ("o", "s", "^", "D", "v")
FILLED = (True, False, True, False, True)


def time_constants_figure(history: pd.DataFrame, table: pd.DataFrame, linear: float, chance: float) -> Figure:
    """Compose learning curves on the validation speakers and accuracies at the end, a colour for each kind.

    `history`: `kind`, `seed`, `epoch`, `test_accuracy`; `table`: `kind`, `seed`, `train`, `validation`, `test`, `low`,
    `high`; `linear` and `chance`: accuracies on the test trials.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    curves, ends = figure.subplots(1, 2, width_ratios=(1.3, 1))
    per_cent = history.assign(test_accuracy=100 * history["test_accuracy"])
    kinds = list(dict.fromkeys(table["kind"]))
    for place, (kind, look) in enumerate(looks_of_kinds(kinds).items()):
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", curves, look["color"], kind, look["linestyle"])
        draw_parts(table[table["kind"] == kind], ends, (place - (len(kinds) - 1) / 2) * 0.15, look)
    curves.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 100))
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    draw_references(ends, linear, chance)
    ends.set(ylim=(max(0, 100 * min(linear, table[list(PARTS)].min().min()) - 8), 101))
    handles = [Line2D([], [], label=kind, markersize=3.5, **look) for kind, look in looks_of_kinds(kinds).items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=min(len(kinds), 5), handlelength=2.4)
    letter_panels([curves, ends])
    return figure


def looks_of_kinds(kinds: list[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and mark of each kind, in the order of the table."""
    return {
        kind: {"color": colour, "linestyle": line, "marker": mark, "markerfacecolor": colour if filled else "white"}
        for kind, colour, line, mark, filled in zip(kinds, COLOURS, LINES, MARKS, FILLED, strict=False)
    }
