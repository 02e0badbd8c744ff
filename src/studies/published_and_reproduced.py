"""What others report, and what this repository gets for it: the rows of `published-and-reproduced`, and how they join.

Values of others are those of their papers or repositories, or were read off a figure where this is said. A value here
comes from the committed products of another question, by two routes: its table, seed by seed, and its `numbers.json`.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from studies.published_values import Contrast, Measured, Reported, Stated


class Here(NamedTuple):
    """What this repository has: `value`, its standard deviation `spread` over `seeds` (NaN: one seed)."""

    value: float
    spread: float
    seeds: int


def of(product: Measured | Contrast | Stated, answers: Path) -> Here:
    """The value of a row from the products below `answers`, in the unit of the row.

    Raises `ValueError` where the mean over the table's rows is not the number that `numbers.json` has for it.
    """
    if isinstance(product, Stated):
        return _stated(product, answers)
    if isinstance(product, Contrast):
        one, other = (_seeds(part, answers) for part in product)
        both = (one - other).dropna()  # paired where the same seeds are there
        return _summary(both.to_numpy(), "mean")
    seeds = _seeds(product, answers)
    here = _summary(seeds.to_numpy(), product.statistic)
    if product.number:
        number = product.scaled(_number(answers / product.question, product.number))
        if not math.isclose(here.value, number, rel_tol=1e-9, abs_tol=1e-9):
            raise ValueError(f"{product.question}: the table has {here.value}, {product.number} is {number}.")
    return here


def _summary(values: np.ndarray, statistic: str) -> Here:
    value = np.median(values) if statistic == "median" else np.mean(values)
    return Here(float(value), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan, len(values))


def _seeds(product: Measured, answers: Path) -> pd.Series:
    """The values of the rows that a product asks for, by seed, in the unit of the row."""
    table = pd.read_csv(answers / product.question / "table.csv")
    for column, wanted in product.where.items():
        table = table[table[column] == wanted]
    if table.empty or table.seed.duplicated().any():
        raise ValueError(f"{product.question}: {dict(product.where)} is not one row for each seed.")
    return product.scaled(table.set_index("seed")[product.column])


def _stated(product: Stated, answers: Path) -> Here:
    folder = answers / product.question
    spread = _number(folder, product.spread) if product.spread else math.nan
    return Here(float(_number(folder, product.number)), float(spread), int(_number(folder, product.seeds)))


def _number(folder: Path, key: str) -> float:
    value: Any = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[part]
    return float(value)


def deviation(reported: float, reported_spread: float, here: Here) -> float:
    """(here - reported) / sqrt(s_reported^2 + s_here^2), spreads that are not known left out; NaN if none is known.

    Where both values and both spreads agree exactly it is 0.
    """
    spread = math.hypot(*(0.0 if math.isnan(one) else one for one in (reported_spread, here.spread)))
    difference = here.value - reported
    return difference / spread if spread > 0 else (0.0 if difference == 0 else math.nan)


def verdict(row: Reported, here: Here, away: float, bound: float) -> str:
    """What a row says: `within` the bound, `outside`, or, of a claim about a sign, `agrees`, `disagrees`, `open`.

    A sign is open where it is smaller than its spread, or known from one seed.
    """
    if row.value is None:
        if math.isnan(here.spread) or abs(here.value) < here.spread:
            return "open"
        return "agrees" if here.value * row.sign > 0 else "disagrees"
    return "not comparable" if math.isnan(away) else ("within" if abs(away) <= bound else "outside")


def missing(rows: tuple[Reported, ...], answers: Path) -> list[str]:
    """The products that rows ask for and that are not there, of scales of which anything is there."""
    wanted = {question for row in rows for question in row.questions()}
    there = {question for question in wanted if (answers / question / "table.csv").is_file()}
    scales = {question.split("/")[0] for question in wanted if (answers / question.split("/")[0]).is_dir()}
    return sorted(question for question in wanted - there if question.split("/")[0] in scales)


def joined(rows: tuple[Reported, ...], answers: Path, bound: float) -> pd.DataFrame:
    """All rows whose products are there beside their products: `what`, `source`, `settings` (same, near or other),
    `reported`, `reported_spread`, `here`, `here_spread`, `seeds`, `deviation`, `verdict` and texts.
    """
    return pd.DataFrame([_joined(row, answers, bound) for row in rows if _is_there(row, answers)])


def _is_there(row: Reported, answers: Path) -> bool:
    return all((answers / question / "table.csv").is_file() for question in row.questions())


def _joined(row: Reported, answers: Path, bound: float) -> Mapping[str, Any]:
    here = of(row.here, answers)
    value, spread = (math.nan if one is None else one for one in (row.value, row.spread))
    away = math.nan if row.value is None else deviation(value, spread, here)
    return {
        "what": row.what,
        "source": row.source,
        "unit": row.unit,
        "settings": row.settings,
        "reported": value,
        "reported_spread": spread,
        "claim": row.claim,
        "here": here.value,
        "here_spread": here.spread,
        "seeds": here.seeds,
        "deviation": away,
        "verdict": verdict(row, here, away, bound),
        "product": row.questions()[0],
        "setting": row.setting,
        "differences": row.differences,
    }
