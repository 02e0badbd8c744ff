"""Recordings as tasks of one form for `models_on_recordings`: electrocardiograms and letters by touch. Times in s."""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

import stablespike as ss
from stablespike.tasks.braille import braille
from stablespike.tasks.electrocardiograms import RATE, WAVES, electrocardiograms
from studies import electrocardiogram as heart
from studies import tactile_letters as touch
from studies.networks_that_hear import Hearing
from studies.networks_that_hear import trials_of as touched

HELD = 78  # electrocardiograms for validation
Labels = Int[Array, "trials"] | Int[Array, "trials steps"]
Trials = tuple[ss.Spikes, Labels]


class Task(NamedTuple):
    """What is to be named, and what all models share: grid, readout, weights at the start, epochs.

    With a `weighting` a trial has one label, named by the mean of the readout's voltages with weights
    exp(-t/`weighting`); without, every step has one. The loss looks at the end of each `every`-th step, the judge at
    all steps where each has a label. `numbers` are those that a model may train; `pause` is how long a network must
    remember, read off the training trials; `chance` is the part of the commonest label.
    """

    name: str
    channels: int
    classes: int
    steps: int
    dt: float
    every: int
    numbers: int
    batch_size: int
    mean: float
    deviation: float
    chance: float
    pause: float
    weighting: float = 0.0
    loop: float = 1.0
    membrane: float = 0.05
    trace: float = 0.02
    gain: float = 10.0
    limit: float = 1.0

    @property
    def duration(self) -> float:
        """Of a trial."""
        return self.steps * self.dt

    @property
    def looked(self) -> int:
        """Steps from one look of the judge to the next."""
        return self.every if self.weighting else 1

    def scores(
        self, voltages: Float[Array, "trials looks classes"], every: int
    ) -> Float[Array, "trials *looks classes"]:
        """What the softmax is taken of: the voltages, or their weighted mean."""
        if not self.weighting:
            return voltages
        ends = self.dt * every * np.arange(1, voltages.shape[1] + 1)
        weights = np.exp(-ends / self.weighting)
        return jnp.einsum("l,tlc->tc", jnp.asarray(weights / weights.sum(), voltages.dtype), voltages)

    def loss(self, voltages: Float[Array, "trials looks classes"], labels: Labels) -> tuple[Array, Array]:
        """Mean cross-entropy of voltages at every `every`-th step, and the scores."""
        scores = self.scores(voltages, self.every)
        asked = labels if self.weighting else labels[:, self.every - 1 :: self.every]
        return optax.softmax_cross_entropy_with_integer_labels(scores, asked).mean(), scores

    def right(self, voltages: Float[Array, "trials looks classes"], labels: Labels) -> Bool[Array, "trials *steps"]:
        """Whether a trial, or each of its steps, is named rightly, of voltages at what the judge looks at."""
        return jnp.argmax(self.scores(voltages, self.looked), -1) == labels


class Parts(NamedTuple):
    """Trials to learn from, to choose a rate by, and to be judged by."""

    train: Trials
    validation: Trials
    test: Trials


def longest_pause(spikes: ss.Spikes, channels: int) -> float:
    """The longest time without a spike in the first so many channels between two spikes, median over trials."""
    counted = np.isfinite(spikes.times) & (np.asarray(spikes.sources) < channels)
    return float(
        np.median([np.diff(times[here]).max() for times, here in zip(np.asarray(spikes.times), counted, strict=True)])
    )


def commonest(labels: Any) -> float:
    """The part of the commonest label."""
    return float(np.bincount(np.asarray(labels).ravel()).max() / np.size(labels))


def with_room(parts: Parts) -> Parts:
    """The same trials, with room for the same number of spikes in all of them."""
    most = max(int(jnp.isfinite(spikes.times).sum(1).max()) for spikes, _ in parts)

    def fitted(spikes: ss.Spikes) -> ss.Spikes:
        missing = ((0, 0), (0, max(0, most - spikes.times.shape[1])))
        times = jnp.pad(spikes.times, missing, constant_values=jnp.inf)[:, :most]
        return ss.Spikes(times, jnp.pad(spikes.sources, missing)[:, :most])

    return Parts(*((fitted(spikes), labels) for spikes, labels in parts))


def electrocardiogram_task(folder: pathlib.Path | str) -> tuple[Task, Parts]:
    """The waves of the first half of each electrocardiogram; steps without a mark count as wave 0."""
    split, steps = electrocardiograms(pathlib.Path(folder) / "ecg_qtdb.npz"), 648
    whole = (*heart.held_out(split.train, HELD), split.test)
    parts = with_room(Parts(*(every_second(heart.trials_of(one, steps)) for one in whole)))
    task = Task(
        "electrocardiograms", heart.CHANNELS, len(WAVES), steps, 1 / RATE, every=8, numbers=36 * (9 + 36 + 6),
        batch_size=18, mean=0.3, deviation=1.0, chance=commonest(parts.train[1]),
        pause=longest_pause(parts.train[0], heart.CHANNELS - 1),
    )  # fmt: skip
    return task, parts


def every_second(trials: Trials) -> Trials:
    """The first of each two trials, where two are the halves of one."""
    return jax.tree.map(lambda leaf: leaf[::2], trials)


def letters_task(folder: pathlib.Path | str) -> tuple[Task, Parts]:
    """Braille letters, as in `tactile-letters`, without augmentation."""
    letters = braille(pathlib.Path(folder) / "braille_taxel.npz")
    shared = Hearing(channels=letters.channel_count, duration=1.904, shift=0)
    parts = with_room(Parts(*(touched(one, shared) for one in touch.stratified(letters))))
    task = Task(
        "letters", letters.channel_count, len(letters.classes), 238, shared.dt, every=2,
        numbers=64 * (letters.channel_count + 64 + len(letters.classes)), batch_size=27, mean=0.2, deviation=0.5,
        chance=commonest(parts.train[1]), pause=longest_pause(parts.train[0], letters.channel_count), weighting=1.0,
    )  # fmt: skip
    return task, parts


TASKS = {"electrocardiograms": electrocardiogram_task, "letters": letters_task}


def some(trials: Trials, number: int) -> Trials:
    """The first trials."""
    return jax.tree.map(lambda leaf: leaf[:number], trials)
