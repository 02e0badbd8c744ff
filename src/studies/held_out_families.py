"""How well a number that is known before training tells which networks learn, of families that it was not fitted to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import sklearn.linear_model
from jaxtyping import Bool, Float, Int

# What is known of a network, as functions of a row; the delay goes with each of them.
PREDICTORS: dict[str, tuple[str, ...]] = {
    "delay alone": (),
    "leading exponent": ("leading",),
    "modes": ("modes",),
    "modes, to 3": ("modes_3",),
    "norm": ("norm",),
    "growth": ("growth",),
    "dimension": ("dimension",),
    "signal": ("signal",),
    "activity": ("rate", "silent"),
    "settings": ("loop", "sharpness"),
    "all measured": ("leading", "modes", "norm", "growth", "dimension", "signal", "rate", "silent"),
    "loss after an epoch": ("first_loss",),
}
FAR = 30.0  # powers of ten beyond which norms say no more
LOST = 1e-4  # signals below it are none to so many trials


def scaled(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the predictors on scales on which a logistic curve makes sense, without gaps.

    Exponents in units of the delay and bent where they are large, counts and rates by their logarithms, powers of ten
    cut at `FAR`. A dimension that is not known is 0 before its logarithm, the lowest there is.
    """
    bent = pd.DataFrame({"leading": np.arcsinh(table["leading"] * table["delay"]), "delay": np.log(table["delay"])})
    for name in ("modes", "modes_3", "dimension"):
        bent[name] = np.log1p(table[name].fillna(0))
    for name in ("norm", "growth"):
        bent[name] = table[name].fillna(FAR).clip(-FAR, FAR)
    for name in ("loop", "sharpness", "first_loss"):
        bent[name] = np.log(table[name])
    bent["signal"] = np.log(table["signal"].clip(lower=LOST))
    return bent.assign(rate=np.log(table["rate"] + 0.01), silent=table["silent"])


def held_out_probabilities(
    table: pd.DataFrame, learns: Bool[np.ndarray, " networks"], columns: Sequence[str]
) -> Float[np.ndarray, " networks"]:
    """The probability that each network learns, by logistic regression on all families but its own.

    The regression sees the delay, the `columns` and the squares of all, in units of their deviations in the families it
    is fitted on, with the usual penalty of 1 on squared coefficients. Raises `ValueError` where the families that
    remain all learn or all do not.
    """
    bent = scaled(table)[["delay", *columns]]
    found = np.empty(len(table))
    for family in table["family"].unique():
        out = (table["family"] == family).to_numpy()
        if len(set(learns[~out])) < 2:
            raise ValueError(f"without the family {family!r} all networks learn, or none: there is nothing to fit.")
        mean, deviation = bent[~out].mean(), bent[~out].std().replace(0, 1)
        units = ((bent - mean) / deviation).to_numpy()
        seen = np.concatenate([units, units**2], 1)
        model = sklearn.linear_model.LogisticRegression(max_iter=2000).fit(seen[~out], learns[~out])
        found[out] = model.predict_proba(seen[out])[:, 1]
    return found


def area(
    probabilities: Float[np.ndarray, "*many networks"], learns: Bool[np.ndarray, "*many networks"]
) -> Float[np.ndarray | np.floating, "*many"]:
    """Area under the curve: how often one that learns is given the larger probability than one that does not.

    Ties count half. NaN where all learn or none does.
    """
    order = np.argsort(probabilities, axis=-1)
    ordered = np.take_along_axis(probabilities, order, -1)
    first = np.apply_along_axis(lambda row: np.searchsorted(row, row, "left"), -1, ordered)
    last = np.apply_along_axis(lambda row: np.searchsorted(row, row, "right"), -1, ordered)
    ranks = (first + last + 1) / 2
    yes = np.take_along_axis(learns, order, -1)
    many, none = yes.sum(-1), (~yes).sum(-1)
    with np.errstate(invalid="ignore"):
        return ((ranks * yes).sum(-1) - many * (many + 1) / 2) / (many * none)


def resampled(families: pd.Series, seed: int, count: int = 2000) -> Int[np.ndarray, "count networks"]:
    """Rows drawn with repetition, as many of each family as it has: what intervals are taken from."""
    generator = np.random.default_rng(seed)
    places = [np.flatnonzero(families == family) for family in families.unique()]
    return np.concatenate([generator.choice(place, (count, len(place))) for place in places], 1)


def resampled_families(families: pd.Series, seed: int, count: int = 2000) -> Int[np.ndarray, "count networks"]:
    """Rows of families drawn with repetition, as many as there are: what intervals for a new family are taken from.

    Raises `ValueError` where families are not of one size.
    """
    places = [np.flatnonzero(families == family) for family in families.unique()]
    if len({len(place) for place in places}) > 1:
        raise ValueError("families of different sizes cannot be drawn as rows of one table.")
    drawn = np.random.default_rng(seed).integers(len(places), size=(count, len(places)))
    return np.stack(places)[drawn].reshape(count, -1)


def judged_predictors(table: pd.DataFrame, learns: Bool[np.ndarray, " networks"], seed: int = 0) -> pd.DataFrame:
    """A row for each predictor: held-out area with its 95 % interval, families in which it is better than even, score.

    `score` is Brier's, the mean squared distance of probability and outcome. `ahead` is by how much the area of "modes"
    is larger, with its interval. Intervals are those of networks resampled within families; those with `new_` before
    their names of families resampled, which are wider and what a new family asks for. The fits stay.
    """
    ways = {"": resampled(table["family"], seed), "new_": resampled_families(table["family"], seed)}
    found = {name: held_out_probabilities(table, learns, columns) for name, columns in PREDICTORS.items()}
    areas = {
        (way, name): np.asarray(area(one[rows], learns[rows]))
        for way, rows in ways.items()
        for name, one in found.items()
    }
    judged = []
    for name, probabilities in found.items():
        row: dict[str, Any] = {"predictor": name, "auc": float(area(probabilities, learns))}
        row |= {"score": float(np.mean((probabilities - learns) ** 2))}
        row |= {"ahead": float(area(found["modes"], learns)) - row["auc"]}
        for way in ways:
            row |= _interval(areas[way, name], f"{way}")
            row |= _interval(areas[way, "modes"] - areas[way, name], f"{way}ahead_")
        judged.append(row | {"within": _within(table["family"], probabilities, learns)})
    return pd.DataFrame(judged)


def _interval(values: np.ndarray, name: str) -> dict[str, float]:
    """The 95 % interval of resampled values, as `{name}low` and `{name}high`."""
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {f"{name}low": float(low), f"{name}high": float(high)}


def _within(families: pd.Series, probabilities: np.ndarray, learns: np.ndarray) -> float:
    """The mean of areas within families, those in which all learn or none left out."""
    groups = [(families == family).to_numpy() for family in families.unique()]
    return float(np.nanmean([area(probabilities[group], learns[group]) for group in groups]))


def calibration(
    probabilities: Float[np.ndarray, " networks"], learns: Bool[np.ndarray, " networks"], bins: int = 5
) -> pd.DataFrame:
    """Mean probability and part that learns, in so many groups of equal size in the order of probability."""
    parts = np.array_split(np.argsort(probabilities), bins)
    return pd.DataFrame({"told": [probabilities[p].mean() for p in parts], "came": [learns[p].mean() for p in parts]})
