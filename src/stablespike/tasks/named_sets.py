"""The labelled spike trains that notebooks know by a name, from wherever their files lie."""

import pathlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from stablespike.tasks.braille import braille
from stablespike.tasks.event_cameras import nmnist
from stablespike.tasks.heidelberg_spikes import all_heidelberg_spikes
from stablespike.tasks.recordings import cut, gather, merge_channels, select
from stablespike.tasks.speaker_splits import Split
from stablespike.tasks.spike_files import read_recordings
from stablespike.tasks.spoken_digits import (
    SyntheticDigits,
    free_spoken_digits_as_spikes,
    heidelberg_digits_as_spikes,
    synthetic_digits,
)
from stablespike.tasks.tonic_datasets import spiking_heidelberg_digits
from stablespike.tasks.yin_yang import yin_yang

SMALL_SET = SyntheticDigits()
LARGE_SET = SyntheticDigits(voices=52, test_voices=12, clips=2, channels=140, longest=51_998)
HEIDELBERG_ARCHIVE = "hd_audio_subset.zip"
FREE_DIGITS_ARCHIVE = "fsdd.zip"


class Places(NamedTuple):
    """The folder with data from outside, the folder in which converted spikes are kept, and what shows progress."""

    data: str | pathlib.Path
    cache: str | pathlib.Path
    progress: Callable[[Iterable], Iterable] = iter


def synthetic_small(places: Places) -> Split:
    """400 recordings of 20 digits by 20 synthetic voices, 5 of them in the test set only, 70 channels."""
    return synthetic_digits(places.cache, SMALL_SET, progress=places.progress)


def synthetic(places: Places) -> Split:
    """2080 recordings of 20 digits by 52 synthetic voices, 12 of them in the test set only, 140 channels."""
    return synthetic_digits(places.cache, LARGE_SET, progress=places.progress)


def heidelberg_digits(places: Places) -> Split:
    """The Heidelberg Digits in `hd_audio_subset.zip`, 70 channels; speakers 4 and 5 are the test set."""
    archive = pathlib.Path(places.data) / HEIDELBERG_ARCHIVE
    return heidelberg_digits_as_spikes(places.cache, archive, channels=70, progress=places.progress)


def heidelberg_spikes(places: Places) -> Split:
    """480 Heidelberg Digits of 700 channels by the published cochlea, from `hd_spikes_mini`."""
    folder = pathlib.Path(places.data) / "hd_spikes_mini"
    return Split(*(read_recordings(folder / f"shd_{side}.h5.zip") for side in ("train", "test")))


def heidelberg_spikes_full(places: Places) -> Split:
    """All 10 420 Heidelberg Digits of 700 channels, from `hd_spikes_full`; speakers 4 and 5 are the test set.

    `heidelberg_spikes.with_validation` holds out two further speakers. 480 MB.
    """
    return all_heidelberg_spikes(pathlib.Path(places.data) / "hd_spikes_full")


def free_spoken_digits(places: Places) -> Split:
    """The 3000 Free Spoken Digits in `fsdd.zip`, 70 channels, in the official split: all speakers are on both sides."""
    archive = pathlib.Path(places.data) / FREE_DIGITS_ARCHIVE
    return free_spoken_digits_as_spikes(places.cache, archive, channels=70, progress=places.progress)


def shd(places: Places) -> Split:
    """The Spiking Heidelberg Digits as published, in `SHD/`, 700 channels."""
    return spiking_heidelberg_digits(places.data)


def nmnist_small(places: Places) -> Split:
    """Recordings of the first 1000 and 100 digits of N-MNIST, from its archives `nmnist_small_{train,test}.zip`."""
    folder = pathlib.Path(places.data)
    return Split(*(nmnist(folder / f"nmnist_small_{side}.zip") for side in ("train", "test")))


def braille_letters(places: Places, *, part: float = 0.2, seed: int = 0) -> Split:
    """The Braille letters of `braille_taxel.npz`; a random `part` of all trials, drawn once, is the test set."""
    letters = braille(pathlib.Path(places.data) / "braille_taxel.npz")
    order = np.random.default_rng(seed).permutation(len(letters))
    held = round(part * len(letters))
    return Split(select(letters, order[held:]), select(letters, order[:held]))


def yin_yang_points(trials: int, latest: float, *, seed: int = 0) -> Split:
    """So many points of Yin-Yang for training and for the test each, coordinates as latencies up to `latest` in s."""
    generator, parts = np.random.default_rng(seed), []
    for _ in range(2):
        task = yin_yang(generator, trials, latest)
        trains = [(times, np.arange(times.size)) for times in task.times]
        parts.append(gather(trains, task.labels, None, ("yang", "yin", "dot"), task.times.shape[1]))
    return Split(*parts)


def fitted(split: Split, duration: float, channels: int) -> Split:
    """A split without spikes at `duration` (in s) and later, neighbouring channels merged until so many are left."""
    return Split(*(merge_channels(cut(part, duration), channels) for part in split))


NAMED_SETS: dict[str, Callable[[Places], Split]] = {
    "synthetic-small": synthetic_small,
    "synthetic": synthetic,
    "heidelberg-digits": heidelberg_digits,
    "heidelberg-spikes": heidelberg_spikes,
    "heidelberg-spikes-full": heidelberg_spikes_full,
    "free-spoken-digits": free_spoken_digits,
    "shd": shd,
    "nmnist-small": nmnist_small,
}
