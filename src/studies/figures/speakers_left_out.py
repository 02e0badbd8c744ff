"""Digits of speakers who were left out: the figure of `speakers-left-out`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import FULL_WIDTH, GREY, INK, letter_panels, looks_of, new_figure
from studies.figures.training_curves import draw_spread


def speakers_left_out_figure(
    history: pd.DataFrame, table: pd.DataFrame, linear: pd.Series, chance: float, official: str
) -> Figure:
    """Compose curves of the training loss, and the accuracy of every kind on every fold.

    `history`: `kind`, `seed` (the fold), `epoch`, `loss`; `table`: `kind`, `fold`, `test`; `linear`: accuracy of the
    linear classifier by fold. Speakers stand from the hardest for it to the easiest, then the `official` split.
    """
    figure = new_figure(FULL_WIDTH, 2.8)
    curves, ends = figure.subplots(1, 2, width_ratios=(1, 1.6))
    kinds = list(dict.fromkeys(table["kind"]))
    speakers = linear.drop(official, errors="ignore").sort_values()
    order = [*speakers.index, *(name for name in linear.index if name == official)]
    for place, (kind, look) in enumerate(looks_of(kinds).items()):
        draw_spread(
            history[(history["kind"] == kind) & (history["epoch"] > 0)],
            "loss",
            curves,
            look["color"],
            kind,
            look["linestyle"],
        )
        rows = table[table["kind"] == kind].set_index("fold").loc[order]
        shift = (place - (len(kinds) - 1) / 2) * 0.15
        marks = {**look, "linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8}
        ends.plot(np.arange(len(order)) + shift, 100 * rows["test"], **marks)
    for column, name in enumerate(order):
        ends.plot(column + np.array([-0.35, 0.35]), [100 * linear[name]] * 2, color=INK, linestyle=(0, (4, 2)), lw=0.8)
    ends.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
    ends.set_xticks(range(len(order)), order)
    ends.tick_params(axis="x", rotation=20)
    ends.set(ylabel="accuracy (%)", ylim=(0, 100))
    curves.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.legend(*curves.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    letter_panels([curves, ends])
    return figure
