"""The one error of all readers of data."""


class DatasetError(RuntimeError):
    """A data file that is missing or not what it should be."""
