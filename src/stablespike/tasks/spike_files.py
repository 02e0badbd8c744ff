"""Spike trains in the file layout of the Spiking Heidelberg Digits (HDF5), which tonic and others read."""

import io
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.whole_files import whole_file


def write_recordings(
    path: str | pathlib.Path,
    recordings: Recordings,
    *,
    sources: Sequence[str] = (),
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write recordings as SHD does: `spikes/times` (float16, s), `spikes/units` (uint16), `labels`, `extra/...`.

    Half precision rounds times to 0.5 ms from 0.5 s on and to 1 ms from 1 s on, as in the published files. The file
    appears at `path` in one step; `sources` names where each trial comes from, `attributes` go to the file's root.
    """
    import h5py  # an optional part of the installation

    for name, values in (("channels", recordings.channels), ("speakers", recordings.speakers)):
        if values is not None and values.size and not 0 <= values.min() <= values.max() <= np.iinfo(np.uint16).max:
            raise ValueError(f"This layout has room for {name} from 0 to {np.iinfo(np.uint16).max} only.")
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        _fill(h5py, file, recordings, sources)
        file.attrs.update({"channels": recordings.channel_count, **(attributes or {})})


def _fill(h5py, file, recordings, sources):
    trials = [recordings.trial(k) for k in range(len(recordings))]
    for name, place, kind in (("times", 0, np.float16), ("units", 1, np.uint16)):
        ragged = file.create_dataset(f"spikes/{name}", (len(trials),), h5py.vlen_dtype(kind))
        for k, train in enumerate(trials):
            ragged[k] = train[place].astype(kind)
    file["labels"] = recordings.labels.astype(np.uint16)
    if recordings.speakers is not None:
        file["extra/speaker"] = recordings.speakers.astype(np.uint16)
    file["extra/keys"] = np.array([name.encode() for name in recordings.classes])
    if sources:
        file["extra/source_file"] = np.array([name.encode() for name in sources])


def read_recordings(path: str | pathlib.Path, *, channel_count: int | None = None) -> Recordings:
    """Read a file in this layout, also in a zip archive; SHD and SSC themselves have 700 channels, ours say how many.

    Raises DatasetError for a file that is missing, truncated, or of another layout.
    """
    import h5py

    path = pathlib.Path(path)
    if not path.exists():
        raise DatasetError(f"{path} is missing: put the HDF5 file of spike trains there, or its zip archive.")
    try:
        with h5py.File(_unpacked(path), "r") as file:
            return _recordings(file, channel_count or int(file.attrs.get("channels", 700)))
    except (OSError, KeyError, TypeError, AttributeError, RuntimeError, *DAMAGED_ARCHIVE) as error:
        raise DatasetError(f"{path} is damaged or not in the layout of SHD ({error}): replace it.") from error
    except ValueError as error:
        raise DatasetError(f"{path} contradicts itself: {error}") from error


def _unpacked(path):
    if path.suffix != ".zip":
        return path
    with zipfile.ZipFile(path) as content:
        return io.BytesIO(content.read(path.stem))


def _recordings(file, channel_count):
    labels, times, units = file["labels"][:], file["spikes/times"][:], file["spikes/units"][:]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be one whole number a trial, not {labels.dtype} {list(labels.shape)}.")
    if not len(labels) == len(times) == len(units):
        raise ValueError(f"{len(labels)} labels, but {len(times)} trains of times and {len(units)} of units.")
    if not labels.size:
        raise ValueError("it holds no trials.")
    extra = file.get("extra", {})
    speakers = extra["speaker"][:] if "speaker" in extra else None
    named = [key.decode() for key in extra["keys"][:]] if "keys" in extra else map(str, range(int(labels.max()) + 1))
    trains = [(np.asarray(one), np.asarray(other)) for one, other in zip(times, units, strict=True)]
    return gather(trains, labels, speakers, tuple(named), channel_count, dtype=np.float32)
