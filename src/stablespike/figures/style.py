"""One quiet style for all figures: sizes of the printed page, colours that every reader can tell apart, few lines."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

# Widths in inches of one column, and of the manuscript's full text width, at which nothing is scaled in print.
ONE_COLUMN, FULL_WIDTH = 3.1, 6.38

# P. Tol's high-contrast set: distinct with any colour vision, and in grey.
BLUE, RED, YELLOW = "#004488", "#BB5566", "#DDAA33"
INK, GREY, PALE = "#22262a", "#7a7f85", "#c9ccd1"

# One meaning, one look, in every figure of the repository.
NEURONS = {"QIF": BLUE, "LIF": RED}

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.formatter.use_mathtext": True,
    "axes.labelcolor": INK,
    "axes.labelpad": 2.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, RED, YELLOW, GREY]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.titlesize": 8,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.dpi": 150,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 7.5,
    "legend.borderaxespad": 0.2,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "lines.solid_capstyle": "round",
    "mathtext.fontset": "dejavusans",
    "savefig.bbox": None,
    "savefig.dpi": 220,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 7,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "xtick.minor.size": 1.5,
    "xtick.minor.width": 0.4,
    "ytick.color": INK,
    "ytick.labelsize": 7,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
    "ytick.minor.size": 1.5,
    "ytick.minor.width": 0.4,
}


def new_figure(width: float = FULL_WIDTH, height: float = 2.4) -> Figure:
    """Empty figure of the given size in inches, in this style, which it makes matplotlib's default."""
    matplotlib.rcParams.update(STYLE)
    return Figure(figsize=(width, height), layout="constrained")


def letter_panels(panels: Sequence[Axes], *, left: float = -26) -> None:
    """Write a, b, c … above the top left corner of each panel, `left` points from its axis."""
    for letter, axes in zip("abcdefghijklmnopqrstuvwxyz", panels, strict=False):
        offset = ScaledTranslation(left / 72, 4 / 72, axes.figure.dpi_scale_trans)
        place = axes.transAxes + offset
        axes.text(0, 1, letter, transform=place, fontsize=9, fontweight="bold", va="bottom", ha="left")
