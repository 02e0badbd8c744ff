"""Images with labels from files: the four idx files of MNIST and Fashion-MNIST, and scikit-learn's bundled digits."""

import gzip
import hashlib
import pathlib
import zlib
from typing import NamedTuple

import numpy as np
import sklearn.datasets
from jaxtyping import Shaped

from stablespike.tasks.dataset_error import DatasetError


class IdxFile(NamedTuple):
    """Name, md5 checksum and idx magic number of one of the original files."""

    name: str
    md5: str
    magic: int


def _four(*checksums: str) -> tuple[IdxFile, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    magic = (2051, 2049, 2051, 2049)
    return tuple(IdxFile(f"{name}-ubyte.gz", md5, m) for name, md5, m in zip(names, checksums, magic, strict=True))


MNIST = _four(  # LeCun et al. 1998
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_MNIST = _four(  # Xiao et al. 2017
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)


class LabelledImages(NamedTuple):
    """Grey values `[trials, pixels]`, 0 for black, and labels `[trials]`, for training and for the test."""

    train: Shaped[np.ndarray, "trials pixels"]
    labels: Shaped[np.ndarray, " trials"]
    test: Shaped[np.ndarray, "others pixels"]
    test_labels: Shaped[np.ndarray, " others"]


def idx_images(folder: str | pathlib.Path, files: tuple[IdxFile, ...], name: str) -> LabelledImages:
    """Grey values 0 ... 255 of 28 x 28 pixels and labels from the four files (`MNIST`, `FASHION_MNIST`), each checked.

    `name` is what the set is called in the sentence of a DatasetError.
    """
    train, labels, test, test_labels = (read_idx(pathlib.Path(folder), file, name) for file in files)
    return LabelledImages(
        train.reshape(len(train), -1), labels.astype(int), test.reshape(len(test), -1), test_labels.astype(int)
    )


def first_images(images: LabelledImages, count: int) -> LabelledImages:
    """The first `count` images for training and for the test each."""
    return LabelledImages(*(part[:count] for part in images))


def read_idx(folder: pathlib.Path, file: IdxFile, name: str) -> np.ndarray:
    """The array in a gzipped idx file; DatasetError if the file is missing or is not the original."""
    path = folder / file.name
    if not path.exists():
        raise DatasetError(f"{name}'s file {file.name} is missing: put the original file into the folder {folder}.")
    packed = path.read_bytes()
    if hashlib.md5(packed, usedforsecurity=False).hexdigest() != file.md5:
        raise DatasetError(f"{path} is not {name}'s original file (md5 is not {file.md5}): replace it.")
    return idx_array(packed, file.magic, str(path))


def idx_array(packed: bytes, magic: int, source: str) -> np.ndarray:
    """The array in the bytes of a gzipped idx file with this magic number; DatasetError names the `source`."""
    try:
        raw = gzip.decompress(packed)
        found = int(np.frombuffer(raw, ">i4", 1)[0])
        if found != magic:
            raise DatasetError(f"{source} has idx magic number {found}, not {magic}.")
        shape = np.frombuffer(raw, ">i4", magic % 256, offset=4).tolist()
        return np.frombuffer(raw, np.uint8, offset=4 * (1 + len(shape))).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(f"{source} is damaged ({error}): replace it.") from error


def small_digit_images(*, test_trials: int = 357, split_seed: int = 0) -> LabelledImages:
    """The 1797 digits of 8 x 8 pixels bundled with scikit-learn, grey values 0 ... 16; the split is drawn once."""
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(split_seed).permutation(labels.size)
    test, train = order[:test_trials], order[test_trials:]
    return LabelledImages(images[train], labels[train], images[test], labels[test])
