"""The files that a notebook leaves behind: figure, table and numbers, in the same bytes for the same content."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

# Whatever would differ between two runs (dates, random identifiers), and fonts that travel with the file.
PORTABLE = {"svg.hashsalt": "stablespike", "svg.fonttype": "path", "pdf.fonttype": 42, "pdf.use14corefonts": False}
METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
    "png": {"Software": None},
}
ESCAPES = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"})


def save_figure(figure: Figure, folder: str | Path) -> Path:
    """Write `figure.pdf`, `figure.svg` and `figure.png` into `folder` (made if missing); the PNG's path is returned."""
    folder = existing(folder)
    settle(figure)
    with matplotlib.rc_context(PORTABLE):
        for suffix, metadata in METADATA.items():
            figure.savefig(folder / f"figure.{suffix}", metadata=metadata)
    return folder / "figure.png"


def settle(figure: Figure) -> None:
    """Arrange the panels, and round their places: the solver of the layout leaves the last bits to chance."""
    if figure.subfigs:
        raise ValueError(
            "A figure of subfigures cannot be saved in the same bytes twice: nest grids of panels instead."
        )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 5))


def save_table(frame: pd.DataFrame, folder: str | Path, *, digits: int = 3) -> None:
    """Write `table.csv` in full precision and `table.tex` (booktabs) to `digits` significant digits."""
    folder = existing(folder)
    frame.to_csv(folder / "table.csv", index=False, lineterminator="\n")
    (folder / "table.tex").write_text(latex(frame, digits), encoding="utf-8")


def save_numbers(numbers: Mapping[str, Any], folder: str | Path) -> None:
    """Write `numbers.json` with sorted keys in full precision; `ValueError` names a number that is not finite."""
    content = json.dumps(plain(numbers, ""), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (existing(folder) / "numbers.json").write_text(content + "\n", encoding="utf-8")


def bound_of(deviation: float) -> float:
    """A power of ten that lies well above a deviation which is rounding: at least three times as large; 0 for 0.

    Rounding differs between processors; a bound that holds on all of them is what a result can say about it.
    """
    return 10.0 ** math.ceil(math.log10(3 * deviation)) if deviation > 0 else 0.0


def existing(folder: str | Path) -> Path:
    """The folder as a path, made if it is missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def plain(value: Any, name: str) -> Any:
    """A value as JSON knows it: mappings, lists, texts, truth values and finite numbers; arrays become lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}.{key}".lstrip(".")) for key, item in value.items()}
    if not isinstance(value, str) and (isinstance(value, Sequence) or np.ndim(value) > 0):
        return [plain(item, f"{name}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    number = np.asarray(value).item()
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"The number {name} is {number}: only finite numbers can be reported.")
    if not isinstance(number, (bool, int, float, str)):
        raise TypeError(f"The value of {name} is a {type(value).__name__}, not a number or a text.")
    return number


def latex(frame: pd.DataFrame, digits: int) -> str:
    """A booktabs table: texts to the left, numbers to the right."""
    alignment = "".join("r" if pd.api.types.is_numeric_dtype(kind) else "l" for kind in frame.dtypes)
    titles = [str(name).replace("_", " ").translate(ESCAPES) for name in frame.columns]
    rows = [[cell(value, digits) for value in row] for row in frame.itertuples(index=False)]
    head, *body = [" & ".join(row) + r" \\" for row in [titles, *rows]]
    body = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{alignment}}}", *body, r"\end{tabular}", ""])


def cell(value: Any, digits: int) -> str:
    """One entry of a LaTeX table; nothing for a missing value."""
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return ""
        if math.isinf(value):
            return r"$\infty$" if value > 0 else r"$-\infty$"
        mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$" if exponent else f"${mantissa}$"
    return str(value).translate(ESCAPES)
