"""Handwritten digits: the bundled set, and MNIST's original files where they are at hand."""

import os
import pathlib

import numpy as np
import pytest

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.handwritten_digits import mnist, small_digits
from stablespike.tasks.volleys import binary_volley, grey_value_volleys


def test_grey_values_become_latencies_brightest_first():
    times, active = grey_value_volleys(np.array([[0, 1, 16, 8]]), levels=16, latest=1.0)
    assert times[0] == 0.0
    assert times[-1] == 15 / 16
    assert np.all(np.diff(times) > 0)
    assert active.shape == (1, 16, 4)
    assert active[0].sum(0).tolist() == [0, 1, 1, 1]
    assert times[active[0, :, 2]].tolist() == [0.0]
    assert times[active[0, :, 3]].tolist() == [0.5]


def test_binary_volley_keeps_the_bright_half():
    times, active = binary_volley(np.array([[0, 127, 128, 255]]), 127.5, 0.02)
    assert times.tolist() == [0.02]
    assert active.tolist() == [[[False, False, True, True]]]


def test_small_digits_split_is_fixed_and_disjoint():
    data, again = small_digits(2.0), small_digits(2.0)
    assert data.train_active.shape == (1440, 16, 64)
    assert data.test_active.shape == (357, 16, 64)
    assert np.array_equal(data.test_labels, again.test_labels)
    train, test = data.train_active.reshape(1440, -1), data.test_active.reshape(357, -1)
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}
    assert data.times.max() < 1.0
    assert np.all(np.bincount(data.test_labels) > 20)


def test_missing_and_wrong_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz is missing: put the original file"):
        mnist(tmp_path, 2.0)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not it")
    with pytest.raises(DatasetError, match="is not MNIST's original file"):
        mnist(tmp_path, 2.0)


@pytest.mark.skipif("STABLESPIKE_DATA" not in os.environ, reason="STABLESPIKE_DATA names no folder with MNIST's files")
def test_mnist_original_files():
    data = mnist(pathlib.Path(os.environ["STABLESPIKE_DATA"]) / "mnist", 2.0)
    assert data.train_active.shape == (60000, 1, 784)
    assert data.test_active.shape == (10000, 1, 784)
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_active.mean() == pytest.approx(0.1334, abs=0.003)
    assert data.times[0] == pytest.approx(0.0201, abs=1e-4)
