"""Values that others published, each with its source and setting, and the product of this repository beside it.

Nothing here was computed in this repository. Sources are keys of the manuscript's bibliography.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """Rows of a question's table, one a seed: `column` where other columns have given values, times `factor`.

    `number` is where `numbers.json` has the same: itself, or its complement to one.
    """

    question: str
    column: str
    where: Mapping[str, Any]
    factor: float = 1.0
    number: str = ""
    complement: bool = False
    statistic: str = "mean"

    def scaled(self, value: Any) -> Any:
        """A value of the table, or of `numbers.json`, in the unit of the row."""
        is_number = isinstance(value, float)
        return self.factor * (1.0 - value if self.complement and is_number else value)


class Contrast(NamedTuple):
    """The difference of two measurements, paired by seed."""

    one: Measured
    other: Measured


class Stated(NamedTuple):
    """Keys of `numbers.json`, where no table has one row a seed; value and spread times `factor`."""

    question: str
    number: str
    spread: str
    seeds: str
    factor: float = 1.0


class Reported(NamedTuple):
    """One row: what is reported, by whom, in which setting; `settings` says how near those here are to it.

    `experiment` is what rows of one experiment share: they are one replication. `repeats` are the seeds of the reported
    spread. A `value` of None stands for a claim about a sign, put in words in `claim`.
    """

    what: str
    source: str
    settings: str  # same: network, data and training; near: data or training differ somewhat; other
    setting: str
    value: float | None
    spread: float | None
    unit: str
    here: Measured | Contrast | Stated
    differences: str
    claim: str = ""
    sign: int = 1
    experiment: str = ""
    repeats: int | None = None

    def questions(self) -> tuple[str, ...]:
        """The questions, as `scale/question`, that the row asks."""
        parts = self.here if isinstance(self.here, Contrast) else (self.here,)
        return tuple(dict.fromkeys(part.question for part in parts))


MNIST_SETTING = "MNIST binarised, 784-100-100-10 theta neurons, 100 epochs, 10 seeds"
MNIST_DIFFERENCES = (
    "3 seeds; the learning rate is halved twice, where the source lets it decay by e over the training; initial phases"
    " are not clipped to a period"
)


def _mnist(what: str, value: float, spread: float, column: str, number: str, more: str = "", **how: Any) -> Reported:
    after = Measured("paper/handwritten-digits", column, {"stage": how.pop("stage", "after")}, number=number, **how)
    unit = "%" if after.factor > 1 else "spikes"
    return Reported(
        what, "klos2025", "same", MNIST_SETTING, value, spread, unit, after, MNIST_DIFFERENCES + more,
        experiment="MNIST", repeats=10,
    )  # fmt: skip


MNIST = (
    _mnist(
        "MNIST, pseudospikes counted", 97.6, 0.1, "accuracy", "error_after_mean", factor=100.0, complement=True
    ),
    _mnist(
        "MNIST, ordinary spikes only", 97.3, 0.1, "accuracy_ordinary", "error_ordinary_after_mean",
        "; a trial without an output spike is wrong here, where the source answers 0: untrained, silent networks get"
        " 9.8 % there, the share of that digit, and 0 here",
        factor=100.0, complement=True,
    ),
    _mnist("MNIST, spikes per hidden neuron", 0.417, 0.012, "spikes_per_neuron", "spikes_per_neuron_after_mean"),
    _mnist(
        "MNIST, silent hidden neurons before", 99.7, 0.3, "silent_fraction", "silent_fraction_before_mean",
        stage="before", factor=100.0,
    ),
    _mnist(
        "MNIST, silent hidden neurons after", 0.0, 0.0, "silent_fraction", "silent_fraction_after_mean", factor=100.0
    ),
)  # fmt: skip

XOR_DIFFERENCES = (
    "1500 training steps in place of 3001, shorter trials, which give fewer answers to learn from, and 20 flossed"
    " exponents in place of up to 75; published values read off a figure"
)


def _xor(delay: int, flossed: bool, value: float) -> Reported:
    kind = "flossed" if flossed else "plain"
    rows = {"cell": "binary", "layers": 1, "delay": delay, "flossed": flossed}
    key = f"binary_1_{kind}_{delay}.median"
    here = Measured("paper/flossing-delayed-xor", "accuracy", rows, 100.0, key, statistic="median")
    setting = "binary rate network of 80 neurons, batch 16, 9 seeds"
    return Reported(
        f"delayed XOR, {delay} steps, {kind}", "engelken2023flossing", "near", setting, value, None, "%", here,
        XOR_DIFFERENCES,
    )  # fmt: skip


XOR = tuple(
    _xor(delay, flossed, value)
    for flossed, values in ((False, (100.0, 100.0, 53.0, 53.0)), (True, (100.0, 100.0, 99.0, 76.0)))
    for delay, value in zip((10, 14, 18, 22), values, strict=True)
)

HEARD = (
    "recordings made into spikes by this repository's cochlea, 140 channels, all test speakers unheard (published: 700"
    " channels, test trials of training speakers among them)"
)


def _heard(
    what: str, source: str, setting: str, value: float, spread: float, question: str, kind: str, more: str = ""
) -> Reported:
    here = Measured(question, "test", {"kind": kind}, 100.0, f"accuracy.{kind}.test")
    return Reported(what, source, "other", setting, value, spread, "%", here, HEARD + more)


SPOKEN = (
    _heard(
        "SHD, recurrent LIF, surrogate", "cramer2022", "recurrent LIF, no augmentation", 71.4,
        1.9, "paper/networks-that-hear", "LIF surrogate",
        "; here with channels shifted, time stretched and penalties on rates, so that this row is no comparison of"
        " methods",
    ),
    _heard(
        "SHD, recurrent LIF, exact", "nowotny2025",
        "recurrent LIF, delay line, two augmentations, regularisers, training speakers left out in turn", 93.5, 0.7,
        "paper/networks-that-hear", "LIF exact", "; no delay line, fewer epochs, one seed",
    ),
    _heard(
        "SHD, BRF", "higuchi2024", "128 recurrent neurons, last epoch of the authors' code", 91.4,
        0.4, "paper/cells-that-hear", "BRF",
    ),
    _heard(
        "SHD, C-SiLIF", "fabre2025", "128 neurons a layer, not recurrent", 95.06, 0.37,
        "paper/cells-that-hear", "C-SiLIF",
    ),
)  # fmt: skip

COCHLEA = (
    Reported(
        "cochlea: spikes of the reference recording", "cramer2022", "same",
        "published conversion, 700 channels; 7208, 7096 and 7072 spikes by three seeds", 7125.33, 72.6, "spikes",
        Stated("paper/from-sound-to-spikes", "spikes_mean", "spikes_sd", "seeds"),
        "binomial draws of the fibres in place of single ones: the same distribution",
        experiment="cochlea", repeats=3,
    ),
    Reported(
        "cochlea: spikes of 200 recordings, difference", "cramer2022", "same", "published conversion, 700 channels;"
        " the mean relative difference of the spikes of the same recordings", 0.0, None, "% of spikes",
        Stated("paper/from-sound-to-spikes", "many.difference_mean", "many.difference_sd", "many.recordings", 100.0),
        "other random numbers; the spread is that between recordings", experiment="cochlea",
    ),
)  # fmt: skip


def _hearing(kind: str, question: str = "paper/networks-that-hear") -> Measured:
    return Measured(question, "test", {"kind": kind}, 100.0)


def _exponent(neuron: str) -> Measured:
    rows = {"kind": "inhibition", "neuron": neuron, "loop": 10.0}
    return Measured("paper/strong-coupling", "exponent", rows)


SIGNS = (
    Reported(
        "QIF against LIF, exact gradients, spoken digits", "wenig2026", "other",
        "Spiking Heidelberg Digits, a search for each neuron", None, None, "%",
        Contrast(_hearing("QIF exact"), _hearing("LIF exact")), "one seed each, no equal search; " + HEARD,
        claim="QIF ahead",
    ),
    Reported(
        "exact against surrogate gradients, spoken digits", "nowotny2025", "other",
        "Spiking Heidelberg Digits: delay line, two augmentations, regularisers, level of the best", None, None, "%",
        Contrast(_hearing("QIF exact"), _hearing("LIF surrogate")),
        "one seed of exact networks, no delay line, fewer epochs; " + HEARD, claim="exact not behind",
    ),
    Reported(
        "different against equal time constants", "pereznieves2021", "other", "several sets, recurrent networks",
        None, None, "%",
        Contrast(*(_hearing(kind, "paper/time-constants") for kind in ("20 to 100 ms", "20 ms"))), HEARD,
        claim="different ahead",
    ),
    Reported(
        "leading exponent, balanced quadratic neurons", "monteforte2010", "other",
        "theta neurons, delta pulses, sparse, large", None, None, "1/tau", _exponent("QIF"),
        "32 neurons, dense, currents that decay, driven by Poisson spikes", claim="positive",
    ),
    Reported(
        "leading exponent, inhibitory leaky neurons", "monteforte2012", "other",
        "leaky neurons, delta pulses, sparse, large", None, None, "1/tau", _exponent("LIF"),
        "32 neurons, dense, currents that decay, driven by Poisson spikes", claim="negative", sign=-1,
    ),
)  # fmt: skip

ROWS = (*MNIST, *XOR, *SPOKEN, *COCHLEA, *SIGNS)
