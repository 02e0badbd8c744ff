"""Published values beside those here: the figure of `published-and-reproduced`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, YELLOW, letter_panels, new_figure

LOOKS = {"same": (INK, "o"), "near": (YELLOW, "s"), "other": (ORDERED[1], "^")}


def published_and_reproduced_figure(table: pd.DataFrame, bound: float) -> Figure:
    """Compose deviations in units of the joint spread, a line a row (a), and values in per cent against each other (b).

    `table`: `what`, `settings`, `unit`, `reported`, `reported_spread`, `here`, `here_spread`, `deviation`.
    """
    figure = new_figure(FULL_WIDTH, 3.6)
    away, values = figure.subplots(1, 2, width_ratios=(1, 1.15))
    shown = table[table["deviation"].notna()].reset_index(drop=True)
    away.axvspan(-bound, bound, color=GREY, alpha=0.15, linewidth=0)
    away.axvline(0, color=GREY, linewidth=0.6)
    for settings, (colour, marker) in LOOKS.items():
        rows = shown[shown["settings"] == settings]
        away.plot(rows["deviation"], rows.index, marker, color=colour, label=f"{settings} settings")
        _draw_values(table[(table["settings"] == settings) & (table["unit"] == "%")], values, colour, marker)
    away.set_xscale("symlog", linthresh=2.0, linscale=1.0)
    away.set_xticks([-100, -10, -2, 0, 2, 10], ["-100", "-10", "-2", "0", "2", "10"])
    away.set_yticks(range(len(shown)), shown["what"], fontsize=5.5)
    away.invert_yaxis()
    away.set(xlabel="(here - reported) / joint spread")
    values.plot([0, 100], [0, 100], color=INK, linewidth=0.6)
    values.set(xlabel="reported (%)", ylabel="here (%)", xlim=(45, 102), ylim=(45, 102))
    figure.legend(*away.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    letter_panels([away, values], left=-12)
    return figure


def _draw_values(rows: pd.DataFrame, panel, colour: str, marker: str) -> None:  # type: ignore[no-untyped-def]
    spans = [np.nan_to_num(rows[name]) for name in ("reported_spread", "here_spread")]
    look = {"fmt": marker, "color": colour, "markersize": 3.5, "linewidth": 0.8}
    panel.errorbar(rows["reported"], rows["here"], xerr=spans[0], yerr=spans[1], **look)
