"""Our cochlea beside the published conversion on many recordings, and how long ours takes."""

import io
import pathlib
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from stablespike.tasks.cochlea.model import Cochlea, hear
from stablespike.tasks.cochlea.statistics import BANDS
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.sounds import heidelberg_digits
from stablespike.tasks.spike_files import read_recordings


class SpikeCounts(NamedTuple):
    """Spikes of the same recordings in ten bands of channels, `[recordings, bands]`, from base to apex."""

    here: Float[np.ndarray, "recordings bands"]
    published: Float[np.ndarray, "recordings bands"]


def compared_counts(
    cochlea: Cochlea,
    archive: str | pathlib.Path,
    published: str | pathlib.Path,
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> SpikeCounts:
    """Spikes of `count` recordings, evenly taken from a `published` file in SHD's layout, and of the same heard here.

    The file (a zip archive of it) names its recordings in `extra/source_file`; they are looked for in the `archive` of
    Heidelberg Digits. Recording number k hears by key number k of `seed`.
    """
    theirs, sources = read_recordings(published), _sources(pathlib.Path(published))
    if not 0 < count <= len(theirs):
        raise ValueError(f"{count} recordings can't be compared: {published} holds {len(theirs)}.")
    if theirs.channel_count != cochlea.membrane.channels:
        raise ValueError(f"{cochlea.membrane.channels} channels can't be compared with {theirs.channel_count}.")
    sounds = {sound.source: sound for sound in heidelberg_digits(archive)}
    found: tuple[list, list] = ([], [])
    for k in progress(np.linspace(0, len(theirs) - 1, count).astype(int).tolist()):
        if sources[k] not in sounds:
            raise DatasetError(f"{archive} does not hold {sources[k]}, of which {published} has the spikes.")
        train = hear(cochlea, sounds[sources[k]].read().samples, jax.random.fold_in(jax.random.key(seed), k))
        found[0].append(_in_bands(train.channels, cochlea.membrane.channels))
        found[1].append(_in_bands(theirs.trial(k)[1], theirs.channel_count))
    return SpikeCounts(*map(np.array, found))


def _in_bands(channels: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(channels.astype(int) * BANDS // count, minlength=BANDS).astype(float)


def _sources(path: pathlib.Path) -> list[str]:
    import h5py  # an optional part of the installation

    with zipfile.ZipFile(path) as content, h5py.File(io.BytesIO(content.read(path.stem)), "r") as file:
        if "source_file" not in file.get("extra", {}):
            raise DatasetError(f"{path} does not say which recordings its spikes are from (extra/source_file).")
        return [pathlib.Path(name.decode()).stem for name in file["extra/source_file"][:]]


class Speed(NamedTuple):
    """Seconds per recording by the clock and of the processor (all threads), medians over repeats."""

    wall: float
    processor: float


def conversion_speed(convert: Callable[[Sequence[Any]], object], sounds: Sequence[Any], *, repeats: int = 3) -> Speed:
    """How long `convert(sounds)` takes per sound; a first call, which compiles, is not counted."""
    if not sounds or repeats < 1:
        raise ValueError("The speed of a conversion needs at least one sound and one repeat.")
    convert(sounds)
    times = []
    for _ in range(repeats):
        before = time.perf_counter(), time.process_time()
        convert(sounds)
        times.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    wall, processor = np.median(times, axis=0) / len(sounds)
    return Speed(float(wall), float(processor))
