"""Image codes, N-MNIST and Braille letters: small closed forms, and the real files where they are at hand."""

import gzip
import hashlib
import os
import pathlib
import zipfile

import numpy as np
import pytest

from stablespike.tasks.braille import braille, crossings
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.event_cameras import nmnist, nmnist_events
from stablespike.tasks.handwritten_digits import small_digits
from stablespike.tasks.image_codes import (
    burst_code,
    coded,
    latency_code,
    threshold_crossing_code,
)
from stablespike.tasks.image_files import (
    FASHION_MNIST,
    MNIST,
    LabelledImages,
    idx_array,
    idx_images,
    small_digit_images,
)

needs_data = pytest.mark.skipif("STABLESPIKE_DATA" not in os.environ, reason="STABLESPIKE_DATA names no folder of data")
IMAGE, LABEL = np.array([[0, 4, 16, 8]]), np.array([0])


def test_latencies_of_grey_values():
    one = latency_code(IMAGE, LABEL, ("a",), largest=16, latest=0.1)
    assert one.channels.tolist() == [2, 3, 1]
    np.testing.assert_allclose(one.times, [0, 0.05, 0.075])


def test_bursts_of_grey_values():
    one = burst_code(IMAGE, LABEL, ("a",), largest=16, most=4, interval=0.01)
    assert np.bincount(one.channels, minlength=4).tolist() == [0, 1, 4, 2]
    np.testing.assert_allclose(one.times[one.channels == 2], [0, 0.01, 0.02, 0.03])


def test_thresholds_are_crossed_up_and_down():
    one = threshold_crossing_code(IMAGE, LABEL, ("a",), largest=16, thresholds=3, interval=0.001)
    # thresholds 4, 8, 12: none at pixel 1, all up at pixel 2, 8 and 12 down at pixel 3
    np.testing.assert_allclose(one.times, [0.002] * 3 + [0.003] * 2)
    assert one.channels.tolist() == [0, 1, 2, 4, 5]
    assert one.channel_count == 6


@pytest.mark.parametrize("grey", [-1.0, np.nan, 17.0])
def test_pixels_that_are_not_grey_are_refused(grey):
    image = np.array([[0.0, grey]])
    codes = (
        lambda: latency_code(image, LABEL, ("a",), largest=16, latest=0.1),
        lambda: burst_code(image, LABEL, ("a",), largest=16, most=4, interval=0.01),
        lambda: threshold_crossing_code(image, LABEL, ("a",), largest=16, thresholds=3, interval=0.001),
    )
    for code in codes:
        with pytest.raises(ValueError, match=r"Pixels must be from 0 to 16, not \["):
            code()


def test_small_digits_keep_their_split():
    split = coded(latency_code, small_digit_images(), largest=16, latest=0.1)
    assert np.array_equal(split.test.labels, small_digits(2.0).test_labels)
    assert split.train.counts.sum() == small_digits(2.0).train_active.sum()


def packed(shape, values):
    """A gzipped idx file of bytes."""
    magic = 2048 + len(shape)
    return gzip.compress(np.array([magic, *shape], ">i4").tobytes() + np.asarray(values, np.uint8).tobytes())


def test_fashion_mnist_is_read_from_files_of_the_same_form(tmp_path, monkeypatch):
    contents = [packed((2, 28, 28), np.arange(1568) % 256), packed((2,), [9, 1])]
    contents += [packed((1, 28, 28), np.zeros(784)), packed((1,), [4])]
    files = []
    for file, content in zip(FASHION_MNIST, contents, strict=True):
        (tmp_path / file.name).write_bytes(content)
        files.append(file._replace(md5=hashlib.md5(content).hexdigest()))
    images = idx_images(tmp_path, tuple(files), "Fashion-MNIST")
    assert images.train.shape == (2, 784)
    assert images.train[1, 5] == (784 + 5) % 256
    assert images.labels.tolist() == [9, 1]
    assert images.test_labels.tolist() == [4]
    with pytest.raises(DatasetError, match="is not Fashion-MNIST's original file"):
        idx_images(tmp_path, FASHION_MNIST, "Fashion-MNIST")
    with pytest.raises(DatasetError, match=r"Fashion-MNIST's file train-images-idx3-ubyte\.gz is missing"):
        idx_images(tmp_path / "elsewhere", FASHION_MNIST, "Fashion-MNIST")


def test_damaged_idx_files_are_named():
    with pytest.raises(DatasetError, match="here has idx magic number 2049, not 2051"):
        idx_array(packed((2,), [9, 1]), 2051, "here")
    for content in (packed((2,), [9, 1])[:-9], packed((2,), [9]), b"none"):
        with pytest.raises(DatasetError, match="here is damaged"):
            idx_array(content, 2049, "here")


def test_an_event_is_five_bytes():
    times, channels = nmnist_events(np.array([3, 2, 0x80 | 1, 0, 5, 33, 33, 0, 0, 1], np.uint8))
    np.testing.assert_allclose(times, [0.065541, 1e-6])
    assert channels.tolist() == [34 * 34 + 2 * 34 + 3, 34 * 34 - 1]


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "some.zip"
    with pytest.raises(DatasetError, match=r"N-MNIST is missing: put its zip archive at"):
        nmnist(path)
    with pytest.raises(DatasetError, match="is no whole zip archive"):
        nmnist(tmp_path)
    wrong = ((bytes(7), "no whole number"), (b"", "or of none"), (b"\x22" * 5, "lies beside the 34 x 34 pixels"))
    for content, sentence in wrong:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("Test/7/00001.bin", content)
        with pytest.raises(DatasetError, match=sentence):
            nmnist(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Test/dog/00001.bin", bytes(5))
    with pytest.raises(DatasetError, match="is not N-MNIST"):
        nmnist(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Test/7/00001.bin", bytes(500))
    content = path.read_bytes()
    path.write_bytes(content[:46] + b"\xff" * 4 + content[50:])  # behind the name: a broken stream
    with pytest.raises(DatasetError, match=r"Test/7/00001\.bin in .* is damaged"):
        nmnist(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DatasetError, match="is no whole zip archive"):
        nmnist(path)
    with pytest.raises(DatasetError, match="is damaged or not the file of Braille letters"):
        braille(path)


def test_crossings_count_every_step_of_a_taxel():
    values = np.zeros((4, 12))
    values[:, 0], values[2:, 5] = [0, 2, 2, 1], 1
    times, channels = crossings(values, 1.0, 40.0)
    assert channels.tolist() == [0, 0, 5, 12]
    np.testing.assert_allclose(times, [0.25 / 40, 0.75 / 40, 1.5 / 40, 2.5 / 40])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"taxel": np.zeros((6, 5))}, r"taxel must be numbers \[frames, 12\], not float64 \[6, 5\]"),
        ({"taxel": np.full((6, 12), np.nan)}, "not finite"),
        ({"offsets": [6, 3, 0]}, "ascend from 0 to the 6 frames"),
        ({"offsets": [0, 3, 3, 6]}, "ascend from 0 to the 6 frames"),
        ({"offsets": [0, 3]}, "ascend from 0 to the 6 frames"),
        ({"label": [0, 2]}, "contradicts itself: Label 2 of a recording is none of the 2 classes"),
    ],
)
def test_letters_that_contradict_themselves_are_named(change, sentence, tmp_path):
    file, whole = tmp_path / "braille.npz", {"taxel": np.zeros((6, 12)), "offsets": [0, 3, 6], "label": [0, 1]}
    np.savez(file, letters=["A", "B"], **whole)
    assert len(braille(file)) == 2
    with pytest.raises(ValueError, match="step must be positive"):
        braille(file, step=0.0)
    np.savez(file, letters=["A", "B"], **(whole | change))
    with pytest.raises(DatasetError, match=sentence):
        braille(file)
    np.save(tmp_path / "braille.npy", np.zeros((6, 12)))
    with pytest.raises(DatasetError, match="not the file of Braille letters"):
        braille(tmp_path / "braille.npy")


@needs_data
def test_real_files_hold_what_they_should():
    folder = pathlib.Path(os.environ["STABLESPIKE_DATA"])
    test = nmnist(folder / "nmnist_small_test.zip")
    assert len(test) == 100
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.counts[0] == 16650 // 5
    assert test.times.max() < 0.4
    letters = braille(folder / "braille_taxel.npz")
    assert np.bincount(letters.labels).tolist() == [50] * 27
    images = idx_images(folder / "mnist", MNIST, "MNIST")
    assert images.train.shape == (60000, 784)
    first = LabelledImages(*(part[:3] for part in images))
    few = coded(threshold_crossing_code, first, largest=255, thresholds=49, interval=0.001)
    assert few.train.labels.tolist() == [5, 0, 4]
