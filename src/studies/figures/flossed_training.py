"""What flossing does for a task with a delay: accuracy against delay and step, gradients against time."""

import itertools
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, letter_panels, new_figure
from studies.figures.gradient_stability import draw_range

COLOURS, MARKS = {False: INK, True: ORDERED[1]}, {False: "o", True: "^"}  # flossed or not
LABELS = {False: "plain", True: "flossed"}
LINES = ("-", (0, (4, 1.5)), ":", (0, (1, 1)))  # one for each kind of network


def flossed_training_figure(
    results: pd.DataFrame, course: pd.DataFrame, norms: pd.DataFrame, published: Mapping[bool, Mapping[int, float]]
) -> Figure:
    """Compose accuracy against the delay, accuracy during training, and gradient norms against the delay, in steps.

    `results`: `cell`, `kind`, `flossed`, `seed`, `delay`, `accuracy`, with a panel for each cell; `course`: `flossed`,
    `seed`, `step`, `accuracy`; `norms`: `flossed`, `seed`, `distance`, `norm`. `published` accuracies by `flossed` and
    delay are drawn as open marks beside the first cell.
    """
    cells = list(results.groupby("cell", sort=False))
    figure = new_figure(FULL_WIDTH, 2.6)
    *lefts, middle, right = panels = list(figure.subplots(1, len(cells) + 2))
    for place, ((cell, rows), left) in enumerate(zip(cells, lefts, strict=True)):
        plot_accuracy(rows, left, {} if place else published).set_title(cell)
    handles = {label: line for axes in lefts for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper right", ncols=3, fontsize=6)
    for flossed, colour in COLOURS.items():
        here = course[course["flossed"] == flossed]
        here = here.assign(accuracy=100 * here["accuracy"])
        draw_range(here, middle, "step", "accuracy", colour, LABELS[flossed])
        draw_range(norms[norms["flossed"] == flossed], right, "distance", "norm", colour, LABELS[flossed])
    middle.set(xlabel="training step", ylabel="accuracy (%)", ylim=(45, 102))
    right.set(yscale="log", xlabel="steps back", ylabel="norm of the gradient")
    letter_panels(panels)
    return figure


def plot_accuracy(table: pd.DataFrame, axes: Axes, published: Mapping[bool, Mapping[int, float]]) -> Axes:
    """Draw accuracy against delay: a colour for plain and flossed, a line for each kind; medians, and all seeds.

    Dots of different networks stand a little aside of one another, by parts of the distance between delays. Open
    marks are published; those of plain networks are larger, so that both are seen where they are equal.
    """
    delays = sorted({*table["delay"], *(delay for points in published.values() for delay in points)})
    step = min((late - early for early, late in itertools.pairwise(delays)), default=4)
    for place, ((kind, rows), line) in enumerate(zip(table.groupby("kind", sort=False), LINES, strict=False)):
        for flossed, found in rows.groupby("flossed"):
            colour, mark = COLOURS[bool(flossed)], MARKS[bool(flossed)]
            label = f"{kind}, {LABELS[bool(flossed)]}"
            aside = step * (0.12 * place + (0.04 if flossed else -0.04))
            axes.plot(
                found["delay"] + aside,
                100 * found["accuracy"],
                mark,
                color=colour,
                markersize=1.8,
                alpha=0.6,
            )
            median = found.groupby("delay")["accuracy"].median()
            axes.plot(
                median.index + aside, 100 * median, color=colour, linestyle=line, marker="_", markersize=6, label=label
            )
    for flossed, points in published.items():
        axes.plot(
            list(points), [100 * value for value in points.values()], MARKS[flossed], markerfacecolor="none",
            markersize=3.5 if flossed else 6, color=COLOURS[flossed], label=f"{LABELS[flossed]}, published",
        )  # fmt: skip
    axes.axhline(50, color=GREY, linewidth=0.6, zorder=0)
    axes.set(xlabel="delay (bits)", ylabel="accuracy (%)", ylim=(45, 103), yticks=[50, 75, 100])
    axes.set(xlim=(delays[0] - step / 2, delays[-1] + step / 2), xticks=delays)
    return axes
