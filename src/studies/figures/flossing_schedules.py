"""When and how much to floss: what training reaches by each plan, and what the plan costs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BLUE, FULL_WIDTH, GREY, RED, letter_panels, new_figure


def flossing_schedules_figure(results: pd.DataFrame, *, reference: str) -> Figure:
    """Compose the accuracy of every plan, and medians against the cost in units of that of the `reference` plan.

    `results`: `plan`, `seed`, `accuracy`, `cost`; the reference is drawn in another colour.
    """
    figure = new_figure(FULL_WIDTH, 0.9 + 0.22 * results["plan"].nunique())
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    plot_plans(results, left, reference)
    medians = results.groupby("plan", sort=False)[["accuracy", "cost"]].median()
    medians["cost"] /= medians["cost"][reference]
    for plan, row in medians.iterrows():
        right.plot(row["cost"], row["accuracy"], "o", color=RED if plan == reference else BLUE)
    for (cost, accuracy), label in joined_labels(medians):
        right.annotate(label, (cost, accuracy), (2, 2), textcoords="offset points", fontsize=6)
    right.axhline(0.5, color=GREY, linewidth=0.6, zorder=0)
    right.set(xlabel=f"cost (of {reference!r})", ylabel="median accuracy")
    letter_panels([left, right])
    return figure


def joined_labels(medians: pd.DataFrame, near: float = 0.03) -> list[tuple[tuple[float, float], str]]:
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
        colour = RED if plan == reference else BLUE
        axes.plot(rows["accuracy"], [place] * len(rows), "o", color=colour, markersize=2.5, alpha=0.6)
        axes.plot([rows["accuracy"].median()] * 2, [place - 0.35, place + 0.35], color=colour)
        labels.append(f"{plan} ({place + 1})")
    axes.axvline(0.5, color=GREY, linewidth=0.6, zorder=0)
    axes.set(xlabel="accuracy", yticks=range(len(labels)), yticklabels=labels)
    axes.invert_yaxis()
    return axes
