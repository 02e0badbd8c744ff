"""How training went: errors and activity against the epoch, with the spread over seeds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stablespike.figures.style import BLUE, BROKEN, GREY, INK, YELLOW

COLOURS, LINES = (BLUE, INK, YELLOW, GREY), ("-", *BROKEN)  # of kinds that are not neurons, in the order of the table


def plot_error(
    table: pd.DataFrame,
    axes: Axes,
    *,
    reference: tuple[float, str] | None = None,
    looks: Mapping[str, Mapping[str, Any]] | None = None,
) -> Axes:
    """Draw the error (a fraction) against the epoch on a logarithmic axis in per cent, a line for each `kind`.

    `table` has the columns `epoch`, `seed`, `error`, `kind`. Lines are means over seeds, bands reach from the smallest
    to the largest. An error of 0 lies below every logarithmic axis and leaves it at the bottom. `reference` is a
    published error with its source, drawn as a dashed line; `looks` of kinds of networks as `looks_of` gives them.
    """
    kinds = list(dict.fromkeys(table["kind"]))
    plain: Mapping[str, Mapping[str, Any]] = {
        kind: {"color": colour, "linestyle": line} for kind, colour, line in zip(kinds, COLOURS, LINES, strict=False)
    }
    for kind, rows in table.groupby("kind", sort=False):
        look = (looks or plain)[str(kind)]
        draw_spread(rows, "error", axes, look["color"], str(kind), look["linestyle"])
    positive = table["error"][table["error"] > 0]
    low, high = (0.01, 1.0) if positive.empty else (positive.min(), positive.max())
    axes.set_yscale("log", nonpositive="clip")
    if reference is not None:
        low = min(low, reference[0])
        axes.axhline(reference[0], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), label=reference[1])
    axes.set_ylim(low / 1.4, min(high * 1.5, 1.3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: minor_label(value, low, high)))
    axes.set(xlabel="epoch", ylabel="test error (%)")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend()
    return axes


def minor_label(value: float, low: float, high: float) -> str:
    """Twos and fives between the decades, where there is room for them."""
    digit = f"{value:e}"[0]
    return f"{100 * value:g}" if digit in ("25" if high < 50 * low else "3") else ""


def plot_silent_fraction(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the fraction of hidden neurons that never spike, in per cent: columns `epoch`, `seed`, `silent_fraction`."""
    per_cent = table.assign(silent_fraction=100 * table["silent_fraction"])
    draw_spread(per_cent, "silent_fraction", axes, BLUE, None)
    axes.set(xlabel="epoch", ylabel="silent neurons (%)", ylim=(-3, 103))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def plot_spikes_per_neuron(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw hidden spikes per neuron and trial: columns `epoch`, `seed`, `spikes_per_neuron`."""
    draw_spread(table, "spikes_per_neuron", axes, BLUE, None)
    axes.set(xlabel="epoch", ylabel="spikes per neuron")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def draw_spread(table: pd.DataFrame, column: str, axes: Axes, colour: str, label: str | None, line: Any = "-") -> None:
    """Mean over seeds as a line, smallest to largest as a band, against the epoch."""
    by_epoch = table.groupby("epoch")[column]
    mean = by_epoch.mean()
    axes.fill_between(mean.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.2, linewidth=0)
    axes.plot(mean.index, mean, color=colour, label=label, linestyle=line)
