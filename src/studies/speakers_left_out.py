"""Networks that hear the digits of people whom they do not know: each speaker in turn is left out of the training."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression

import stablespike as ss
from stablespike.learning.classify import Classification, Labelled
from stablespike.tasks.free_spoken_digits import SPEAKERS
from stablespike.tasks.recordings import (
    Recordings,
    as_events,
    binned,
    cut,
    in_volleys,
    joined,
    merge_channels,
    select,
    with_margins,
)
from stablespike.tasks.speaker_splits import Split, leave_one_speaker_out
from studies import cells_that_hear, networks_that_hear
from studies.costs_of_training import EpochCost, epoch_cost
from studies.networks_that_hear import Hearing, Learning

OFFICIAL = "official"  # the split of the authors, which shares its speakers


class Competitor(NamedTuple):
    """A kind of neuron, whether by events, and how fast hidden weights learn.

    The readout's voltages are multiplied by `gain`; the gradient of a trial has at most the norm `limit` (0: any).
    """

    kind: str
    exact: bool = False
    hidden_rate: float = 8e-3
    gain: float = 10.0
    limit: float = 0.0


def name_of(competitor: Competitor) -> str:
    """What a competitor is called: "LIF exact", "SE-adaptive surrogate"."""
    return f"{competitor.kind} {'exact' if competitor.exact else 'surrogate'}"


def folds(split: Split, seed: int = 0) -> Iterator[tuple[str, Split]]:
    """The official split, and for each speaker the split with all that this one says as the test set.

    Of the official training set so many trials are drawn, by the seed, as the smallest of the others has.
    """
    left = [(SPEAKERS[speaker], one) for speaker, one in leave_one_speaker_out(joined(*split))]
    order = np.random.default_rng(seed).permutation(len(split.train))
    yield OFFICIAL, Split(select(split.train, np.sort(order[: min(len(one.train) for _, one in left)])), split.test)
    yield from left


def trials_of(recordings: Recordings, hearing: Hearing, room: int) -> Labelled:
    """Input spikes as in `networks_that_hear`, with the same room in all folds, so that one program runs them."""
    merged = merge_channels(cut(recordings, hearing.duration), hearing.channels)
    spikes = as_events(with_margins(in_volleys(merged, hearing.volley), hearing.shift), room=room)
    return ss.Spikes(spikes.times.astype(jnp.float32), spikes.sources), jnp.asarray(recordings.labels)


def room_of(split: Split, hearing: Hearing) -> int:
    """The largest number of spikes that a trial has."""
    return max(int(cut(part, hearing.duration).counts.max()) for part in split)


def _of_two(competitor: Competitor) -> networks_that_hear.Competitor | None:
    """What `networks_that_hear` calls a LIF or QIF network; None for another kind, which `cells_that_hear` knows."""
    neuron: Any = networks_that_hear.NEURONS.get(competitor.kind)
    return None if neuron is None else networks_that_hear.Competitor(neuron, competitor.exact)


def heard(competitor: Competitor, hearing: Hearing) -> Hearing:
    """What all share, with what is the competitor's own."""
    return hearing._replace(gain=competitor.gain, limit=competitor.limit or None)


def loss_of(competitor: Competitor, hearing: Hearing) -> Classification:
    """The loss that a competitor is trained and judged by: that of the study which knows its neurons."""
    own, known = heard(competitor, hearing), _of_two(competitor)
    return cells_that_hear.task_of(own) if known is None else networks_that_hear.hearing_task(known, own)


def network_of(competitor: Competitor, hearing: Hearing, classes: int, seed: int) -> ss.Network:
    """The network at the start."""
    own, known, key = heard(competitor, hearing), _of_two(competitor), jax.random.key(seed)
    channels = hearing.channels + 2 * hearing.shift
    if known is None:
        return cells_that_hear.network_of(key, cells_that_hear.KINDS[competitor.kind], own, channels, classes)
    return networks_that_hear.hearing_network(key, known, own, channels, classes)


def optimiser_of(competitor: Competitor, learning: Learning, trials: int) -> optax.GradientTransformation:
    """Adam whose rates fall to 0 by half a cosine."""
    if _of_two(competitor) is not None:
        return networks_that_hear.optimiser(learning, trials)
    setting = cells_that_hear.Setting(learning.hidden_rate, readout_rate=learning.readout_rate)
    steps = learning.epochs * (trials // learning.batch_size)
    return cells_that_hear.optimiser(cells_that_hear.KINDS[competitor.kind], setting, steps)


def train(
    competitor: Competitor,
    trials: Mapping[str, tuple[Labelled, Labelled]],
    *,
    classes: int,
    seed: int,
    hearing: Hearing,
    learning: Learning,
    folder: pathlib.Path | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, dict[str, Any]]:
    """A network for each fold `(training, test)`, and what it makes of both at the end; goes on from its checkpoint.

    The test trials are looked at once. Folds of one size run one compiled program. Found are the trained `network`, the
    `history` of the training loss, and what `judged` says.
    """
    learning = learning._replace(hidden_rate=competitor.hidden_rate)
    loss, found, rules = loss_of(competitor, hearing), {}, {}
    for fold, (training, test) in trials.items():
        size = training[1].shape[0]
        if size not in rules:
            rules[size] = ss.gradient_training(loss, optimiser_of(competitor, learning, size))
        init, update = rules[size]
        start = network_of(competitor, hearing, classes, seed)
        state, history = ss.fit(
            update, init(start, jax.random.key(1000 + seed)), training, epochs=learning.epochs,
            batch_size=learning.batch_size, evaluate=lambda network: {}, progress=progress,
            checkpoint=None if folder is None else folder / f"{name_of(competitor)}-{fold}.eqx".replace(" ", "-"),
            identity=f"{competitor} {hearing._replace(budget=0)} {learning} {fold} {seed}",
        )  # fmt: skip
        own = judged(loss, state.parameters, training, test, learning.judged_at_once)
        found[fold] = {"network": state.parameters, "history": history} | own
    return found


def judged(
    loss: Classification, network: ss.Network, training: Labelled, test: Labelled, at_once: int
) -> dict[str, Any]:
    """Accuracies on `train` and `test`, which test trials are named `right`, spikes and synaptic operations of each."""
    own = ss.verdict(loss, network, training, min(at_once, training[1].shape[0]))
    other = ss.verdict(loss, network, test, min(at_once, test[1].shape[0]))
    right = other.named == np.asarray(test[1])
    return {
        "train": float((own.named == np.asarray(training[1])).mean()),
        "test": float(right.mean()),
        "right": right,
        "spikes": float(other.rates.sum()),
        "silent": float((other.rates == 0).mean()),
        "operations": networks_that_hear.operations(network, test, other.rates, loss.until),
    }


def cost_of(
    competitor: Competitor, network: ss.Network, training: Labelled, hearing: Hearing, learning: Learning
) -> EpochCost:
    """What an epoch of a competitor costs, measured with a network that it trained."""
    own = learning._replace(hidden_rate=competitor.hidden_rate)
    optimiser = optimiser_of(competitor, own, training[1].shape[0])
    return epoch_cost(loss_of(competitor, hearing), optimiser, network, training, learning.batch_size)


def linear_right(split: Split, duration: float, steps: int = 100) -> Bool[np.ndarray, " trials"]:
    """Which test trials logistic regression on square roots of spike counts names rightly.

    The features (35 groups of channels, 14 bins of time) and the penalty are those of `cells_that_hear`; L-BFGS takes
    `steps` steps at most, in single precision.
    """
    train, test = (
        np.sqrt(binned(merge_channels(cut(part, duration), 35), 14, duration).reshape(len(part), -1), dtype=np.float32)
        for part in split
    )
    model = LogisticRegression(C=0.1, max_iter=steps, tol=1e-3)
    return model.fit(train, split.train.labels).predict(test) == split.test.labels


def clustered(parts: Sequence[Float[np.ndarray, " _"]], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over speakers of their means over trials, by a bootstrap of clusters.

    Speakers are drawn with repetition, as many as there are, and of each of them trials likewise. `parts`: a value for
    each trial of each speaker, such as by how much one classifier is ahead (-1, 0, 1).
    """
    generator, means = np.random.default_rng(seed), np.empty(draws)
    for draw in range(draws):
        speakers = generator.integers(len(parts), size=len(parts))
        means[draw] = np.mean([generator.choice(parts[one], len(parts[one])).mean() for one in speakers])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def ahead(one: Float[np.ndarray, " folds"], other: Float[np.ndarray, " folds"]) -> tuple[float, float]:
    """By how much the one is ahead in the mean over folds, and the probability of that by a paired t test.

    Folds share training speakers, so that their differences are not independent: the test is too sure.
    """
    return float(np.mean(one - other)), float(scipy.stats.ttest_rel(one, other).pvalue)
