"""Handwritten digits as input volleys: scikit-learn's bundled 8x8 set, and MNIST from its four original files."""

import gzip
import hashlib
import math
import pathlib
from typing import NamedTuple

import numpy as np
import sklearn.datasets

from stablespike.tasks.volleys import VolleyTask, binary_volley, grey_value_volleys


class MNISTFile(NamedTuple):
    """Name, md5 checksum and idx magic number of one of the original files (LeCun 1998)."""

    name: str
    md5: str
    magic: int


MNIST_FILES = (
    MNISTFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 2051),
    MNISTFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 2049),
    MNISTFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 2051),
    MNISTFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 2049),
)


class DatasetError(RuntimeError):
    """A data file that is missing or not what it should be."""


def small_digits(duration: float, *, test_trials: int = 357, split_seed: int = 0) -> VolleyTask:
    """The 1797 digits of 8x8 pixels bundled with scikit-learn, grey values 1 ... 16 as volleys over the first half
    trial.

    `duration` of a trial in the unit of the network's time constants. The split is drawn once by `split_seed`.
    """
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    times, active = grey_value_volleys(images, levels=16, latest=duration / 2)
    order = np.random.default_rng(split_seed).permutation(labels.size)
    test, train = order[:test_trials], order[test_trials:]
    return VolleyTask(times, active[train], labels[train], active[test], labels[test])


def mnist(folder: str | pathlib.Path, duration: float) -> VolleyTask:
    """MNIST binarised at half the range, all active pixels in one early volley at duration ln(1/0.99) (Klos 2025).

    `folder` holds the four original gzipped idx files; each is checked by its md5 checksum.
    """
    train_images, train_labels, test_images, test_labels = (_idx(pathlib.Path(folder), file) for file in MNIST_FILES)
    time = -duration * math.log(0.99)
    times, train_active = binary_volley(train_images.reshape(len(train_images), -1), 127.5, time)
    _, test_active = binary_volley(test_images.reshape(len(test_images), -1), 127.5, time)
    return VolleyTask(times, train_active, train_labels.astype(int), test_active, test_labels.astype(int))


def _idx(folder: pathlib.Path, file: MNISTFile) -> np.ndarray:
    path = folder / file.name
    if not path.exists():
        raise DatasetError(f"MNIST's file {file.name} is missing: put the original file into the folder {folder}.")
    packed = path.read_bytes()
    if hashlib.md5(packed, usedforsecurity=False).hexdigest() != file.md5:
        raise DatasetError(f"{path} is not MNIST's original file (md5 is not {file.md5}): replace it.")
    raw = gzip.decompress(packed)
    magic, count = np.frombuffer(raw, ">i4", 2)
    if magic != file.magic:
        raise DatasetError(f"{path} has idx magic number {magic}, not {file.magic}.")
    dimensions = magic % 256
    shape = np.frombuffer(raw, ">i4", dimensions, offset=4)
    assert shape[0] == count
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
