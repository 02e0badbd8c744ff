"""Exponents, rates and learning of flossed exact networks: the figure of `event-flossing`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, INK, ORDERED, PALE, YELLOW, letter_panels, new_figure

# Starts in the order of the table: a mark for each, colours that no two neighbours share.
LOOKS = ("o", "s", "^", "D", "v", "P", "X")
SHADES = (INK, ORDERED[0], ORDERED[1], BLUE, ORDERED[2], YELLOW, GREY)
MEANS_OF = 10  # steps
CHANCE = 0.25


def event_flossing_figure(networks: pd.DataFrame, courses: pd.DataFrame, learned: pd.DataFrame) -> Figure:
    """Compose courses of flossing, exponents and rates of all starts, and what is learned from them by delay.

    `networks`: `start`, `leading`, `exponent`, `error`, `rate`; `courses`: `start`, `seed`, `step`, `exponent`;
    `learned`: `start`, `leading`, `delay`, `accuracy`.
    """
    figure = new_figure(FULL_WIDTH, 5.2)
    panels = list(figure.subplots(2, 2).flat)
    colours = dict(zip(networks.start.unique(), SHADES, strict=False))
    plot_courses(courses, colours, panels[0])
    plot_starts(networks, "exponent", colours, panels[1])
    plot_starts(networks, "rate", colours, panels[2])
    plot_learning(learned, colours, panels[3])
    handles = [
        Line2D([], [], color=shade, marker=look, markersize=4, linestyle=line_of(name), label=label(name))
        for (name, shade), look in zip(colours.items(), LOOKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, handlelength=2.6)
    letter_panels(panels)
    return figure


def line_of(start: str) -> str:
    """Broken for what was flossed."""
    return "--" if "flossed" in start else "-"


def label(start: str) -> str:
    """What the figure calls a start."""
    return start.replace(", memory", ", $m$ =").replace("strength", "strength of the recurrence")


def plot_courses(courses: pd.DataFrame, colours: dict[str, str], axes: Axes) -> Axes:
    """Draw the leading exponent during flossing, means over some steps and the seeds."""
    for name, rows in courses[courses.step >= 0].groupby("start", sort=False):
        means = rows.groupby(rows.step // MEANS_OF).exponent.mean()
        mark = LOOKS[list(colours).index(name) % len(LOOKS)]
        axes.plot(MEANS_OF * (means.index + 0.5), means, color=colours[name], marker=mark, markersize=2.4)
    axes.axhline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel="steps of flossing", ylabel=r"leading exponent ($1/\tau$)")
    return axes


def plot_starts(networks: pd.DataFrame, column: str, colours: dict[str, str], axes: Axes) -> Axes:
    """Draw a measurement of every start, a dot for each seed, with errors where there are some."""
    for place, (name, rows) in enumerate(networks.groupby("start", sort=False)):
        aside = place + np.linspace(-0.15, 0.15, len(rows))
        errors = rows.error if column == "exponent" else None
        axes.errorbar(
            aside, rows[column], errors, fmt=LOOKS[place % len(LOOKS)], markersize=3, color=colours[name], linewidth=0.7
        )
    if column == "exponent":
        axes.axhline(0, color=PALE, linewidth=0.6, zorder=0)
    names = list(networks.start.unique())
    axes.set_xticks(range(len(names)), [])
    labels_of = {"exponent": r"leading exponent ($1/\tau$)", "rate": r"rate of a neuron ($1/\tau$)"}
    axes.set(xlabel="networks, in the order of the legend", ylabel=labels_of[column])
    return axes


def plot_learning(learned: pd.DataFrame, colours: dict[str, str], axes: Axes) -> Axes:
    """Draw accuracy after training against the delay."""
    for place, (name, rows) in enumerate(learned.groupby("start", sort=False)):
        means = rows.groupby("delay").accuracy.mean()
        look = LOOKS[place % len(LOOKS)]
        axes.plot(means.index, 100 * means, line_of(name), color=colours[name], label=name)
        axes.plot(rows.delay, 100 * rows.accuracy, look, color=colours[name], markersize=2.8, alpha=0.8)
    axes.axhline(100 * CHANCE, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set(xlabel=r"delay ($\tau$)", ylabel="accuracy (%)", ylim=(0, 103), xticks=sorted(learned.delay.unique()))
    return axes
