"""How surrogate gradients compare with exact ones: the figure of `surrogate-versus-exact`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stablespike.figures.style import BROKEN, FULL_WIDTH, GREY, ORDERED, letter_panels, looks_of, new_figure
from studies.figures.training_curves import draw_spread, plot_error

STEP_COLOURS = ORDERED  # from the coarsest grid to the finest
DEPTH_LINES = ("-", (0, (3, 1.5)), ":")


def surrogate_versus_exact_figure(alignments: pd.DataFrame, errors: pd.DataFrame, distances: pd.DataFrame) -> Figure:
    """Compose cosine and norm ratio against sharpness, and training curves of both methods on two tasks.

    `alignments`: `seed`, `depth`, `steps_per_time_constant`, `sharpness`, `cosine`, `norm_ratio`; `errors`: `kind`,
    `seed`, `epoch`, `error`; `distances`: `kind`, `seed`, `step`, `distance`.
    """
    figure = new_figure(FULL_WIDTH, 4.3)
    upper, lower = figure.subplots(2, 2)
    plot_alignment(alignments, upper[0], "cosine", "cosine to the exact gradient")
    upper[0].axhline(0, color=GREY, linewidth=0.6, zorder=0)
    upper[0].set_ylim(-0.3, 1.05)
    plot_alignment(alignments, upper[1], "norm_ratio", "norm relative to the exact")
    upper[1].axhline(1, color=GREY, linewidth=0.6, zorder=0)
    upper[1].set_yscale("log")
    handles = upper[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=len(handles[1]), fontsize=6)
    plot_error(errors, lower[0], looks=looks_of(dict.fromkeys(errors["kind"])))
    plot_distance(distances, lower[1])
    letter_panels([*upper, *lower])
    return figure


def plot_alignment(table: pd.DataFrame, axes: Axes, column: str, label: str) -> Axes:
    """Draw a column against sharpness, medians and ranges: a colour for each grid, a line style for each depth.

    All grids are drawn for the smallest depth, the larger depths for the finest grid only.
    """
    grids, depths = sorted(table["steps_per_time_constant"].unique()), sorted(table["depth"].unique())
    if len(grids) > len(STEP_COLOURS) or len(depths) > len(DEPTH_LINES):
        raise ValueError(
            f"the figure has room for {len(STEP_COLOURS)} grids and {len(DEPTH_LINES)} depths, not {len(grids)} and "
            f"{len(depths)}."
        )
    for (grid, depth), rows in table.groupby(["steps_per_time_constant", "depth"]):
        if depth != depths[0] and grid != grids[-1]:
            continue
        colour, style = STEP_COLOURS[grids.index(grid)], DEPTH_LINES[depths.index(depth)]
        by_sharpness = rows.groupby("sharpness")[column]
        middle = by_sharpness.median()
        axes.fill_between(middle.index, by_sharpness.min(), by_sharpness.max(), color=colour, alpha=0.12, linewidth=0)
        layers = "1 layer" if depth == 1 else f"{depth} layers"
        axes.plot(middle.index, middle, color=colour, linestyle=style, label=f"$\\tau$/{grid:g}, {layers}")
    axes.set(xscale="log", xlabel="sharpness of the surrogate", ylabel=label)
    return axes


def plot_distance(table: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the distance of spike trains from their targets against the training step, a line for each `kind`."""
    looks = looks_of(dict.fromkeys(table["kind"]))
    for kind, rows in table.groupby("kind", sort=False):
        look = looks[str(kind)]
        line = BROKEN[1] if "pseudospikes" in str(kind) else look["linestyle"]
        draw_spread(rows.rename(columns={"step": "epoch"}), "distance", axes, look["color"], str(kind), line)
    axes.set(xlabel="training step", ylabel="distance of spike trains")
    axes.set_ylim(0, 1.7 * table["distance"].max())
    axes.legend(fontsize=6, loc="upper right")
    return axes
