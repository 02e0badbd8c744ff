"""tonic reads small files of each published form, written here, and our readers agree with it; without any network."""

import gzip
import zipfile

import numpy as np
import pytest

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.event_cameras import SIDE, nmnist
from stablespike.tasks.recordings import gather
from stablespike.tasks.spike_files import write_recordings
from stablespike.tasks.tonic_datasets import (
    dvs_gesture,
    nmnist_through_tonic,
    sequential_mnist,
    spiking_heidelberg_digits,
    spiking_speech_commands,
)

datasets = pytest.importorskip("tonic.datasets")
EVENTS = np.array([3, 2, 0x80 | 1, 0, 5, 33, 33, 0, 0, 1], np.uint8)


def recordings(trials):
    generator = np.random.default_rng(trials)
    trains = [(generator.uniform(0, 1, 5), generator.integers(0, 700, 5)) for _ in range(trials)]
    return gather(trains, np.arange(trials) % 2, np.arange(trials), ("no", "yes"), 700)


def written(folder, name, trials):
    """A file of the SHD layout with something beside it that has the archive's name."""
    write_recordings(folder / f"{name}.h5", recordings(trials))
    (folder / f"{name}.h5.zip").write_bytes(b"any")


def test_shd_and_ssc_are_read_whole(tmp_path):
    for name, trials in (("shd_train", 4), ("shd_test", 2)):
        written(tmp_path / "SHD", name, trials)
    for name, trials in (("ssc_train", 3), ("ssc_valid", 2), ("ssc_test", 1)):
        written(tmp_path / "SSC", name, trials)
    split = spiking_heidelberg_digits(tmp_path, check=False)
    assert [len(part) for part in split] == [4, 2]
    assert np.array_equal(split.train.channels, recordings(4).channels)
    assert split.train.speakers.tolist() == [0, 1, 2, 3]
    assert [len(part) for part in spiking_speech_commands(tmp_path, check=False)] == [3, 2, 1]


def test_a_file_of_the_right_name_only_is_refused(tmp_path):
    for name in ("shd_train", "shd_test"):
        written(tmp_path / "SHD", name, 2)
    with pytest.raises(DatasetError, match=r"shd_train\.h5\.zip is not the published archive \(md5 is not f3252a"):
        spiking_heidelberg_digits(tmp_path)


@pytest.mark.parametrize("read", [spiking_heidelberg_digits, spiking_speech_commands, dvs_gesture, sequential_mnist])
def test_what_is_missing_is_named_and_not_downloaded(read, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(DatasetError, match=r"is not whole in .* is missing\): put the files named in tonic\.datasets"):
        read(tmp_path)


def test_nmnist_by_tonic_is_nmnist_by_us(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.NMNIST, "_check_exists", lambda self: True)  # it wants 10 000 files
    for side in ("Train", "Test"):
        with zipfile.ZipFile(tmp_path / f"{side}.zip", "w") as archive:
            for label, index in ((7, 1), (3, 2)):
                place = tmp_path / "NMNIST" / side / str(label) / f"0000{index}.bin"
                place.parent.mkdir(parents=True)
                place.write_bytes(EVENTS.tobytes())
                archive.write(place, f"{side}/{label}/{place.name}")
    split = nmnist_through_tonic(tmp_path, check=False)
    ours = nmnist(tmp_path / "Train.zip")
    assert split.train.labels.tolist() == [3, 7]  # by folder; ours by index
    assert ours.labels.tolist() == [7, 3]
    assert split.train.channel_count == ours.channel_count == 2 * SIDE**2
    assert np.array_equal(split.train.channels, ours.channels)
    np.testing.assert_allclose(split.train.times, ours.times, rtol=1e-12)


def test_gestures_keep_their_users(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.DVSGesture, "_check_exists", lambda self: True)  # it wants 100 files
    for side in ("Train", "Test"):
        place = tmp_path / "DVSGesture" / f"ibmGesture{side}" / "user07_led"
        place.mkdir(parents=True)
        np.save(place / "4.npy", np.array([[1, 2, 1, 5], [127, 0, 0, 9]]))  # x, y, polarity, ms
    split = dvs_gesture(tmp_path, check=False)
    assert split.test.speakers.tolist() == [7]
    assert split.test.labels.tolist() == [4]
    np.testing.assert_allclose(split.test.times, [0.005, 0.009])
    assert split.test.channels.tolist() == [128 * 128 + 2 * 128 + 1, 127]


def test_sequential_mnist_has_spikes_where_grey_values_change(tmp_path, monkeypatch):
    folder = tmp_path / "smnist"
    folder.mkdir()
    image = np.zeros((28, 28), np.uint8)
    image[0, 3] = 255
    for side in ("train", "t10k"):
        for name, shape, content in (("images-idx3", (1, 28, 28), image), ("labels-idx1", (1,), [6])):
            raw = np.array([2048 + len(shape), *shape], ">i4").tobytes() + np.asarray(content, np.uint8).tobytes()
            (folder / f"{side}-{name}-ubyte").write_bytes(raw)
            (folder / f"{side}-{name}-ubyte.gz").write_bytes(gzip.compress(raw))
    monkeypatch.setattr(datasets.SMNIST, "_check_exists", lambda self: True)
    split = sequential_mnist(tmp_path, duplicate=False)
    assert split.train.labels.tolist() == [6]
    times = np.unique(split.train.times)
    np.testing.assert_allclose(times, [0.002, 0.003])  # up into pixel 3, 255 itself and down after it
    assert split.train.channel_count == 100
