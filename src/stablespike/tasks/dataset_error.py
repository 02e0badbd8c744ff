"""The one error of all readers of data, and what a damaged zip archive or NumPy file raises."""

import tokenize
import zipfile
import zlib

DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)

DAMAGED_ARRAYS = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    *DAMAGED_ARCHIVE,
)


class DatasetError(RuntimeError):
    """A data file that is missing or not what it should be."""
