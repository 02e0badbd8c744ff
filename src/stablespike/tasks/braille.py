"""Braille letters felt by a robot's finger: 12 taxels, 27 classes of 50 repetitions (Müller-Cleve et al. 2022)."""

import itertools
import pathlib

import numpy as np

from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError
from stablespike.tasks.recordings import Recordings, gather

TAXELS = 12


def braille(file: str | pathlib.Path, *, step: float = 1.0, frame_rate: float = 40.0) -> Recordings:
    """Level-crossing spikes of all trials: a taxel spikes once for each `step` by which its value rises or falls.

    Channels 0-11 are rises, 12-23 falls of the taxels; the spikes of a frame are spread evenly over it. The file
    does not say how many frames make a second: `frame_rate` (in Hz) does.
    """
    try:
        with pathlib.Path(file).open("rb") as source, np.load(source) as content:
            taxel, offsets, label, letters = (content[name] for name in ("taxel", "offsets", "label", "letters"))
    except FileNotFoundError as error:
        raise DatasetError(f"The Braille letters are missing: put braille_taxel.npz at {file}.") from error
    except (OSError, KeyError, ValueError, *DAMAGED_ARCHIVE) as error:
        raise DatasetError(f"{file} is damaged or not the file of Braille letters ({error}): replace it.") from error
    trains = [crossings(taxel[a:b].astype(float), step, frame_rate) for a, b in itertools.pairwise(offsets)]
    return gather(trains, label, None, tuple(map(str, letters)), 2 * TAXELS)


def crossings(values: np.ndarray, step: float, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and channels of the spikes of one trial with values `[frames, taxels]`."""
    change = np.diff(np.floor(values / step), axis=0).astype(int)
    counts = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)], 1)
    frame, channel = np.nonzero(counts)
    number = counts[frame, channel]
    within = (np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number) + 0.5) / np.repeat(number, number)
    return (np.repeat(frame, number) + within) / frame_rate, np.repeat(channel, number)
