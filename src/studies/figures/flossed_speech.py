"""What flossing does to networks that recognise spoken digits: accuracy, spectra, gradients, spikes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, YELLOW, letter_panels, new_figure
from studies.figures.gradient_stability import draw_range
from studies.figures.training_curves import draw_spread

COLOURS, MARKS = (
    (INK, ORDERED[1], YELLOW),
    ("o", "^", "s"),
)  # one for each course of flossing, in the order of the table
STAGES = {"start": (0, (4, 1.5)), "end": "-"}


def flossed_speech_figure(
    history: pd.DataFrame, spectra: pd.DataFrame, norms: pd.DataFrame, results: pd.DataFrame, chance: float
) -> Figure:
    """Compose accuracy, Lyapunov exponents, gradient norms and spikes, a row for each depth of the network.

    All have `depth` (hidden layers), `course`, `seed`. `history`: `epoch`, `test_accuracy`; `spectra`: `stage` (start
    or end of training), `layer`, `index`, `exponent`; `norms`: `stage`, `distance`, `norm`; `results`: `stage`,
    `spikes` of a neuron in a trial.
    """
    depths = sorted(history["depth"].unique())
    figure = new_figure(FULL_WIDTH, 0.4 + 1.7 * len(depths))
    panels = figure.subplots(len(depths), 4, squeeze=False)
    for row, depth in zip(panels, depths, strict=True):
        plot_accuracy(history[history["depth"] == depth], row[0], chance)
        row[0].set_title("one layer" if depth == 1 else f"{depth} layers")
        plot_by_stage(spectra[spectra["depth"] == depth], row[1], "index", "exponent")
        row[1].axhline(0, color=GREY, linewidth=0.6, zorder=0)
        row[1].set(xlabel="index", ylabel="exponent (1/step)")
        plot_by_stage(norms[norms["depth"] == depth], row[2], "distance", "norm")
        row[2].set(yscale="log", xlabel="steps before the answer", ylabel="norm of the gradient")
        plot_spikes(results[results["depth"] == depth], row[3])
    letter_panels([*panels.ravel()], left=-30.0)
    return figure


def plot_accuracy(table: pd.DataFrame, axes: Axes, chance: float) -> Axes:
    """Draw accuracy against the epoch in per cent, a colour for each course: means over seeds, bands: all."""
    per_cent = table.assign(test_accuracy=100 * table["test_accuracy"])
    for (course, rows), colour in zip(per_cent.groupby("course", sort=False), COLOURS, strict=False):
        draw_spread(rows, "test_accuracy", axes, colour, str(course))
    axes.axhline(100 * chance, color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, None))
    axes.legend(fontsize=6)
    return axes


def plot_by_stage(table: pd.DataFrame, axes: Axes, x: str, y: str) -> Axes:
    """Draw a column against another: a colour for each course, dashed at the start of training, solid at its end."""
    for (_, rows), colour in zip(table.groupby("course", sort=False), COLOURS, strict=False):
        for stage, line in STAGES.items():
            found = rows[rows["stage"] == stage]
            if stage == "end":
                draw_range(found, axes, x, y, colour, None)
            else:
                median = found.groupby(x)[y].median()
                axes.plot(median.index, median, color=colour, linestyle=line, linewidth=0.9)
    return axes


def plot_spikes(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw spikes of a neuron in a trial, a dot per network, open at the start of training and filled at its end."""
    names = list(table["course"].unique())
    for place, (name, colour, mark) in enumerate(zip(names, COLOURS, MARKS, strict=False)):
        for shift, stage in zip((-0.15, 0.15), STAGES, strict=True):
            values = table[(table["course"] == name) & (table["stage"] == stage)]["spikes"]
            face = "none" if stage == "start" else colour
            places = np.full(len(values), place + shift)
            axes.plot(places, values, mark, color=colour, markerfacecolor=face, markersize=3)
    axes.set_xticks(range(len(names)), names, fontsize=5.5)
    axes.set(ylabel="spikes per neuron, trial", ylim=(0, None), xlim=(-0.6, len(names) - 0.4))
    return axes
