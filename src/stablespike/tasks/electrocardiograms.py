"""Electrocardiograms of the QT database as events, every step of which belongs to a wave (Yin et al. 2021).

Two leads of 1301 steps, 250 in a second (Laguna et al. 1997): a channel for each lead and direction of crossing.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from stablespike.tasks.dataset_error import DAMAGED_ARRAYS, DatasetError
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.requirements import require

STEPS = 1301
RATE = 250.0  # steps per second
SIGNALS = 4
WAVES = ("P", "PQ", "QR", "RS", "ST", "TP")
UNMARKED = -1


class MarkedRecordings(NamedTuple):
    """Recordings, and for every step `[trials, steps]` the wave that it belongs to, `UNMARKED` where nobody said."""

    recordings: Recordings
    waves: Int[np.ndarray, "trials steps"]


class MarkedSplit(NamedTuple):
    """Trials to learn from and trials to be judged by."""

    train: MarkedRecordings
    test: MarkedRecordings


class WaveAccuracy(NamedTuple):
    """The part of steps that are named rightly: of those that are marked, and as the published code counts."""

    marked: float
    published: float


def electrocardiograms(file: str | pathlib.Path) -> MarkedSplit:
    """618 and 141 trials from `ecg_qtdb.npz`: 249 390 and 58 038 events, 2.5 MB, and 1 MB for the waves of all steps.

    An event in step k is a spike at k / 250 s: of channel c where the file has +1 in signal c, of channel 4 + c where
    it has -1 (only once a trial, signal 0 in the last step: a mark of the end). All trials are of the one class that
    is there; what is to be told apart are the steps. Raises DatasetError for a file of another layout or length.
    """
    try:
        with pathlib.Path(file).open("rb") as source, np.load(source) as content:
            sides = [(content[f"{side}_events"], content[f"{side}_labels"]) for side in ("train", "test")]
    except FileNotFoundError as error:
        raise DatasetError(f"The electrocardiograms are missing: put ecg_qtdb.npz at {file}.") from error
    except DAMAGED_ARRAYS as error:
        raise DatasetError(f"{file} is damaged or not the file of electrocardiograms ({error}): replace it.") from error
    try:
        return MarkedSplit(*(_marked(events, labels) for events, labels in sides))
    except ValueError as error:
        raise DatasetError(f"{file} is not the file of electrocardiograms: {error}") from error


def _marked(events: np.ndarray, labels: np.ndarray) -> MarkedRecordings:
    """One side of the set; ValueError names what it should be."""
    fits = events.ndim == 3 and events.shape[1:] == (STEPS, SIGNALS) and events.dtype.kind == "i"
    require(
        fits, f"events must be whole numbers [trials, {STEPS}, {SIGNALS}], not {events.dtype} {list(events.shape)}."
    )
    require(len(events) > 0, "it holds no trials.")
    require(np.abs(events.astype(int)) <= 1, "events must be -1, 0 or 1.")
    fits = labels.shape == events.shape[:2] and labels.dtype == np.uint8
    require(
        fits, f"labels must be uint8 {list(events.shape[:2])} as the events, not {labels.dtype} {list(labels.shape)}."
    )
    require((labels < len(WAVES)) | (labels == 255), f"labels must be 0 to {len(WAVES) - 1}, or 255 for none.")
    trains = []
    for one in events:
        step, signal = np.nonzero(one)
        trains.append((step / RATE, signal + SIGNALS * (one[step, signal] < 0)))
    kind = np.zeros(len(events), int)
    recordings = gather(trains, kind, None, ("electrocardiogram",), 2 * SIGNALS, dtype=np.float32)
    return MarkedRecordings(recordings, labels.astype(np.int8))  # 255 becomes UNMARKED


def wave_accuracy(named: Int[np.ndarray, "_ _"], waves: Int[np.ndarray, "trials steps"]) -> WaveAccuracy:
    """How many steps are named as they are marked, with steps that are not marked left out, or counted as wave 0.

    The second is what the published code does, which takes unmarked steps (8 % for training, 10 % of the test) for P:
    its accuracies are to be compared with this one.
    """
    if np.shape(named) != waves.shape:
        raise ValueError(f"There must be a name for every step {list(waves.shape)}, not names {list(np.shape(named))}.")
    marked = waves != UNMARKED
    if not marked.any():
        raise ValueError("No step is marked, so that none can be named rightly.")
    return WaveAccuracy(float((named == waves)[marked].mean()), float((named == np.where(marked, waves, 0)).mean()))
