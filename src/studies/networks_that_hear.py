"""Networks that learn to name spoken digits, trained by exact or by surrogate gradients.

Data, readout, loss, penalty and optimiser are the same; where `Hearing` and `Learning` of two competitors differ, so do
their settings.

One hidden layer, recurrent or not, and a leaky readout whose voltage is averaged over the trial, early times counting
more: without that weighting an exact gradient hardly reaches the hidden weights (see `ShapedReadout`).
"""

import math
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from jaxtyping import Array, Key, PyTree

import stablespike as ss
from stablespike.learning.classify import Classification, Labelled, Penalty, judged
from stablespike.learning.training import TrainingState
from stablespike.stability.synaptic_operations import event_operations
from stablespike.tasks.augmentation import Augmentation, InTurn, MarginShift, TimeStretch, blended
from stablespike.tasks.heidelberg_spikes import with_validation
from stablespike.tasks.recordings import Recordings, as_events, cut, in_volleys, joined, merge_channels, with_margins
from stablespike.tasks.speaker_splits import Split, ValidatedSplit, hold_out_speakers


class Hearing(NamedTuple):
    """What all competitors share. Times in s; weights as jumps of the current, in units of the threshold of LIF.

    Input weights are normal of `mean` and `deviation`, recurrent ones of variance recurrence^2/hidden, those of the
    readout of variance readout^2/hidden. `gain` multiplies the readout's voltages. In the mean over trials each
    neuron's spikes are held between `fewest` and `most`, in a single trial below `loudest`.
    """

    channels: int = 140  # of the input, neighbours merged
    duration: float = 0.8
    volley: float = 0.002  # inputs within it come together
    hidden: int = 256
    membrane_time_constant: float = 0.02
    readout_time_constant: float = 0.02
    weighting_time_constant: float = 0.3
    gain: float = 10.0
    mean: float = 0.008
    deviation: float = 0.02
    recurrence: float = 0.2
    readout: float = 0.3
    fewest: float = 4.0
    most: float = 30.0
    loudest: float = 60.0
    penalty: float = 0.02
    limit: float | None = None  # of the norm of the gradient of one trial
    budget: int = 400  # spikes of a neuron in a trial, by events
    dt: float = 0.008  # of the grid
    sharpness: float = 10.0  # of SuperSpike
    shift: int = 6  # channels by which a training trial is moved at most
    stretch: float = 0.1  # by which it is made longer or shorter at most, as a part of it


class Learning(NamedTuple):
    """Adam with rates that fall to 0 by half a cosine, hidden weights with a rate of their own."""

    epochs: int = 30
    batch_size: int = 50
    hidden_rate: float = 4e-3
    readout_rate: float = 1e-2
    judged_at_once: int = 100  # trials


class Competitor(NamedTuple):
    """Neurons of the hidden layer (`LIF` or `QIF`), whether by events or on a grid, and whether recurrent."""

    neuron: type[ss.LIF] | type[ss.QIF] = ss.LIF
    exact: bool = True
    recurrent: bool = True


NEURONS: dict[str, type[ss.LIF] | type[ss.QIF]] = {"LIF": ss.LIF, "QIF": ss.QIF}
FOR_LIF, AS_LEARNED = Hearing(), Learning()
FOR_QIF = FOR_LIF._replace(gain=30.0, limit=10.0, budget=150)  # spikes fewer, and a few trials with huge gradients


def trials_of(recordings: Recordings, hearing: Hearing) -> Labelled:
    """Input spikes in single precision and labels: cut, merged, in volleys, between margins."""
    merged = merge_channels(cut(recordings, hearing.duration), hearing.channels)
    ready = with_margins(in_volleys(merged, hearing.volley), hearing.shift)
    spikes = as_events(ready)
    return ss.Spikes(spikes.times.astype(jnp.float32), spikes.sources), jnp.asarray(recordings.labels)


def with_blends(recordings: Recordings, copies: int) -> Recordings:
    """The recordings, and so many blends of each with another of its class (`blended`)."""
    parts = [blended(recordings, np.random.default_rng(k)) for k in range(copies)]
    return joined(recordings, *parts)


def validated(name: str, split: Split) -> ValidatedSplit:
    """A named split with validation speakers: of Heidelberg Digits those held out, else a fifth, drawn once."""
    if name in ("heidelberg-spikes-full", "shd"):
        return with_validation(split)
    rest, validation = hold_out_speakers(split.train, np.random.default_rng(0))
    return ValidatedSplit(rest, validation, split.test)


def name_of(kind: str, exact: bool, recurrent: bool, time_constant: float, usual: float = 0.02) -> str:
    """What a competitor is called in tables: "LIF exact", "QIF surrogate, feed-forward", "LIF surrogate, 40 ms"."""
    name = f"{kind} {'exact' if exact else 'surrogate'}{'' if recurrent else ', feed-forward'}"
    return name if time_constant == usual else f"{name}, {1000 * time_constant:g} ms"


def operations(network: ss.Network, trials: Labelled, rates: np.ndarray, duration: float) -> float:
    """Synaptic operations of a trial (NeuroBench, Yik et al. 2025): every spike, once for each neuron that it reaches.

    `rates` `[hidden]` are the spikes of each hidden neuron in a trial; inputs count until `duration`.
    """
    spikes, hidden = trials[0], network.layers[0]
    inside = np.asarray(spikes.times) < duration
    arriving = np.bincount(np.asarray(spikes.sources)[inside], minlength=network.channels) / len(trials[1])
    paths = [(arriving, hidden.inputs), (rates, network.layers[1].inputs)]
    if hidden.loop is not None:
        paths.append((rates, hidden.loop))
    counts, weights = zip(*((counts[None], np.asarray(path.weights)) for counts, path in paths), strict=True)
    return event_operations(counts, weights, steps=1).effective_acs


def mcnemar(one: Sequence[bool], other: Sequence[bool]) -> tuple[int, int, float]:
    """Trials that only `one`, and that only the `other` names rightly, and how likely so unequal a part is by chance.

    The exact, two-sided test of McNemar (1947): of the trials on which two methods differ, either has an even chance.
    """
    first, second = np.asarray(one, bool), np.asarray(other, bool)
    mine, others = int((first & ~second).sum()), int((second & ~first).sum())
    return mine, others, float(scipy.stats.binomtest(mine, mine + others).pvalue) if mine + others else 1.0


def wilson(part: float, trials: int, deviations: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval of a part of so many independent trials (Wilson 1927); 95 % for 1.96 standard deviations."""
    square = deviations**2 / trials
    middle = (part + square / 2) / (1 + square)
    width = deviations * math.sqrt(part * (1 - part) / trials + square / (4 * trials)) / (1 + square)
    return middle - width, middle + width


def hearing_network(
    key: Key[Array, ""], competitor: Competitor, hearing: Hearing, channels: int, classes: int
) -> ss.Network:
    """The network at the start, in single precision; `channels` are those of the trials, margins included."""
    keys, hidden = jax.random.split(key, 3), hearing.hidden
    inputs = hearing.mean + hearing.deviation * jax.random.normal(keys[0], (hidden, channels))
    loop = ss.normal_by_fan_in(keys[1], hidden, hidden, hearing.recurrence)
    readout = ss.normal_by_fan_in(keys[2], classes, hidden, hearing.readout)
    neuron = competitor.neuron(hearing.membrane_time_constant)
    layer = ss.Layer(neuron, _dense(inputs), _dense(loop) if competitor.recurrent else None)
    return ss.Network(layer, ss.Layer(_readout(competitor, hearing), _dense(readout)))


def _dense(weights: Array) -> ss.Dense:
    return ss.Dense(weights.astype(jnp.float32))


def _readout(competitor: Competitor, hearing: Hearing) -> Any:
    if not competitor.exact:
        return ss.LeakyReadout(hearing.readout_time_constant)
    return ss.ShapedReadout(hearing.readout_time_constant, hearing.weighting_time_constant)


def hearing_task(competitor: Competitor, hearing: Hearing) -> Classification:
    """The loss: cross-entropy of the weighted mean voltages, and penalties on spikes that are too few or too many."""
    common: dict[str, Any] = {"augment": _augmentation(hearing), "penalty": _penalty(hearing), "limit": hearing.limit}
    if competitor.exact:
        return ss.classify(
            hearing.duration, score=ss.Outputs(gain=hearing.gain), on=ss.Events(hearing.budget), **common
        )
    weighted = ss.ExponentiallyWeightedMean(hearing.weighting_time_constant / hearing.dt)
    on = ss.Grid(hearing.dt, ss.SuperSpike(hearing.sharpness))
    return ss.classify(hearing.duration, score=ss.Outputs(weighted, hearing.gain), on=on, **common)


def _penalty(hearing: Hearing) -> Penalty:
    band = ss.DrivenRates(ss.RateBand(hearing.fewest, hearing.most, hearing.penalty))
    ceiling = ss.DrivenRates(ss.CountCeiling(hearing.loudest, hearing.penalty))
    return lambda network, spikes, run: band(network, spikes, run) + ceiling(network, spikes, run)


def _augmentation(hearing: Hearing) -> Augmentation:
    stretch = TimeStretch(1 - hearing.stretch, 1 + hearing.stretch)
    return InTurn((MarginShift(hearing.shift), stretch))


def optimiser(learning: Learning, trials: int) -> optax.GradientTransformation:
    """Adam for hidden weights and those of the readout."""
    steps = learning.epochs * (trials // learning.batch_size)
    rates = {"hidden": learning.hidden_rate, "readout": learning.readout_rate}
    parts = {name: optax.adam(optax.cosine_decay_schedule(rate, steps)) for name, rate in rates.items()}
    return optax.partition(parts, _names)


def _names(network: PyTree) -> PyTree:
    """The part that each array of a network belongs to."""
    last = len(network.layers) - 1

    def name(path: Any, _: Any) -> str:
        return "readout" if path[1].idx == last else "hidden"

    return jax.tree_util.tree_map_with_path(name, network)


def train(
    competitor: Competitor,
    training: Labelled,
    validation: Labelled,
    *,
    channels: int,
    classes: int,
    seed: int,
    hearing: Hearing = FOR_LIF,
    learning: Learning = AS_LEARNED,
    checkpoint: pathlib.Path | str | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[TrainingState, list[dict[str, Any]]]:
    """One competitor, trained and judged after every epoch on trials of other speakers; goes on from its checkpoint.

    The history has what `judged` returns, and the `seconds` of the epoch on the clock, its judging included.
    """
    loss = hearing_task(competitor, hearing)
    start = hearing_network(jax.random.key(seed), competitor, hearing, channels, classes)
    init, update = ss.gradient_training(loss, optimiser(learning, training[1].shape[0]))
    at_once = min(learning.judged_at_once, validation[1].shape[0])
    judge, last = judged(loss, validation, at_once), [time.perf_counter()]

    def evaluate(network: ss.Network) -> dict[str, Any]:
        found = judge(network) | {"seconds": time.perf_counter() - last[0]}  # of the epoch, its judging included
        last[0] = time.perf_counter()
        return found

    return ss.fit(
        update, init(start, jax.random.key(1000 + seed)), training, epochs=learning.epochs,
        batch_size=learning.batch_size, evaluate=evaluate,
        checkpoint=checkpoint, progress=progress,
        identity=f"{competitor} {hearing._replace(budget=0)} {learning} {seed}",  # more room goes on where less failed
    )  # fmt: skip
