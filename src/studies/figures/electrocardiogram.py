"""Networks that name the waves of an electrocardiogram: the figure of `electrocardiogram`."""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, PALE, RED, YELLOW, letter_panels, new_figure
from studies.figures.training_curves import draw_spread

COLOURS = (GREY, INK, YELLOW, RED, BLUE, PALE)
PARTS = ("train", "validation", "test")
WAVE_COLOURS = (PALE, YELLOW, RED, INK, BLUE, GREY)


def electrocardiogram_figure(
    history: pd.DataFrame,
    table: pd.DataFrame,
    linear: float,
    claimed: float,
    example: dict[str, np.ndarray],
    waves: tuple[str, ...],
    seconds: float,
) -> Figure:
    """Compose learning curves, accuracies at the end, and the waves `[steps]` of one test trial by each of `example`.

    `history`: `kind`, `seed`, `epoch`, `test_accuracy`; `table`: `kind`, `seed`, `train`, `validation`, `test`;
    `linear` and `claimed`: accuracies on the test trials; `seconds`: how long a trial is.
    """
    figure = new_figure(FULL_WIDTH, 4.2)
    above, below = figure.add_gridspec(2, 1, height_ratios=(2, 1))
    curves, ends = (figure.add_subplot(one) for one in above.subgridspec(1, 2, width_ratios=(1.3, 1)))
    per_cent = history.assign(test_accuracy=100 * history["test_accuracy"])
    kinds = list(dict.fromkeys(table["kind"]))
    for place, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", curves, colour, kind)
        rows, shift = table[table["kind"] == kind], (place - (len(kinds) - 1) / 2) * 0.13
        for column, part in enumerate(PARTS):
            ends.plot(np.full(len(rows), column + shift), 100 * rows[part], "o", color=colour, markersize=3)
    curves.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(20, 100))
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ends.axhline(100 * linear, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    ends.axhline(100 * claimed, color=RED, linewidth=0.8)
    ends.set_xticks(range(len(PARTS)), PARTS)
    ends.set(ylabel="accuracy (%)", ylim=(40, 100), xlim=(-0.5, len(PARTS) - 0.5))
    figure.legend(*curves.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    strip = figure.add_subplot(below)
    colours = ListedColormap(WAVE_COLOURS[: len(waves)])
    drawn = strip.imshow(
        np.stack(list(example.values())), aspect="auto", interpolation="none", cmap=colours, vmin=-0.5,
        vmax=len(waves) - 0.5, extent=(0, seconds, len(example), 0),
    )  # fmt: skip
    strip.set_yticks(np.arange(len(example)) + 0.5, list(example))
    strip.set_xlabel("time (s)")
    bar = figure.colorbar(drawn, ax=strip, ticks=range(len(waves)))
    bar.set_ticklabels(list(waves))
    letter_panels([curves, ends, strip])
    return figure
