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
from scipy import stats

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
    value, seeds = _number(folder, product.number), int(_number(folder, product.seeds))
    return Here(product.factor * value, product.factor * spread, seeds)


def _number(folder: Path, key: str) -> float:
    value: Any = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[part]
    return float(value)


def half_width(row: Reported, here: Here, confidence: float) -> float:
    """Half of the interval of the difference of two means: t sqrt(s_here^2 / n_here + s_reported^2 / n_reported).

    t is Student's quantile with n_here - 1 degrees of freedom; a reported spread of unknown seeds counts as it is, one
    that is not known as 0. NaN where fewer than two seeds are here.
    """
    if here.seeds < 2:
        return math.nan
    reported = (row.spread or 0.0) / math.sqrt(row.repeats or 1)
    error = math.hypot(here.spread / math.sqrt(here.seeds), reported)
    return float(stats.t.ppf(0.5 + confidence / 2, here.seeds - 1)) * error


def verdict(row: Reported, here: Here, half: float) -> str:
    """What a row says: `within` the interval of its difference, `outside`, or `equal` where nothing varies.

    Of a claim about a sign: `agrees`, `disagrees`, or `open`, where it is smaller than its spread or known from one
    seed. Where settings are not the same a difference tells what they cost, and there is nothing to be judged.
    """
    if row.value is None:
        if math.isnan(here.spread) or abs(here.value) < here.spread:
            return "open"
        return "agrees" if here.value * row.sign > 0 else "disagrees"
    if row.settings != "same" or math.isnan(half):
        return "not judged"
    if half == 0:
        return "equal" if here.value == row.value else "outside"
    return "within" if abs(here.value - row.value) <= half else "outside"


def missing(rows: tuple[Reported, ...], answers: Path) -> list[str]:
    """The products that rows ask for and that are not there, of scales of which anything is there."""
    wanted = {question for row in rows for question in row.questions()}
    there = {question for question in wanted if (answers / question / "table.csv").is_file()}
    scales = {question.split("/")[0] for question in wanted if (answers / question.split("/")[0]).is_dir()}
    return sorted(question for question in wanted - there if question.split("/")[0] in scales)


def joined(rows: tuple[Reported, ...], answers: Path, confidence: float) -> pd.DataFrame:
    """All rows whose products are there beside their products: `what`, `source`, `settings` (same, near or other),
    `reported`, `reported_spread`, `here`, `here_spread`, `seeds`, `difference` with the `half` width of its interval,
    `verdict`, `experiment` and texts.
    """
    return pd.DataFrame([_joined(row, answers, confidence) for row in rows if _is_there(row, answers)])


def replications(table: pd.DataFrame) -> dict[str, bool]:
    """Whether every row of an experiment that was run with the same settings is within its interval, or equal."""
    same = table[table["settings"] == "same"]
    return {str(name): bool((rows.verdict != "outside").all()) for name, rows in same.groupby("experiment", sort=False)}


def _is_there(row: Reported, answers: Path) -> bool:
    return all((answers / question / "table.csv").is_file() for question in row.questions())


def _joined(row: Reported, answers: Path, confidence: float) -> Mapping[str, Any]:
    here = of(row.here, answers)
    value, spread = (math.nan if one is None else one for one in (row.value, row.spread))
    half = half_width(row, here, confidence)
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
        "difference": here.value - value,
        "half": half if row.settings == "same" else math.nan,
        "verdict": verdict(row, here, half),
        "experiment": row.experiment,
        "product": row.questions()[0],
        "setting": row.setting,
        "differences": row.differences,
    }
