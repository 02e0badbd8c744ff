"""The one error of all readers of data, and what a damaged zip archive raises."""

import zipfile
import zlib

DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


class DatasetError(RuntimeError):
    """A data file that is missing or not what it should be."""
