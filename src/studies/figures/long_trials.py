"""What holds exact gradients back on long trials: the figure of `long-trials`."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, RED, YELLOW, letter_panels, new_figure
from studies.figures.training_curves import draw_spread

COLOURS = (RED, BLUE, YELLOW, INK, GREY)
STYLES = ("-", (0, (4, 2)))


def long_trials_figure(norms: pd.DataFrame, along: pd.DataFrame, history: pd.DataFrame) -> Figure:
    """Compose norms of gradients against the length, losses along them, and learning curves.

    `norms`: `kind`, `gradient`, `steps`, `hidden` (of single trials); `along`: `kind`, `gradient`, `size`, `change` of
    the loss of other trials; `history`: `kind`, `seed`, `epoch`, `test_accuracy`. In the first two panels a colour for
    each gradient, solid for the first kind and dashed for the second.
    """
    figure = new_figure(FULL_WIDTH, 2.6)
    lengths, falls, curves = figure.subplots(1, 3, width_ratios=(1, 1.2, 1.3))
    styles = dict(zip(dict.fromkeys(norms["kind"]), STYLES, strict=False))
    colours = dict(zip(dict.fromkeys(norms["gradient"]), COLOURS, strict=False))
    for table, axes, x, y in ((norms, lengths, "steps", "hidden"), (along, falls, "size", "change")):
        for (kind, gradient), rows in table.groupby(["kind", "gradient"], sort=False):
            label = f"{kind}, {gradient}" if axes is lengths else None
            axes.plot(
                rows[x], rows[y], "o", linestyle=styles[kind], color=colours[gradient], markersize=2.5, label=label
            )
    lengths.set(xscale="log", yscale="log", xlabel="steps of a piece", ylabel="norm of a trial's gradient")
    falls.axhline(0, color=GREY, linewidth=0.6)
    falls.set(xscale="log", xlabel="step (norm of weights)", ylabel="change of the loss")
    shown = history.assign(test_accuracy=100 * history["test_accuracy"])
    for (kind, rows), colour in zip(shown.groupby("kind", sort=False), COLOURS, strict=False):
        draw_spread(rows, "test_accuracy", curves, colour, str(kind))
    curves.set(xlabel="epoch", ylabel="validation accuracy (%)")
    curves.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    lengths.legend(fontsize=6)
    curves.legend(fontsize=6)
    letter_panels([lengths, falls, curves])
    return figure
