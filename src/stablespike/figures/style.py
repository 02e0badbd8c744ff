"""One quiet style for all figures: sizes of the printed page, colours that every reader can tell apart, few lines."""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

# Widths in inches of one column, and of the manuscript's full text width, at which nothing is scaled in print.
ONE_COLUMN, FULL_WIDTH = 3.1, 6.38

# From dark to light, at least ten steps of lightness (CIE L*) apart: told apart in grey, and by blue and yellow alone.
INK, BLUE, RED, GREY, YELLOW, PALE = "#14171a", "#0b4791", "#c04a60", "#959ba1", "#e5b543", "#dadde1"
# What has an order (grids, delays, counts), from few to many: greens, as far apart.
ORDERED = ("#9fd3bf", "#57a08a", "#276b59", "#0b332a")

# One meaning, one look, in every figure of the repository: a neuron is a hue, its gradient a kind of line and of mark,
# and what is done to networks of one neuron a mark.
NEURONS = {"QIF": BLUE, "LIF": RED}
CELLS = {"SE-adaptive": YELLOW, "BRF": INK, "C-SiLIF": GREY, **NEURONS}  # with those of grid networks
TREATMENTS = (INK, YELLOW, GREY, PALE)
BROKEN, OPEN = ((0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5))), ("s", "^", "D")

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


def looks_of(kinds: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and mark of each kind of network, by its name, as matplotlib's arguments.

    The hue is that of the neuron that the name holds, and that of LIF neurons if it holds none. A kind that the name
    calls a surrogate has a broken line and open marks, a second one of that neuron others; all the rest is solid.
    """
    looks: dict[str, dict[str, Any]] = {}
    surrogates = dict.fromkeys(CELLS, 0)
    for kind in kinds:
        neuron = next((name for name in CELLS if name.lower() in kind.lower()), "LIF")
        look: dict[str, Any] = {
            "color": CELLS[neuron],
            "linestyle": "-",
            "marker": "o",
            "markerfacecolor": CELLS[neuron],
        }
        if "surrogate" in kind:
            place = surrogates[neuron] % len(OPEN)
            surrogates[neuron] += 1
            look |= {"linestyle": BROKEN[place], "marker": OPEN[place], "markerfacecolor": "white"}
        looks[kind] = look
    return looks


def letter_panels(panels: Sequence[Axes], *, left: float = -26) -> None:
    """Write a, b, c … above the top left corner of each panel, `left` points from its axis."""
    for letter, axes in zip("abcdefghijklmnopqrstuvwxyz", panels, strict=False):
        offset = ScaledTranslation(left / 72, 4 / 72, axes.figure.dpi_scale_trans)
        place = axes.transAxes + offset
        axes.text(0, 1, letter, transform=place, fontsize=9, fontweight="bold", va="bottom", ha="left")
