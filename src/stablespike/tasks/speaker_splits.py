"""Training, validation and test sets that do not share speakers."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from stablespike.tasks.recordings import Recordings, select


class Split(NamedTuple):
    """Trials to learn from and trials to be judged by."""

    train: Recordings
    test: Recordings


class ValidatedSplit(NamedTuple):
    """Trials to learn from, trials by which settings are chosen, and trials to be judged by once."""

    train: Recordings
    validation: Recordings
    test: Recordings


def unseen(split: Split) -> Split:
    """The split itself, if no speaker of the test set is in the training set; else ValueError names who is in both."""
    both = np.intersect1d(speakers_of(split.train), speakers_of(split.test))
    if both.size:
        raise ValueError(
            f"Speakers {', '.join(map(str, both))} are in the training set and in the test set: the result would not "
            "be one on unseen speakers; move each to one side."
        )
    return split


def speakers_of(recordings: Recordings) -> np.ndarray:
    """The speakers of recordings, each once, ascending."""
    if recordings.speakers is None:
        raise ValueError("These recordings name no speakers, so they can't be told apart.")
    return np.unique(recordings.speakers)


def by_speakers(recordings: Recordings, speakers: Any) -> Split:
    """Trials of `speakers` as the test set, all others for training."""
    known = speakers_of(recordings)
    missing = np.setdiff1d(speakers, known)
    if missing.size:
        raise ValueError(f"No recordings of speakers {', '.join(map(str, missing))}: there are {known.tolist()}.")
    if not np.size(speakers):
        raise ValueError("No speaker is held out: the test set would be empty; name at least one.")
    held = np.isin(np.asarray(recordings.speakers), speakers)
    if held.all():
        raise ValueError("All speakers are held out: nobody is left to learn from.")
    return Split(select(recordings, ~held), select(recordings, held))


def hold_out_speakers(recordings: Recordings, generator: np.random.Generator, *, part: float = 0.2) -> Split:
    """A validation set of whole speakers, drawn at random: `part` of them, rounded up."""
    if not 0 < part < 1:
        raise ValueError(f"The part of the speakers to hold out must lie between 0 and 1, not be {part}.")
    speakers = speakers_of(recordings)
    return by_speakers(recordings, generator.permutation(speakers)[: math.ceil(part * speakers.size)])


def leave_one_speaker_out(recordings: Recordings) -> Iterator[tuple[int, Split]]:
    """Every speaker in turn, with the split whose test set has all trials of this speaker and no others."""
    for speaker in speakers_of(recordings).tolist():
        yield speaker, by_speakers(recordings, [speaker])
