"""Where exact networks are chaotic: one thing after the other varied, each at several strengths of the recurrence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from studies.strong_coupling import NEURONS, Coupling, row_of

CHAOTIC = 0.05  # per tau: exponents of runs of some hundred tau are not told from zero below it


class Sweep(NamedTuple):
    """What is varied of a network besides the strength of its recurrence, a field of `Coupling`, and its values."""

    varied: str
    values: Sequence[float]
    loops: Sequence[float]
    neurons: int = 32

    def couplings(self, value: float) -> list[Coupling]:
        """The networks of one value, a strength of the recurrence each.

        Of recurrent weights with less inhibition than -1 in the mean, the deviation grows from 1/2, to 1 without any.
        """
        if self.varied not in Coupling._fields:
            raise ValueError(f"{self.varied!r} is none of {', '.join(Coupling._fields)}.")
        varied: dict[str, Any] = {"neurons": self.neurons}
        varied[self.varied] = int(value) if self.varied == "neurons" else value
        if self.varied == "inhibition":
            varied["deviation"] = 1 - value / 2
        return [Coupling(loop, **varied) for loop in self.loops]


def tables_of(sweep: Sweep, value: float, seeds: Sequence[int], measuring: Mapping[str, int]) -> list[pd.DataFrame]:
    """One table, a row for each neuron, strength and seed: exponents, gradients and rate, or why there are none."""
    jax.clear_caches()
    names = {"varied": sweep.varied, "value": value}
    rows = [
        names | row_of(neuron, coupling, seed, **measuring)
        for neuron in NEURONS
        for coupling in sweep.couplings(value)
        for seed in seeds
    ]
    return [pd.DataFrame(rows)]


def medians_of(rows: pd.DataFrame, column: str = "exponent") -> pd.DataFrame:
    """Medians over the seeds that ran: a row for each `neuron`, `varied` and `value`, a column for each strength."""
    return rows[rows.reason == ""].pivot_table(column, ["neuron", "varied", "value"], "loop", aggfunc="median")


def onset(exponents: "pd.Series[float]", least: float = CHAOTIC) -> float:
    """The strength of the recurrence, index of `exponents`, at which they first pass `least`.

    By a line between neighbours in the logarithm of the strength; the weakest if they lie above it there, infinite if
    they never do.
    """
    above = np.flatnonzero(exponents.to_numpy() > least)
    if not above.size:
        return math.inf
    strengths, place = exponents.index.to_numpy(float), int(above[0])
    if place == 0:
        return float(strengths[0])
    (low, high), ends = np.log(strengths[place - 1 : place + 1]), exponents.to_numpy()[place - 1 : place + 1]
    return float(np.exp(low + (high - low) * (least - ends[0]) / (ends[1] - ends[0])))


def judged(rows: pd.DataFrame) -> dict[str, Any]:
    """What the three claims are about; `chaos` and `order`: the worst medians at the strongest recurrence."""
    medians, strongest = medians_of(rows[rows.varied != "inhibition"]), rows["loop"].max()
    onsets = {size: onset(one.dropna()) for size, one in medians.loc["QIF", "neurons"].iterrows()}
    by_rate = medians.loc["QIF", "mean"][strongest] / medians_of(rows, "rate").loc["QIF", "mean"][strongest]
    return {
        "chaos": float(medians.loc["QIF"][strongest].min()),
        "order": float(medians.loc["LIF"][strongest].max()),
        "onsets": {f"{size:g}": found for size, found in onsets.items()},
        "ratio of onsets": max(onsets.values()) / min(onsets.values()),
        "per spike": {f"{mean:g}": float(found) for mean, found in by_rate.items()},
        "ratio per spike": float(by_rate.max() / by_rate.min()) if by_rate.min() > 0 else math.inf,
    }
