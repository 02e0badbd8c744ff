"""Exponents, rates and learning of flossed exact networks: the figure of `event-flossing`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, PALE, letter_panels, new_figure

LOOKS = ("o", "s", "^", "D", "v", "P", "X")
MEANS_OF = 10  # steps
CHANCE = 0.25


def event_flossing_figure(networks: pd.DataFrame, courses: pd.DataFrame, learned: pd.DataFrame) -> Figure:
    """Compose courses of flossing, exponents and rates of all starts, and what is learned from them by delay.

    `networks`: `start`, `leading`, `exponent`, `error`, `rate`; `courses`: `start`, `seed`, `step`, `exponent`;
    `learned`: `start`, `leading`, `delay`, `accuracy`.
    """
    figure = new_figure(FULL_WIDTH, 4.4)
    panels = list(figure.subplots(2, 2).flat)
    colours = {name: f"C{k}" for k, name in enumerate(networks.start.unique())}
    plot_courses(courses, colours, panels[0])
    plot_starts(networks, "exponent", colours, panels[1])
    plot_starts(networks, "rate", colours, panels[2])
    plot_learning(learned, colours, panels[3])
    letter_panels(panels)
    return figure


def plot_courses(courses: pd.DataFrame, colours: dict[str, str], axes: Axes) -> Axes:
    """Draw the leading exponent during flossing, means over some steps and the seeds."""
    for name, rows in courses[courses.step >= 0].groupby("start", sort=False):
        means = rows.groupby(rows.step // MEANS_OF).exponent.mean()
        axes.plot(MEANS_OF * (means.index + 0.5), means, color=colours[name])
    axes.axhline(0, color=PALE, linewidth=0.6, zorder=0)
    axes.set(xlabel="steps of flossing", ylabel="leading exponent (1/tau)")
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
    labels = [name.replace(", memory", ",\nmemory").replace("strength ", "") for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=5)
    labels_of = {"exponent": "leading exponent (1/tau)", "rate": "spikes of a neuron (1/tau)"}
    axes.set(xlabel="strength, flossing", ylabel=labels_of[column])
    return axes


def plot_learning(learned: pd.DataFrame, colours: dict[str, str], axes: Axes) -> Axes:
    """Draw accuracy after training against the delay."""
    for place, (name, rows) in enumerate(learned.groupby("start", sort=False)):
        means = rows.groupby("delay").accuracy.mean()
        look = LOOKS[place % len(LOOKS)]
        axes.plot(means.index, means, "--" if rows.leading.iloc[0] else "-", color=colours[name], label=name)
        axes.plot(rows.delay, rows.accuracy, look, color=colours[name], markersize=2.4, alpha=0.6)
    axes.axhline(CHANCE, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    axes.set(xlabel="delay (tau)", ylabel="accuracy", ylim=(0, 1.05))
    axes.legend(fontsize=5, loc="lower left")
    return axes
