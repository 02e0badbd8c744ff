"""Braille letters felt by a robot's finger: 12 taxels, 27 classes of 50 repetitions (Müller-Cleve et al. 2022)."""

import itertools
import pathlib

import numpy as np

from stablespike.tasks.dataset_error import DAMAGED_ARRAYS, DatasetError
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.requirements import require, require_positive

TAXELS = 12


def braille(file: str | pathlib.Path, *, step: float = 1.0, frame_rate: float = 40.0) -> Recordings:
    """Level-crossing spikes of all trials: a taxel spikes once for each `step` by which its value rises or falls.

    Channels 0-11 are rises, 12-23 falls of the taxels; the spikes of a frame are spread evenly over it. The file
    does not say how many frames make a second: `frame_rate` (in Hz) does.
    """
    require_positive(step=step, frame_rate=frame_rate)
    try:
        with pathlib.Path(file).open("rb") as source, np.load(source) as content:
            taxel, offsets, label, letters = (content[name] for name in ("taxel", "offsets", "label", "letters"))
    except FileNotFoundError as error:
        raise DatasetError(f"The Braille letters are missing: put braille_taxel.npz at {file}.") from error
    except DAMAGED_ARRAYS as error:
        raise DatasetError(f"{file} is damaged or not the file of Braille letters ({error}): replace it.") from error
    try:
        _require_trials(taxel, offsets)
        require(letters.ndim == 1, f"letters must be a list, not an array {list(letters.shape)}.")
        trains = [crossings(taxel[a:b].astype(float), step, frame_rate) for a, b in itertools.pairwise(offsets)]
        return gather(trains, label, None, tuple(map(str, letters)), 2 * TAXELS)
    except MemoryError as error:
        raise DatasetError(
            f"{file} has values of which a step of {step} makes more spikes than there is room for."
        ) from error
    except ValueError as error:
        raise DatasetError(f"{file} contradicts itself: {str(error).rstrip('.')}.") from error


def _require_trials(taxel: np.ndarray, offsets: np.ndarray) -> None:
    """Raise ValueError unless the frames are of all taxels and belong to one trial each."""
    fits = taxel.shape[1:] == (TAXELS,) and taxel.dtype.kind in "iuf"
    require(fits, f"taxel must be numbers [frames, {TAXELS}], not {taxel.dtype} {list(taxel.shape)}.")
    require(np.isfinite(taxel), "taxel has values that are not finite numbers.")
    whole = offsets.ndim == 1 and offsets.size > 1 and offsets.dtype.kind in "iu"
    ends = whole and offsets[0] == 0 and offsets[-1] == len(taxel) and (offsets[1:] > offsets[:-1]).all()
    require(ends, f"offsets must be whole numbers that ascend from 0 to the {len(taxel)} frames.")


def crossings(values: np.ndarray, step: float, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and channels of the spikes of one trial with values `[frames, taxels]`."""
    change = np.diff(np.floor(values / step), axis=0).astype(int)
    counts = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)], 1)
    frame, channel = np.nonzero(counts)
    number = counts[frame, channel]
    within = (np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number) + 0.5) / np.repeat(number, number)
    return (np.repeat(frame, number) + within) / frame_rate, np.repeat(channel, number)
