"""The figure of `spike-time-gradient`: how spikes of two neurons move, and end, and their slopes."""

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.style import FULL_WIDTH, GREY, letter_panels, new_figure
from studies.figures.spike_time_curves import plot_end_of_slope, plot_slope, plot_spike_time


def spike_time_gradient_figure(curves: pd.DataFrame, approach: pd.DataFrame, *, duration: float) -> Figure:
    """Compose spike times (upper row) and their slopes (lower row).

    `curves`: `neuron`, `inputs` (three kinds: a weight, a weight beside an inhibitory input, the time of an inhibitory
    input), `value`, `spike_time`, `gradient`, `difference`. `approach`: `neuron`, `inputs`, `distance`, `gradient`.
    """
    figure = new_figure(FULL_WIDTH, 3.9)
    upper, lower = figure.subplots(2, 3)
    kinds = list(curves["inputs"].unique())
    titles = ("one input", "with an inhibitory input", "inhibitory input moves")
    for kind, axes, title in zip(kinds, upper, titles, strict=True):
        plot_spike_time(curves[curves["inputs"] == kind], axes, duration=duration)
        axes.set_title(title)
    for kind, axes in ((kinds[0], lower[0]), (kinds[2], lower[2])):
        plot_slope(curves[curves["inputs"] == kind], axes, logarithmic=kind == kinds[0])
    plot_end_of_slope(approach, lower[1])
    upper[0].legend(loc="center right")
    for axes in (*upper[:2], lower[0]):
        axes.set_xlabel("input weight $w$")
    for axes in (upper[2], lower[2]):
        axes.set_xlabel(r"arrival time $t_\mathrm{in}$ ($\tau$)")
    for axes in upper[1:]:
        axes.set_ylabel("")
    lower[1].set_xlabel(r"distance $w - w_\mathrm{min}$")
    for axes, what in ((lower[0], "w"), (lower[1], "w"), (lower[2], r"t_\mathrm{in}")):
        axes.set_ylabel(rf"$-\partial t^* / \partial {what}$" + (r" ($\tau$)" if what == "w" else ""))
    lower[2].axhline(0, color=GREY, linewidth=0.5, zorder=1)
    letter_panels([*upper, *lower])
    return figure
