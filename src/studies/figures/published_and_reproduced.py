"""Published values beside those here: the figure of `published-and-reproduced`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, YELLOW, letter_panels, new_figure

LOOKS = {"same": (INK, "o"), "near": (YELLOW, "s"), "other": (ORDERED[1], "^")}


def published_and_reproduced_figure(table: pd.DataFrame) -> Figure:
    """Compose differences in units of half their interval (a), and values in per cent against each other (b).

    `table`: `what`, `settings`, `unit`, `reported`, `reported_spread`, `here`, `here_spread`, `difference`, `half`. The
    first panel has the rows of same settings.
    """
    figure = new_figure(FULL_WIDTH, 2.9)
    away, values = figure.subplots(1, 2, width_ratios=(1, 1.15))
    shown = table[table["half"] > 0].reset_index(drop=True)
    away.axvspan(-1, 1, color=GREY, alpha=0.15, linewidth=0)
    away.axvline(0, color=GREY, linewidth=0.6)
    colour, marker = LOOKS["same"]
    away.plot(shown["difference"] / shown["half"], shown.index, marker, color=colour)
    for settings, (colour, marker) in LOOKS.items():
        rows = table[(table["settings"] == settings) & (table["unit"] == "%") & table["reported"].notna()]
        _draw_values(rows, values, colour, marker, f"{settings} settings")
    away.set_yticks(range(len(shown)), shown["what"], fontsize=6)
    away.set(xlabel="difference / half of its interval", xlim=(-2, 2), ylim=(len(shown) - 0.5, -0.5))
    values.plot([0, 100], [0, 100], color=INK, linewidth=0.6)
    values.set(xlabel="reported (%)", ylabel="here (%)", xlim=(45, 104), ylim=(45, 104))
    figure.legend(*values.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    letter_panels([away, values], left=-12.0)
    return figure


def _draw_values(rows: pd.DataFrame, panel: Axes, colour: str, marker: str, label: str) -> None:
    spans = [np.nan_to_num(rows[name]) for name in ("reported_spread", "here_spread")]
    look = {"color": colour, "markersize": 3.5, "markerfacecolor": "none", "linewidth": 0.8, "linestyle": "none"}
    panel.errorbar(rows["reported"], rows["here"], spans[1], spans[0], marker=marker, label=label, **look)
