"""When and how much to floss: what training reaches by each plan, and what the plan costs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, INK, ORDERED, letter_panels, new_figure


def flossing_schedules_figure(results: pd.DataFrame, *, reference: str) -> Figure:
    """Compose the accuracy of every plan, and medians against the cost in units of that of the `reference` plan.

    `results`: `plan`, `seed`, `accuracy`, `cost`; the reference is drawn as a square in another colour.
    """
    figure = new_figure(FULL_WIDTH, 0.9 + 0.22 * results["plan"].nunique())
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    plot_plans(results, left, reference)
    medians = results.groupby("plan", sort=False)[["accuracy", "cost"]].median()
    medians["cost"] /= medians["cost"][reference]
    for plan, row in medians.iterrows():
        right.plot(row["cost"], 100 * row["accuracy"], look(plan == reference)[0], color=look(plan == reference)[1])
    for (cost, accuracy), label in joined_labels(medians):
        right.annotate(label, (cost, 100 * accuracy), (0, 4), textcoords="offset points", fontsize=6, ha="center")
    right.axhline(50, color=GREY, linewidth=0.6, zorder=0)
    right.margins(0.08, 0.1)
    right.set(xlabel=f"cost in units of that of {reference!r}", ylabel="median accuracy (%)")
    letter_panels([left, right])
    return figure


def look(is_reference: bool) -> tuple[str, str]:
    """Mark and colour of the reference, and of all other plans."""
    return ("s", INK) if is_reference else ("o", ORDERED[1])


def joined_labels(medians: pd.DataFrame, near: float = 0.06) -> list[tuple[tuple[float, float], str]]:
    """Where to write the numbers of plans, counted from 1; those of points that all but coincide stand together.

    `near`: as a part of the range of `cost` and of `accuracy`.
    """
    points = medians[["cost", "accuracy"]].to_numpy(float)
    ranges = np.ptp(points, axis=0)
    labels: dict[tuple[float, float], list[str]] = {}
    for place, (cost, accuracy) in enumerate(points, 1):
        close = (spot for spot in labels if (abs(np.subtract(spot, (cost, accuracy))) <= near * ranges).all())
        labels.setdefault(next(close, (float(cost), float(accuracy))), []).append(str(place))
    return [(spot, ", ".join(names)) for spot, names in labels.items()]


def plot_plans(results: pd.DataFrame, axes: Axes, reference: str) -> Axes:
    """Draw a line for every plan, the first on top: dots for networks, a bar at their median; chance in grey."""
    labels = []
    for place, (plan, rows) in enumerate(results.groupby("plan", sort=False)):
        mark, colour = look(plan == reference)
        axes.plot(100 * rows["accuracy"], [place] * len(rows), mark, color=colour, markersize=2.8, alpha=0.7)
        axes.plot([100 * rows["accuracy"].median()] * 2, [place - 0.35, place + 0.35], color=colour)
        labels.append(f"{plan} ({place + 1})")
    axes.axvline(50, color=GREY, linewidth=0.6, zorder=0)
    axes.set(xlabel="accuracy (%)", yticks=range(len(labels)), yticklabels=labels)
    axes.invert_yaxis()
    return axes
