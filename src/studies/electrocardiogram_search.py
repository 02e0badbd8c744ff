"""The same tries of settings for every kind of network that names the waves of an electrocardiogram.

Settings are chosen on validation trials; the test is not looked at.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import qmc

from studies.electrocardiogram import Competitor


class Range(NamedTuple):
    """The ends between which a setting is drawn, evenly by its logarithm."""

    low: float
    high: float


RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "hidden_rate": Range(3e-3, 1e-1),  # of Adam
        "constant_rate": Range(3e-3, 5e-2),  # the same, for logarithms of the neurons' parameters, where they learn
        "clipped": Range(0.1, 2.0),  # norm of a batch's gradient
        "loop": Range(0.1, 1.0),  # deviation of recurrent weights times the root of their number
        "sharpness": Range(5.0, 40.0),  # of SuperSpike
        "trace": Range(0.01, 0.1),  # s, of the readout
    }
)


def drawn(number: int, seed: int, ranges: Mapping[str, Range] = RANGES) -> list[dict[str, float]]:
    """So many settings by a Latin hypercube: each range is cut into as many parts, and each part is met once.

    Values have two digits.
    """
    points = qmc.LatinHypercube(len(ranges), rng=np.random.default_rng(seed)).random(number)
    low, high = np.log(np.array(list(ranges.values()))).T
    values = np.exp(low + points * (high - low))
    return [{name: float(f"{one:.2g}") for name, one in zip(ranges, row, strict=True)} for row in values]


def tries(kind: str, number: int, seed: int, **fixed: Any) -> list[Competitor]:
    """The settings that are tried for a kind: those of `Competitor`, by hand, and draws; the same for every kind."""
    first = Competitor(kind, **fixed)
    return [first, *(Competitor(**first._asdict() | setting) for setting in drawn(number - 1, seed))]
