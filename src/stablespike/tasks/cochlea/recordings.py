"""Labelled sounds → cochlea → recordings, many sounds at a time."""

import concurrent.futures
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from stablespike.tasks.cochlea.membrane import cached_membrane_filter
from stablespike.tasks.cochlea.model import Cochlea, hear
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.sounds import LabelledSound, labelled_folder
from stablespike.tasks.spike_files import write_recordings


class Heard(NamedTuple):
    """What came of a set of sounds: recordings, their sources, and which sounds had to be left out, and why."""

    recordings: Recordings
    sources: tuple[str, ...]
    refused: dict[str, str]


def hear_all(
    cochlea: Cochlea,
    sounds: Sequence[LabelledSound],
    classes: tuple[str, ...],
    key: Key[Array, ""],
    *,
    workers: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Heard:
    """Spikes of all sounds on the CPU's cores; sound number k hears by key number k, whatever happens to the others.

    A sound that can't be read or heard is left out and named in `refused` and in one warning, which also says how many
    were resampled or mixed. `progress` wraps the loop, as tqdm does.
    """
    keys = (jax.random.fold_in(key, k) for k in range(len(sounds)))
    kept, trains, refused = [], [], {}
    changes: dict[str, int] = {}
    with concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = ((sound, _start(pool, cochlea, sound, one)) for sound, one in zip(sounds, keys, strict=True))
        for sound, job in progress(_ahead(jobs, 4 * (workers or os.cpu_count() or 1))):
            try:
                train, change = job.result()
            except (DatasetError, ValueError) as error:
                refused[sound.source] = str(error)
                continue
            kept.append(sound)
            trains.append(train)
            changes[change] = changes.get(change, 0) + 1
    _say(refused, {change: count for change, count in changes.items() if change})
    labels, speakers = (np.array([getattr(sound, field) for sound in kept], int) for field in ("label", "speaker"))
    recordings = gather(trains, labels, speakers, classes, cochlea.membrane.channels)
    return Heard(recordings, tuple(sound.source for sound in kept), refused)


def convert_folder(
    folder: str | pathlib.Path,
    path: str | pathlib.Path,
    *,
    channels: int = 700,
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Heard:
    """Spikes of all sounds in `<folder>/<class>/<speaker>/<file>`, written to `path` in the layout of SHD.

    The membrane filter, made for the longest sound, is kept beside `path`. A sound that can't be used is named in one
    warning and left out; DatasetError if none of a class can.
    """
    sounds, classes = labelled_folder(folder)
    longest, unreadable = _survey(sounds)
    _require_every_class(classes, sounds, unreadable)
    cochlea = Cochlea(cached_membrane_filter(pathlib.Path(path).parent, channels, longest + longest % 2))
    heard = hear_all(cochlea, sounds, classes, jax.random.key(seed), progress=progress)
    write_recordings(path, heard.recordings, sources=heard.sources, attributes={"seed": seed})
    return heard


def _survey(sounds: Sequence[LabelledSound]) -> tuple[int, dict[str, str]]:
    """Samples of the longest sound, and why which sounds can't be read."""
    longest, unreadable = 0, {}
    for sound in sounds:
        try:
            longest = max(longest, sound.read().samples.size)
        except DatasetError as error:
            unreadable[sound.source] = str(error)
    return longest, unreadable


def _require_every_class(classes: tuple[str, ...], sounds: Sequence[LabelledSound], refused: dict[str, str]) -> None:
    """Raise DatasetError for a class of which no sound is left."""
    for label, name in enumerate(classes):
        reasons = [refused.get(sound.source) for sound in sounds if sound.label == label]
        if all(reasons):
            raise DatasetError(f"None of the {len(reasons)} sounds of class {name!r} can be used: {reasons[0]}")


def _start(
    pool: concurrent.futures.Executor, cochlea: Cochlea, sound: LabelledSound, key: Key[Array, ""]
) -> concurrent.futures.Future:
    """Sounds are read in this thread (the synthesiser can speak in one only) and heard in another."""
    try:
        samples, changes = sound.read()
    except DatasetError as error:
        failed: concurrent.futures.Future = concurrent.futures.Future()
        failed.set_exception(error)
        return failed
    return pool.submit(lambda: (hear(cochlea, samples, key), changes))


def _ahead(jobs: Iterable, distance: int) -> Iterator:
    """Let at most `distance` jobs run ahead, so that not all sounds are in memory at once."""
    waiting = []
    for job in jobs:
        waiting.append(job)
        if len(waiting) > distance:
            yield waiting.pop(0)
    yield from waiting


def _say(refused: dict[str, str], changes: dict[str, int]) -> None:
    parts = [f"{count} sounds were {change}" for change, count in changes.items()]
    if refused:
        reasons = (why if source in why else f"{source}: {why}" for source, why in refused.items())
        parts.append(f"{len(refused)} sounds were left out: {' '.join(reasons)}")
    if parts:
        warnings.warn("; ".join(parts), stacklevel=3)
