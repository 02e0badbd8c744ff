"""The heaps of an HDF5 file, where its lists of unequal length lie: over damaged ones its library never ends."""

import mmap
import re
import struct
from collections.abc import Iterator

from stablespike.tasks.dataset_error import DatasetError

# A collection: its sign, version 1, three zeros, its size; objects follow (format of HDF5, III.E, global heap).
COLLECTION = re.compile(rb"GCOL\x01\0{3}(.{8})", re.DOTALL)
HEAD = 16  # bytes before the data of an object, as before the first object


def require_sound_heaps(content: bytes | memoryview | mmap.mmap, name: str) -> None:
    """Raise `DatasetError` where objects of a heap do not follow upon each other up to its end."""
    for found in COLLECTION.finditer(content):
        end = found.start() + int.from_bytes(found[1], "little")
        if end <= len(content) and not all(_steps(content, found.start() + HEAD, end)):
            raise DatasetError(f"{name} is damaged (a heap of its trains does not add up): replace it.")


def _steps(content: bytes | memoryview | mmap.mmap, place: int, end: int) -> Iterator[bool]:
    """Whether each object of a collection leads on, and not beyond its end."""
    while end - place >= HEAD:
        index, size = struct.unpack("<H6xQ", content[place : place + HEAD])
        step = size if index == 0 else HEAD + (size + 7) // 8 * 8
        yield step >= HEAD and place + step <= end
        place += step
