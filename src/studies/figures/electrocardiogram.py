"""Networks that name the waves of an electrocardiogram: the figure of `electrocardiogram`."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import FULL_WIDTH, GREY, INK, letter_panels, looks_of, new_figure
from studies.figures.networks_that_hear import PARTS, draw_parts
from studies.figures.training_curves import draw_spread

READOUT = {"color": GREY, "linestyle": ":", "marker": "v", "markerfacecolor": GREY}  # which learns alone


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
    looks = {kind: READOUT if "readout" in kind else look for kind, look in looks_of(kinds).items()}
    for place, (kind, look) in enumerate(looks.items()):
        draw_spread(per_cent[per_cent["kind"] == kind], "test_accuracy", curves, look["color"], kind, look["linestyle"])
        draw_parts(table[table["kind"] == kind], ends, (place - (len(kinds) - 1) / 2) * 0.13, look)
    curves.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(30, 100))
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ends.plot([1.55, 2.45], [100 * linear] * 2, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    ends.plot([1.55, 2.45], [100 * claimed] * 2, color=INK, linewidth=0.7, zorder=0)
    ends.set_xticks(range(len(PARTS)), PARTS)
    ends.set(ylabel="accuracy (%)", ylim=(30, 100), xlim=(-0.5, len(PARTS) - 0.5))
    handles = [Line2D([], [], label=kind, markersize=3.5, **look) for kind, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, handlelength=2.4)
    strip = figure.add_subplot(below)
    colours = colormaps["cividis"].resampled(len(waves))
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
