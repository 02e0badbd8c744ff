"""N-MNIST: handwritten digits seen by a moving event camera (Orchard et al. 2015), from its zip archives."""

import pathlib
import zipfile

import numpy as np
from jaxtyping import Float, Int, UInt8

from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError
from stablespike.tasks.recordings import Recordings, gather

SIDE = 34  # pixels; one channel for each pixel and polarity
DIGIT_NAMES = tuple(str(digit) for digit in range(10))


def nmnist_events(
    content: UInt8[np.ndarray, " bytes"],
) -> tuple[Float[np.ndarray, " events"], Int[np.ndarray, " events"]]:
    """Times in s and channels of the events of a file: five bytes each, x, y, then a bit of polarity and 23 of µs.

    The channel is (polarity · 34 + y) · 34 + x; polarity 1 is getting brighter.
    """
    if content.size % 5 or not content.size:
        raise ValueError(f"{content.size} bytes are no whole number of events of 5 bytes, or of none")
    x, y, *rest = content.reshape(-1, 5).T.astype(np.int64)
    if max(x.max(initial=0), y.max(initial=0)) >= SIDE:
        raise ValueError(f"an event lies beside the {SIDE} x {SIDE} pixels")
    polarity, first = rest[0] >> 7, rest[0] & 127
    return ((first << 16) + (rest[1] << 8) + rest[2]) * 1e-6, (polarity * SIDE + y) * SIDE + x


def nmnist(archive: str | pathlib.Path) -> Recordings:
    """All recordings of an archive with members `<any folder>/<label>/<index>.bin`, in the order of their index."""
    archive = pathlib.Path(archive)
    try:
        with zipfile.ZipFile(archive) as content:
            members = sorted(
                (name for name in content.namelist() if name.endswith(".bin")), key=lambda name: pathlib.Path(name).stem
            )
            trains = [_train(content, member, archive) for member in members]
    except FileNotFoundError as error:
        raise DatasetError(f"N-MNIST is missing: put its zip archive at {archive}.") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{archive} is no whole zip archive ({error}): replace it.") from error
    labels = [pathlib.Path(member).parent.name for member in members]
    if not labels or not set(labels) <= set(DIGIT_NAMES):
        raise DatasetError(
            f"{archive} is not N-MNIST: it needs members like Train/7/00001.bin, with the label's folder."
        )
    return gather(trains, np.array(labels, int), None, DIGIT_NAMES, 2 * SIDE**2)


def _train(content: zipfile.ZipFile, member: str, archive: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        return nmnist_events(np.frombuffer(content.read(member), np.uint8))
    except (ValueError, *DAMAGED_ARCHIVE) as error:
        raise DatasetError(f"{member} in {archive} is damaged ({error}): replace the archive.") from error
