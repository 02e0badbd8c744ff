"""All Heidelberg Digits as spikes, the Free Spoken Digits, electrocardiograms: what is read, split and refused."""

import io
import os
import pathlib
import zipfile

import numpy as np
import pytest

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.electrocardiograms import STEPS, UNMARKED, WAVES, electrocardiograms, wave_accuracy
from stablespike.tasks.free_spoken_digits import SPEAKERS, free_spoken_digits
from stablespike.tasks.heidelberg_spikes import (
    TRAINING_SPEAKERS,
    VALIDATION_SPEAKERS,
    all_heidelberg_spikes,
    with_validation,
)
from stablespike.tasks.named_sets import NAMED_SETS, Places
from stablespike.tasks.recordings import gather, joined, select
from stablespike.tasks.sounds import DIGITS
from stablespike.tasks.speaker_splits import Split, leave_one_speaker_out, unseen
from stablespike.tasks.spike_files import write_recordings
from stablespike.tasks.spoken_digits import TEST_SPEAKERS, free_spoken_digits_as_spikes

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("h5py")
DATA = pathlib.Path(os.environ.get("STABLESPIKE_DATA", "none"))


def needs(file):
    return pytest.mark.skipif(not (DATA / file).exists(), reason=f"STABLESPIKE_DATA names no folder with {file}")


def of_speakers(speakers, *, channels=700, classes=DIGITS, unit=699):
    trains = [(np.array([0.25, 0.5]), np.array([0, unit]))] * len(speakers)
    return gather(trains, np.arange(len(speakers)) % 20, np.array(speakers), classes, channels)


@pytest.fixture
def heidelberg(tmp_path):
    """A folder of two archives with these recordings."""

    def write(train, test):
        for side, one in (("train", train), ("test", test)):
            write_recordings(tmp_path / f"shd_{side}.h5", one)
            with zipfile.ZipFile(tmp_path / f"shd_{side}.h5.zip", "w", zipfile.ZIP_LZMA) as archive:
                archive.write(tmp_path / f"shd_{side}.h5", f"shd_{side}.h5")
        return tmp_path

    return write


def test_the_two_sides_are_read_and_validation_speakers_held_out(heidelberg):
    split = all_heidelberg_spikes(heidelberg(of_speakers(TRAINING_SPEAKERS), of_speakers(TEST_SPEAKERS)))
    train, validation, test = with_validation(split)
    assert tuple(validation.speakers) == VALIDATION_SPEAKERS
    assert sorted([*train.speakers, *validation.speakers]) == list(TRAINING_SPEAKERS)
    assert tuple(test.speakers) == TEST_SPEAKERS


def test_validation_speakers_are_those_of_the_draw_that_is_written_down():
    drawn = np.random.default_rng(0).permutation(TRAINING_SPEAKERS)[:2]
    assert tuple(sorted(drawn)) == VALIDATION_SPEAKERS
    assert all(f" {one} " in with_validation.__doc__ for one in VALIDATION_SPEAKERS)


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (of_speakers([0, 4]), of_speakers([5]), r"shd_train.* \(speakers 4 belong to the other side\)"),
        (of_speakers([0]), of_speakers([4, 6]), r"shd_test.* \(speakers 6 belong to the other side\)"),
        (of_speakers([0], channels=70, unit=0), of_speakers([4]), "it has 70 channels and 20 classes, not 700 and the"),
        (of_speakers([0], classes=tuple("abcdefghijklmnopqrst")), of_speakers([4]), "and the twenty digits"),
    ],
)
def test_other_sides_of_the_heidelberg_digits_are_named(train, test, sentence, heidelberg):
    with pytest.raises(DatasetError, match=sentence):
        all_heidelberg_spikes(heidelberg(train, test))


def test_units_beyond_the_channels_of_the_heidelberg_digits_are_named(heidelberg):
    import h5py

    folder = heidelberg(of_speakers([0]), of_speakers([4]))
    with h5py.File(folder / "shd_train.h5", "a") as file:
        file["spikes/units"][0] = np.array([0, 700])
    with zipfile.ZipFile(folder / "shd_train.h5.zip", "w") as archive:
        archive.write(folder / "shd_train.h5", "shd_train.h5")
    with pytest.raises(DatasetError, match="has spikes in channels beyond its 700"):
        all_heidelberg_spikes(folder)


def test_parts_are_joined_and_speakers_left_out_one_by_one():
    first, second = of_speakers([0, 1]), of_speakers([1, 2, 2])
    whole = joined(first, second)
    assert whole.speakers.tolist() == [0, 1, 1, 2, 2]
    for field in ("times", "channels", "offsets", "labels"):
        assert np.array_equal(getattr(select(whole, np.arange(2, 5)), field), getattr(second, field))
    folds = dict(leave_one_speaker_out(whole))
    assert list(folds) == [0, 1, 2]
    for speaker, split in folds.items():
        assert set(unseen(split).test.speakers) == {speaker}
        assert len(split.train) + len(split.test) == 5
    with pytest.raises(ValueError, match="2 kinds of classes, channels and speakers can't be joined"):
        joined(first, of_speakers([0], channels=800))
    with pytest.raises(ValueError, match="Speakers 1 are in the training set and in the test set"):
        unseen(Split(first, second))


def free_digits(path, names):
    content = io.BytesIO()
    soundfile.write(content, 0.3 * np.sin(np.arange(800) / 3), 8_000, format="WAV")
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"recordings/{name}.wav", content.getvalue())
    return path


def test_free_spoken_digits_are_split_as_by_their_authors(tmp_path):
    path = free_digits(tmp_path / "fsdd.zip", ["3_theo_4", "3_theo_5", "0_lucas_10", "9_george_0"])
    train, test = free_spoken_digits(path)
    assert [(one.source, one.label, SPEAKERS[one.speaker]) for one in train] == [
        ("0_lucas_10", 0, "lucas"),
        ("3_theo_5", 3, "theo"),
    ]
    assert [one.source for one in test] == ["3_theo_4", "9_george_0"]
    with pytest.warns(UserWarning, match="1 sounds were resampled from 8000 Hz|2 sounds were resampled from 8000 Hz"):
        split = free_spoken_digits_as_spikes(tmp_path, path, channels=3)
    assert split.test.labels.tolist() == [3, 9]
    assert split.train.classes == DIGITS[:10]
    assert [speaker for speaker, _ in leave_one_speaker_out(joined(*split))] == [0, 2, 4]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["3_nobody_4"], "3_nobody_4.wav in .* is not named like a free spoken digit"),
        (["10_theo_4"], "is not named like a free spoken digit"),
        (["3_theo_4"], "holds recordings of one side only"),
        ([], "holds no WAV files: it is not the archive of the free spoken digits"),
    ],
)
def test_other_archives_are_not_free_spoken_digits(names, sentence, tmp_path):
    with pytest.raises(DatasetError, match=sentence):
        free_spoken_digits(free_digits(tmp_path / "fsdd.zip", names))


@pytest.fixture
def hearts(tmp_path):
    """A file of two and one electrocardiograms, with changes."""

    def write(**changes):
        events, labels = np.zeros((2, STEPS, 4), np.int8), np.full((2, STEPS), 255, np.uint8)
        events[0, 10, 1] = events[0, 500, 3] = 1
        events[1, -1, 0] = -1
        labels[:, 100:103] = 0, 1, 5
        arrays = {"train_events": events, "train_labels": labels, "test_events": events[:1], "test_labels": labels[:1]}
        np.savez(tmp_path / "ecg.npz", **(arrays | changes))
        return tmp_path / "ecg.npz"

    return write


def test_electrocardiograms_are_events_with_a_wave_a_step(hearts):
    train, test = electrocardiograms(hearts())
    assert train.recordings.channels.tolist() == [1, 3, 4]
    np.testing.assert_allclose(train.recordings.times, [10 / 250, 2.0, 1300 / 250], rtol=1e-6)
    assert train.waves[0, 99:104].tolist() == [UNMARKED, 0, 1, 5, UNMARKED]
    assert len(test.recordings) == 1
    assert len(WAVES) == 6


def test_both_accuracies_counted_by_hand(hearts):
    waves = electrocardiograms(hearts()).test.waves
    named = np.zeros_like(waves)
    assert wave_accuracy(named, waves) == (1 / 3, 1 - 2 / STEPS)  # all that is not marked counts as rightly named
    assert wave_accuracy(waves, waves) == (1.0, 3 / STEPS)
    with pytest.raises(ValueError, match=r"a name for every step \[1, 1301\], not names \[1, 1300\]"):
        wave_accuracy(named[:, :-1], waves)
    with pytest.raises(ValueError, match="No step is marked"):
        wave_accuracy(named, np.full_like(waves, UNMARKED))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_events": np.zeros((2, 1300, 4), np.int8)}, r"\[trials, 1301, 4\], not int8 \[2, 1300, 4\]"),
        ({"test_events": np.zeros((0, STEPS, 4), np.int8)}, "it holds no trials"),
        ({"train_events": np.full((2, STEPS, 4), 2, np.int8)}, "events must be -1, 0 or 1"),
        ({"train_events": np.zeros((2, STEPS, 4))}, "must be whole numbers"),
        ({"test_labels": np.zeros((1, 1300), np.uint8)}, r"labels must be uint8 \[1, 1301\]"),
        ({"test_labels": np.full((1, STEPS), 6, np.uint8)}, "labels must be 0 to 5, or 255 for none"),
        ({"test_labels": np.array([{}])}, "damaged or not the file of electrocardiograms"),
    ],
)
def test_other_files_are_no_electrocardiograms(changes, sentence, hearts):
    with pytest.raises(DatasetError, match=sentence):
        electrocardiograms(hearts(**changes))
    with pytest.raises(DatasetError, match=r"put ecg_qtdb\.npz at"):
        electrocardiograms("none.npz")


@needs("hd_spikes_full")
@pytest.mark.slow
def test_all_heidelberg_digits_are_there():
    split = NAMED_SETS["heidelberg-spikes-full"](Places(DATA, "none"))
    assert [len(one) for one in split] == [8580, 1840]
    assert sum(one.times.size for one in split) == 59_994_997
    assert [len(one) for one in with_validation(split)] == [7280, 1300, 1840]


@needs("ecg_qtdb.npz")
def test_the_electrocardiograms_are_those_described():
    train, test = electrocardiograms(DATA / "ecg_qtdb.npz")
    assert [one.recordings.times.size for one in (train, test)] == [249_390, 58_038]
    for one, unmarked, last in ((train, 0.08, 618), (test, 0.10, 141)):
        assert (one.waves == UNMARKED).mean() == pytest.approx(unmarked, abs=0.005)
        assert (one.recordings.channels >= 4).sum() == last
        named = np.where(one.waves == UNMARKED, 0, one.waves)
        assert wave_accuracy(named, one.waves) == (1.0, 1.0)


@needs("fsdd.zip")
def test_the_free_spoken_digits_are_those_described():
    train, test = free_spoken_digits(DATA / "fsdd.zip")
    for sounds, each in ((train, 45), (test, 5)):
        cells = np.bincount([10 * sound.speaker + sound.label for sound in sounds])
        assert cells.tolist() == [each] * 60
    assert test[0].read().changes == "resampled from 8000 Hz"
