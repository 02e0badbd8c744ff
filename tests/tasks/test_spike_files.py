"""Files of spikes: what is written is read back as exactly as promised, and what is odd is one sentence."""

import gzip
import re
import zipfile

import numpy as np
import pytest

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import gather
from stablespike.tasks.spike_files import read_recordings, write_recordings

h5py = pytest.importorskip("h5py")


def one_trial(times, *, channels=0, label=0, speaker=None, classes=("a",)):
    times = np.asarray(times, float)
    who = None if speaker is None else np.array([speaker])
    return gather([(times, np.full(times.size, channels))], np.array([label]), who, classes, channels + 1)


def there_and_back(recordings, path):
    write_recordings(path, recordings)
    return read_recordings(path)


@pytest.mark.parametrize(
    ("begin", "kind"),
    [(0.0, "float16"), (1.9, "float16"), (1.9999, "float32"), (60.0, "float32"), (70_000.0, "float64")],
)
def test_times_are_kept_to_a_millisecond(begin, kind, tmp_path):
    times = begin + 0.001 * np.arange(30)
    again = there_and_back(one_trial(times), tmp_path / "long.h5")
    assert np.abs(again.times - times).max() <= 0.5e-3
    with h5py.File(tmp_path / "long.h5") as file:
        assert h5py.check_vlen_dtype(file["spikes/times"].dtype) == kind


def test_times_that_no_type_tells_apart_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"A spike at 1e\+13 s can't be written to 0\.001 s"):
        write_recordings(tmp_path / "late.h5", one_trial([1e13]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [65_535, 65_536, 70_000])
def test_labels_channels_and_speakers_do_not_wrap(number, tmp_path):
    classes = tuple(map(str, range(number + 1)))
    whole = one_trial([0.1], channels=number, label=number, speaker=number, classes=classes)
    again = there_and_back(whole, tmp_path / "many.h5")
    assert (again.labels, again.channels, again.speakers) == (number, number, number)
    with h5py.File(tmp_path / "many.h5") as file:
        assert file["labels"].dtype == (np.uint16 if number < 65_536 else np.uint32)  # as published where it can be


def test_what_the_layout_has_no_room_for_is_refused(tmp_path):
    with pytest.raises(ValueError, match="room for speakers from 0 on only, not for -1"):
        write_recordings(tmp_path / "x.h5", one_trial([0.1], speaker=-1))
    with pytest.raises(ValueError, match=re.escape(r"class b'f\xfcnf' is no text in UTF-8: rename it")):
        write_recordings(tmp_path / "x.h5", one_trial([0.1], classes=("f\udcfcnf",)))
    assert not list(tmp_path.iterdir())


def test_archives_are_read_like_what_they_hold(tmp_path):
    path = tmp_path / "shd_train.h5"
    whole = there_and_back(one_trial([0.25, 0.5]), path)
    (tmp_path / "shd_train.h5.gz").write_bytes(gzip.compress(path.read_bytes()))
    with zipfile.ZipFile(tmp_path / "shd_train.h5.zip", "w") as archive:
        archive.write(path, path.name)
    for ending in (".gz", ".zip"):
        assert np.array_equal(read_recordings(tmp_path / f"shd_train.h5{ending}").times, whole.times)
    (tmp_path / "shd_train.h5.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(DatasetError, match=r"shd_train\.h5\.gz is damaged"):
        read_recordings(tmp_path / "shd_train.h5.gz")


@pytest.fixture
def odd(tmp_path):
    """A file of two trials in which some datasets are replaced, and removed where they are None."""

    def write(attributes=None, **changes):
        path = tmp_path / "odd.h5"
        trains = [(np.array([0.25, 0.5]), np.array([0, 1])), (np.array([0.75]), np.array([2]))]
        write_recordings(path, gather(trains, np.array([0, 1]), None, ("a", "b"), 3))
        with h5py.File(path, "a") as file:
            for name, content in changes.items():
                place = name.replace("__", "/")
                del file[place]
                if content is not None:
                    file[place] = content
            file.attrs.update(attributes or {})
        return path

    return write


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_heap_is_named_and_not_read_for_ever(packed, tmp_path):
    """One bit in the length of a train: the library of HDF5 then never came back."""
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
            rows[0], rows[1] = np.array([0.25, 0.5], kind), np.array([1], kind)
        file["labels"] = np.array([0, 1])
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL")
    last = start + 16
    while (index := int.from_bytes(content[last : last + 2], "little")) != 0:
        place, last = last, last + 16 + -(-int.from_bytes(content[last + 8 : last + 16], "little") // 8) * 8
    assert index == 0
    content[place + 8] ^= 16
    path.write_bytes(content)
    if packed:
        path = path.with_suffix(".h5.gz")
        path.write_bytes(gzip.compress(content))
    with pytest.raises(DatasetError, match="damaged"):
        read_recordings(path)


def test_more_rows_than_the_file_has_bytes_are_refused(odd, tmp_path):
    path = tmp_path / "rows.h5"
    with h5py.File(odd(), "r") as whole, h5py.File(path, "w") as file:
        for name in ("spikes/times", "spikes/units"):
            file.create_dataset(name, (10**7,), whole[name].dtype)
        file["labels"] = whole["labels"][:]
    with pytest.raises(DatasetError, match=r"spikes/times claims 10000000 rows, in a file of \d+ bytes"):
        read_recordings(path)


def test_labels_beyond_all_names_cost_no_memory(odd):
    with pytest.raises(DatasetError, match=r"labels go up to 1000000000 and extra/keys names no classes: number them"):
        read_recordings(odd(labels=np.array([0, 10**9]), extra__keys=None))
    assert read_recordings(odd(labels=np.array([0, 3]), extra__keys=None)).classes == ("0", "1", "2", "3")


def test_names_that_are_no_text_are_named(odd):
    with pytest.raises(DatasetError, match="contradicts itself: a name in extra/keys is no text in UTF-8"):
        read_recordings(odd(extra__keys=np.array([b"a", b"\xff"])))


@pytest.mark.parametrize("channels", [0, -3, 10**12, "seven", np.nan, [1, 2]])
def test_channels_that_are_none_are_named(channels, odd):
    with pytest.raises(DatasetError, match="channels must be a whole number from 1 to 2147483647, not"):
        read_recordings(odd({"channels": channels}))


def test_units_beyond_the_channels_are_named(odd):
    with pytest.raises(DatasetError, match="spikes in channels beyond its 2"):
        read_recordings(odd({"channels": 2}))


def test_times_out_of_order_are_sorted_with_their_channels(odd):
    path = odd()
    with h5py.File(path, "a") as file:
        file["spikes/times"][0], file["spikes/units"][0] = np.array([0.5, 0.25]), np.array([2, 1])
    assert [one.tolist() for one in read_recordings(path).trial(0)] == [[0.25, 0.5], [1, 2]]
