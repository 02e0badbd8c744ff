"""Spike trains in the file layout of the Spiking Heidelberg Digits (HDF5), which tonic and others read."""

import contextlib
import gzip
import io
import mmap
import os
import pathlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError
from stablespike.tasks.heaps import require_sound_heaps
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.requirements import require
from stablespike.tasks.whole_files import whole_file

PRECISION = 1e-3  # s; the largest step between two times that can be told apart in a file
UNNAMED = 1 << 16  # classes of a file that names none: as many as the published layout has room for
ROWS_A_BYTE = 64  # of a compressed file: a row of times alone is a pointer of 16 bytes
MOST_CHANNELS = np.iinfo(np.int32).max
UNREADABLE = (OSError, KeyError, TypeError, AttributeError, RuntimeError, LookupError, MemoryError, *DAMAGED_ARCHIVE)


def write_recordings(
    path: str | pathlib.Path,
    recordings: Recordings,
    *,
    sources: Sequence[str] = (),
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write recordings as SHD does: `spikes/times` (float16, s), `spikes/units` (uint16), `labels`, `extra/...`.

    Half precision rounds times to 0.5 ms from 0.5 s on and to 1 ms from 1 s on, as in the published files. From 2 s on
    its steps are longer, so times of such recordings are written in single precision, from 16384 s on in double; whole
    numbers above 65535 take the smallest type that holds them. Other readers know these types as well. The file
    appears at `path` in one step; `sources` names where each trial comes from, `attributes` go to the file's root.
    Raises ValueError for what no type has room for, before anything is written.
    """
    import h5py  # an optional part of the installation

    kinds = {"times": _type_of_times(recordings.times)}
    for name, values in (("units", recordings.channels), ("labels", recordings.labels)):
        kinds[name] = _type_of_whole(name, values)
    if recordings.speakers is not None:
        kinds["speakers"] = _type_of_whole("speakers", recordings.speakers)
    names = np.array([_bytes(name) for name in recordings.classes])
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        _fill(h5py, file, recordings, kinds)
        file["extra/keys"] = names
        if sources:
            file["extra/source_file"] = np.array([os.fsencode(name) for name in sources])
        file.attrs.update({"channels": recordings.channel_count, **(attributes or {})})


def _type_of_times(times: np.ndarray) -> Any:
    """The smallest floating-point type that tells times apart which differ by `PRECISION`."""
    last = times.max(initial=0)
    for kind in (np.float16, np.float32, np.float64):
        if last < np.finfo(kind).max and np.spacing(kind(last)) <= PRECISION:
            return kind
    raise ValueError(f"A spike at {last:.3g} s can't be written to {PRECISION} s: give times within a trial.")


def _type_of_whole(name: str, values: np.ndarray) -> np.dtype:
    """16 bits as published, or the smallest unsigned type that holds all values."""
    if values.size and values.min() < 0:
        raise ValueError(f"This layout has room for {name} from 0 on only, not for {values.min()}.")
    return np.promote_types(np.uint16, np.min_scalar_type(values.max(initial=0)))


def _bytes(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"The name of class {os.fsencode(name)!r} is no text in UTF-8: rename it.") from error


def _fill(h5py: Any, file: Any, recordings: Recordings, kinds: Mapping[str, Any]) -> None:
    trials = [recordings.trial(k) for k in range(len(recordings))]
    for place, name in enumerate(("times", "units")):
        ragged = file.create_dataset(f"spikes/{name}", (len(trials),), h5py.vlen_dtype(kinds[name]))
        for k, train in enumerate(trials):
            ragged[k] = train[place].astype(kinds[name])
    file["labels"] = recordings.labels.astype(kinds["labels"])
    if recordings.speakers is not None:
        file["extra/speaker"] = recordings.speakers.astype(kinds["speakers"])


def read_recordings(path: str | pathlib.Path, *, channel_count: int | None = None) -> Recordings:
    """Read a file in this layout, also gzipped or in a zip archive; SHD and SSC have 700 channels, ours say how many.

    A trial whose times do not ascend is sorted, each time with its channel: the rounding to half precision makes times
    equal but never turns them round, so that such a file was written by whoever did not care for order. Takes 8 bytes
    a spike, 12 where times are in double precision. Raises DatasetError for a file that is missing, truncated, or of
    another layout.
    """
    import h5py

    path = pathlib.Path(path)
    if not path.exists():
        raise DatasetError(f"{path} is missing: put the HDF5 file of spike trains there, or its zip archive.")
    try:
        with _unpacked(path) as content, h5py.File(content, "r") as file:
            return _recordings(file, channel_count or _channels(file.attrs.get("channels", 700)))
    except DatasetError:
        raise
    except UnicodeError as error:
        raise DatasetError(f"{path} contradicts itself: a name in extra/keys is no text in UTF-8 ({error}).") from error
    except ValueError as error:
        raise DatasetError(f"{path} contradicts itself: {str(error).rstrip('.')}.") from error
    except UNREADABLE as error:
        why = str(error) or type(error).__name__
        raise DatasetError(f"{path} is damaged or not in the layout of SHD ({why}): replace it.") from error


@contextlib.contextmanager
def _unpacked(path: pathlib.Path) -> Iterator[Any]:
    """What h5py opens: the file itself, or what its archive holds."""
    if path.suffix not in (".gz", ".zip"):
        if path.stat().st_size:  # there is no map of nothing
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                require_sound_heaps(content, path.name)
        yield path
        return
    if path.suffix == ".gz":
        with gzip.open(path) as packed:
            whole = packed.read()
    else:
        with zipfile.ZipFile(path) as archive:
            whole = archive.read(path.stem)
    require_sound_heaps(whole, path.name)
    yield io.BytesIO(whole)


def _channels(said: Any) -> int:
    """The number of channels that a file says it has."""
    whole = np.ndim(said) == 0 and np.asarray(said).dtype.kind in "iu" and 0 < said <= MOST_CHANNELS
    require(whole, f"channels must be a whole number from 1 to {MOST_CHANNELS}, not {said}.")
    return int(said)


def _read(file: Any, name: str) -> np.ndarray:
    """All of a data set, if the file has room for it: a damaged head may claim any number of rows."""
    found, size = file[name], file.file.id.get_filesize()
    require(found.size <= ROWS_A_BYTE * size, f"{name} claims {found.size} rows, in a file of {size} bytes.")
    return found[:]


def _recordings(file: Any, channel_count: int) -> Recordings:
    labels, times, units = (_read(file, name) for name in ("labels", "spikes/times", "spikes/units"))
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be one whole number a trial, not {labels.dtype} {list(labels.shape)}.")
    if not len(labels) == len(times) == len(units):
        raise ValueError(f"{len(labels)} labels, but {len(times)} trains of times and {len(units)} of units.")
    if not labels.size:
        raise ValueError("it holds no trials.")
    extra = file.get("extra", {})
    speakers = _read(extra, "speaker") if "speaker" in extra else None
    trains = [(np.asarray(one), np.asarray(other)) for one, other in zip(times, units, strict=True)]
    kind = np.result_type(np.float32, *{one.dtype for one, _ in trains})
    return gather(trains, labels, speakers, _classes(extra, labels), channel_count, dtype=kind)


def _classes(extra: Any, labels: np.ndarray) -> tuple[str, ...]:
    """The names of the classes, their numbers where the file has none."""
    if "keys" in extra:
        return tuple(key.decode() for key in _read(extra, "keys"))
    require(
        labels.max() < UNNAMED,
        f"its labels go up to {labels.max()} and extra/keys names no classes: number them from 0, or name them.",
    )
    return tuple(map(str, range(int(labels.max()) + 1)))
