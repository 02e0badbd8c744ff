"""Networks that read Braille letters by touch, trained by exact or by surrogate gradients.

Network, loss, penalties and optimiser are those of `networks_that_hear`; settings are drawn, the same for every kind.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import stablespike as ss
from stablespike.learning.training import TrainingError
from stablespike.tasks.recordings import Recordings, select
from stablespike.tasks.speaker_splits import ValidatedSplit
from studies.electrocardiogram_search import Range, drawn
from studies.networks_that_hear import NEURONS, Competitor, Hearing

PARTS = (0.7, 0.1)  # of each letter's trials, for training and validation; the rest is the test
PUBLISHED = (  # per cent
    ("recurrent LIF, surrogate gradients", "about 80", "Müller-Cleve et al. 2022: 17 points below their LSTM"),
    ("LSTM on frames", "about 97", "Müller-Cleve et al. 2022"),
)


class Setting(NamedTuple):
    """What is chosen for a kind on the validation trials; the defaults are those of spoken digits, or guesses.

    `hidden_rate` is of Adam, `gain` multiplies the readout's voltages, whose mean over the trial has weights
    exp(-t/`weighting`); input weights are normal of `mean_weight` and `weight_deviation`. Times in s.
    """

    hidden_rate: float = 8e-3
    gain: float = 10.0
    weighting: float = 1.0
    membrane: float = 0.02
    mean_weight: float = 0.2
    weight_deviation: float = 0.5


RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "hidden_rate": Range(2e-3, 3e-2),
        "gain": Range(5.0, 60.0),
        "weighting": Range(0.5, 4.0),
        "membrane": Range(0.017, 0.1),  # the grid resolves the half of it, that of the synapses
        "mean_weight": Range(0.05, 0.5),
        "weight_deviation": Range(0.15, 1.0),
    }
)


def tries(number: int, seed: int) -> list[Setting]:
    """So many settings: the guesses, and draws from `RANGES` by a Latin hypercube."""
    return [Setting(), *(Setting(**one) for one in drawn(number - 1, seed, RANGES))]


def outcome(train: Callable[[], tuple[Any, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """What a try found on the validation trials after its last epoch, and `stopped`: why it did not get there, or "".

    A simulation that fails, such as one whose activity runs away, stops its try, which then names no letter and has no
    loss; the other tries go on. Other errors are raised.
    """
    try:
        last = train()[1][-1]
    except (TrainingError, ss.SimulationError) as failure:
        nothing = dict.fromkeys(("loss", "rate", "silent"), float("nan"))
        return {"validation": 0.0} | nothing | {"stopped": str(failure)}
    found = {"validation": last["test_accuracy"], "loss": last["test_loss"]}
    return found | {name: last[name] for name in ("rate", "silent")} | {"stopped": ""}


def competitor_of(kind: str) -> Competitor:
    """The recurrent network of a kind, such as "LIF exact" or "QIF surrogate"."""
    neuron, _, gradient = kind.partition(" ")
    if neuron not in NEURONS or gradient not in ("exact", "surrogate"):
        raise ValueError(f'a kind is "LIF" or "QIF", and "exact" or "surrogate", not "{kind}".')
    return Competitor(NEURONS[neuron], gradient == "exact")


def hearing_of(setting: Setting, common: Hearing, limit: float = 0.0) -> Hearing:
    """What all kinds share, with a setting; the gradient of a trial has at most the norm `limit`, if not 0."""
    return common._replace(
        gain=setting.gain, weighting_time_constant=setting.weighting, membrane_time_constant=setting.membrane,
        mean=setting.mean_weight, deviation=setting.weight_deviation, limit=limit or None,
    )  # fmt: skip


def stratified(letters: Recordings, seed: int = 0) -> ValidatedSplit:
    """Of the trials of each letter 70 % for training, 10 % for validation, and 20 % for the test, drawn once.

    Those are the parts in the code of Müller-Cleve et al. (2022), whose draw is not known. Trials of one letter follow
    one another in one session, so that all sides share it.
    """
    generator = np.random.default_rng(seed)
    sides: tuple[list[np.ndarray], ...] = ([], [], [])
    for letter in np.unique(letters.labels):
        order = generator.permutation(np.flatnonzero(letters.labels == letter))
        ends = np.rint(np.cumsum(PARTS) * order.size).astype(int)
        for side, part in zip(sides, np.split(order, ends), strict=True):
            side.append(part)
    return ValidatedSplit(*(select(letters, np.sort(np.concatenate(side))) for side in sides))
