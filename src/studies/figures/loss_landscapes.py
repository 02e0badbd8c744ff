"""Lines, planes, counts, trust and training on landscapes of LIF and QIF networks: the figure of `loss-landscapes`."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from stablespike.figures.style import BROKEN, FULL_WIDTH, GREY, INK, NEURONS, letter_panels, new_figure

MARKS = {"LIF": "s", "QIF": "o"}


def loss_landscapes_figure(
    lines: pd.DataFrame,
    planes: dict[str, np.ndarray],
    span: float,
    counted: pd.DataFrame,
    trust: pd.DataFrame,
    trained: pd.DataFrame,
) -> Figure:
    """Compose a line, two planes, counts by batch, trust by step and losses after training.

    `lines`: as `line_of` gives them, with `kind`, `neuron`, `seed`, `direction`; `planes` by neuron, to `span` on all
    sides; `counted`: `kind`, `neuron`, `batch`, `jumps`, `orders`; `trust`: `neuron`, `gradient`, `size`, `ratio`;
    `trained`: `kind`, `trials`, `neuron`, `treatment`, `last`.
    """
    figure = new_figure(FULL_WIDTH, 4.4)
    panels = list(figure.subplots(2, 3).flat)
    plot_line(lines, panels[0])
    plot_planes(planes, span, panels[1:3])
    plot_counts(counted, panels[3])
    plot_trust(trust, panels[4])
    plot_ends(trained, panels[5])
    letter_panels(panels)
    return figure


def plot_line(lines: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the loss of the first pattern of the first seed along a random line, with its jumps as gaps and marks."""
    chosen = lines[(lines.trial == 0) & (lines.direction == "random")]
    chosen = chosen[(chosen.kind == chosen.kind.iloc[0]) & (chosen.seed == chosen.seed.iloc[0])]
    for neuron, rows in chosen.groupby("neuron", sort=False):
        places, losses = [rows.start.iloc[0]], [rows.before.iloc[0]]
        for row in rows.itertuples():
            if row.jump:
                places += [row.place, np.nan]
                losses += [row.before, np.nan]
            places.append(row.end)
            losses.append(row.after)
        axes.plot(places, losses, color=NEURONS[neuron], linewidth=1, label=neuron)
        jumps = rows[rows.jump != 0]
        axes.plot(jumps.place, jumps.before, MARKS[neuron], color=NEURONS[neuron], markersize=2)
    axes.set(xlabel="place (norm of weights)", ylabel=r"loss of one pattern ($\tau^2$)", ylim=(0, None))
    axes.legend()
    return axes


def plot_planes(planes: dict[str, np.ndarray], span: float, panels: list[Axes]) -> None:
    """Draw losses in planes as grey levels, on one logarithmic scale."""
    every = np.concatenate([plane.ravel() for plane in planes.values()])
    scale = LogNorm(max(np.nanquantile(every, 0.01), 1e-3), np.nanquantile(every, 0.99))
    for (neuron, plane), axes in zip(planes.items(), panels, strict=True):
        extent = (-span, span, -span, span)
        image = axes.imshow(plane, cmap="gray", norm=scale, extent=extent, origin="lower", aspect="auto")
        axes.set_title(neuron, color=NEURONS[neuron], loc="right")
        axes.set(xlabel="first direction (norm of weights)", ylabel="second direction")
        axes.set(xticks=[-span, 0, span], yticks=[-span, 0, span])
    bar = panels[-1].figure.colorbar(image, ax=panels[-1], label=r"loss ($\tau^2$)")
    bar.outline.set_linewidth(0.4)
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    ends = [scale.vmin, np.sqrt(scale.vmin * scale.vmax), scale.vmax]
    bar.set_ticks(ends, labels=[f"{value:.2g}" for value in ends])


def plot_counts(counted: pd.DataFrame, axes: Axes) -> Axes:
    """Draw jumps and changes of spike order per unit of length against the batch."""
    means = counted.groupby(["neuron", "batch"])[["jumps", "orders"]].mean()
    for neuron, (column, line) in itertools.product(NEURONS, {"jumps": "-", "orders": ":"}.items()):
        rows = means.loc[neuron][column]
        rows = rows[rows > 0]
        axes.plot(rows.index, rows, line, color=NEURONS[neuron], marker=MARKS[neuron])
    ticks = sorted(counted.batch.unique())
    axes.set(xscale="log", yscale="log", xlabel="patterns in the batch", ylabel="per norm of weights")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.plot([], [], ":", color=INK, label="changes of order")
    axes.plot([], [], "-", color=INK, label="jumps")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)
    axes.legend(fontsize=6, loc="upper left")
    return axes


def plot_trust(trust: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the part of networks whose realised fall is within a half of the predicted, against the size of the step."""
    for (neuron, gradient), rows in trust.groupby(["neuron", "gradient"], sort=False):
        good = ((rows.ratio - 1).abs() <= 0.5).groupby(rows["size"]).mean()
        line, name = (BROKEN[0], f"{neuron}, surrogate") if gradient == "surrogate" else ("-", f"{neuron}, exact")
        axes.plot(good.index, good, linestyle=line, color=NEURONS[neuron], label=name)
    axes.set(xscale="log", ylim=(-0.03, 1.45), xlabel="step (norm of weights)", ylabel="part as predicted")
    axes.set_yticks([0, 0.5, 1])
    axes.legend(fontsize=6, loc="upper right")
    return axes


def plot_ends(trained: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the loss at the end of training, a dot for each seed, with medians, by network and number of patterns."""
    groups = [*trained.groupby(["kind", "trials"], sort=False)]
    for place, (_, group) in enumerate(groups):
        cells = group.groupby(["neuron", "treatment"], sort=False)
        for aside, ((neuron, treatment), rows) in zip(np.linspace(-0.3, 0.3, len(cells)), cells, strict=True):
            fill = NEURONS[neuron] if treatment == "plain" else "none"
            across = place + aside + np.linspace(-0.05, 0.05, len(rows))
            look = {"color": NEURONS[neuron], "markersize": 2.4, "markerfacecolor": fill, "markeredgewidth": 0.5}
            axes.plot(across, rows["last"], MARKS[neuron], **look)
            axes.plot(place + aside + np.array([-0.08, 0.08]), [rows["last"].median()] * 2, color=INK, linewidth=1)
    labels = [f"{kind}\n{trials}" + (" pattern" if trials == 1 else " patterns") for (kind, trials), _ in groups]
    axes.set_xticks(range(len(groups)), labels, fontsize=6)
    axes.set(yscale="log", ylabel=r"loss at the end ($\tau^2$)")
    axes.axhline(trained["first"].median(), color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    return axes
