"""Published neuromorphic sets through tonic, an optional part of the installation.

tonic takes any file of the right name for the right one; so the archive's checksum is compared here once more. Nothing
is downloaded here: that is a matter of the workflow's rules, or of tonic's classes themselves. `folder` is tonic's
`save_to`: each set lies in `<folder>/<name of its class>`.
"""

import hashlib
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.speaker_splits import Split
from stablespike.tasks.spike_files import read_recordings

MICROSECOND = 1e-6


def spiking_heidelberg_digits(folder: str | pathlib.Path, *, check: bool = True) -> Split:
    """SHD: 8156 training and 2264 test recordings, 700 channels, 20 classes.

    The test set holds all of speakers 4 and 5 and 5 % of the others' recordings, so speakers are shared as published.
    """
    tonic = _tonic()
    return Split(*(_spike_file(_opened(tonic.SHD, folder, check, train=train)) for train in (True, False)))


def spiking_speech_commands(folder: str | pathlib.Path, *, check: bool = True) -> tuple[Recordings, ...]:
    """SSC: training, validation and test set, 700 channels, 35 classes."""
    tonic = _tonic()
    splits = ("train", "valid", "test")
    return tuple(_spike_file(_opened(tonic.SSC, folder, check, split=split)) for split in splits)


def nmnist_through_tonic(
    folder: str | pathlib.Path, *, check: bool = True, progress: Callable[[Iterable], Iterable] = iter
) -> Split:
    """N-MNIST: 60 000 training and 10 000 test recordings, channels as in `nmnist`."""
    sets = (_opened(_tonic().NMNIST, folder, check, train=train) for train in (True, False))
    return Split(*(_event_camera(one, [str(digit) for digit in range(10)], None, progress) for one in sets))


def dvs_gesture(
    folder: str | pathlib.Path, *, check: bool = True, progress: Callable[[Iterable], Iterable] = iter
) -> Split:
    """DVS Gesture: 11 gestures, a channel per pixel and polarity; the speaker is the user who gestures."""
    sets = [_opened(_tonic().DVSGesture, folder, check, train=train) for train in (True, False)]
    return Split(*(_event_camera(one, one.classes, one.users, progress) for one in sets))


def sequential_mnist(
    folder: str | pathlib.Path, *, progress: Callable[[Iterable], Iterable] = iter, **options: Any
) -> Split:
    """S-MNIST: MNIST pixel by pixel as threshold crossings; its 99 neurons are numbered up to 99, so 100 channels.

    tonic itself checks MNIST's files by their checksums whenever it opens them.
    """
    sets = [_opened(_tonic().SMNIST, folder, False, train=train, **options) for train in (True, False)]
    parts = []
    for one in sets:
        trains, labels = _events(one, lambda events: events["x"], progress)
        parts.append(gather(trains, labels, None, tuple(map(str, range(10))), one.sensor_size[0] + 1))
    return Split(*parts)


def _tonic() -> Any:
    try:
        import tonic.datasets
    except ImportError as error:
        raise DatasetError("This set comes through tonic: install stablespike with its extra `data`.") from error
    return tonic.datasets


def _opened(kind: Any, folder: str | pathlib.Path, check: bool, **choice: Any) -> Any:
    """A set of tonic's from its files; one that is missing or wrong becomes one sentence."""
    place = pathlib.Path(folder) / kind.__name__
    here = type(kind.__name__, (kind,), {"download": _refuse})
    try:
        found = here(str(folder), **choice)
    except (OSError, RuntimeError) as error:
        raise DatasetError(
            f"{kind.__name__} is not whole in {place} ({error}): put the files named in "
            f"tonic.datasets.{kind.__name__} there, or let tonic fetch them."
        ) from error
    archive = pathlib.Path(found.location_on_system) / getattr(found, "filename", "")
    if check and _md5(archive) != found.file_md5:
        raise DatasetError(f"{archive} is not the published archive (md5 is not {found.file_md5}): replace it.")
    return found


def _refuse(opened: Any) -> NoReturn:
    raise OSError(f"{getattr(opened, 'filename', 'a file')} is missing")


def _md5(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _spike_file(opened: Any) -> Recordings:
    """tonic opens the file anew for every trial; it is read in one go instead."""
    return read_recordings(pathlib.Path(opened.location_on_system) / opened.data_filename)


def _event_camera(
    opened: Any, classes: Iterable[str], users: Any, progress: Callable[[Iterable], Iterable]
) -> Recordings:
    width, height, polarities = opened.sensor_size

    def channel(events: np.ndarray) -> np.ndarray:
        return (events["p"].astype(np.int64) * height + events["y"]) * width + events["x"]

    trains, labels = _events(opened, channel, progress)
    named = None if users is None else np.array(users, int)
    return gather(trains, labels, named, tuple(classes), width * height * polarities)


def _events(
    opened: Any, channel: Callable[[np.ndarray], np.ndarray], progress: Callable[[Iterable], Iterable]
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Times in s and channels of every trial, and the labels."""
    trains, labels = [], []
    for k in progress(range(len(opened))):
        events, label = opened[k]
        trains.append((events["t"] * MICROSECOND, channel(events)))
        labels.append(int(label))
    return trains, np.array(labels)
