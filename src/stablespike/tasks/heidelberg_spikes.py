"""All 10 420 Heidelberg Digits as spikes of 700 channels, in the file layout of SHD (Cramer et al. 2022).

They are not the files of SHD, whose test set of 2264 holds 5 % of the training speakers' recordings too: here nobody is
on both sides, which is harder. Say so beside numbers that were published for SHD.
"""

import pathlib

import numpy as np

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import Recordings
from stablespike.tasks.sounds import DIGITS
from stablespike.tasks.speaker_splits import Split, ValidatedSplit, by_speakers, unseen
from stablespike.tasks.spike_files import read_recordings
from stablespike.tasks.spoken_digits import TEST_SPEAKERS

CHANNELS = 700
TRAINING_SPEAKERS = (0, 1, 2, 3, 6, 7, 8, 9, 10, 11)
VALIDATION_SPEAKERS = (6, 8)


def all_heidelberg_spikes(folder: str | pathlib.Path) -> Split:
    """8580 recordings of ten speakers to learn from, 1840 of speakers 4 and 5 for the test; folder `hd_spikes_full`.

    59 994 997 spikes up to 1.37 s, times in float16 in the files as in SHD: 480 MB as events, 1.3 GB while they are
    read (a raster of 1 ms steps would have 10 GB). Raises DatasetError for files of another layout, or with a speaker
    of the other side.
    """
    sides = []
    for side, speakers in (("train", TRAINING_SPEAKERS), ("test", TEST_SPEAKERS)):
        path = pathlib.Path(folder) / f"shd_{side}.h5.zip"
        sides.append(read_recordings(path))
        if why := _fault(sides[-1], speakers):
            raise DatasetError(f"{path} is not this side of the Heidelberg Digits ({why}): replace it.")
    return unseen(Split(*sides))


def _fault(one: Recordings, speakers: tuple[int, ...]) -> str:
    """What is not as in the Heidelberg Digits, "" if nothing."""
    if one.channel_count != CHANNELS or one.classes != DIGITS:
        return (
            f"it has {one.channel_count} channels and {len(one.classes)} classes, not {CHANNELS} and the twenty digits"
        )
    if one.speakers is None:
        return "it names no speakers"
    strangers = np.setdiff1d(one.speakers, speakers)
    return f"speakers {', '.join(map(str, strangers))} belong to the other side" if strangers.size else ""


def with_validation(split: Split) -> ValidatedSplit:
    """The training speakers 6 and 8 held out for validation (1300 of 8580 recordings), the test set as it is.

    They are the first two of `np.random.default_rng(0).permutation` of the ten training speakers: drawn once, before
    anything was trained, and never chosen by a result. Works for any set with these speakers.
    """
    rest, validation = by_speakers(split.train, VALIDATION_SPEAKERS)
    return ValidatedSplit(rest, validation, split.test)
