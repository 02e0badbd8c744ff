"""Spikes that are made have a place that changes with the code, and folders of sounds become files that are read."""

import os
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.workflow.miniature import snakemake

from workflow import spikes
from workflow.data import DATASETS
from workflow.faults import Fault
from workflow.plan import LONG_AGO
from workflow.spikes import MADE, cache_folder, convert, prepare, write_receipt

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    cache_folder.cache_clear()
    yield
    cache_folder.cache_clear()


def test_the_place_is_that_of_the_code(monkeypatch):
    first = cache_folder()
    cache_folder.cache_clear()
    assert cache_folder() == first
    cache_folder.cache_clear()
    monkeypatch.setattr(spikes, "module_hashes", lambda name: {name: "another"})
    assert cache_folder() != first


def test_the_place_does_not_change_with_what_makes_no_spikes():
    modules = {name.rpartition(".")[2] for name in spikes.module_hashes(spikes.SETS)}
    assert {"cochlea_native", "speech", "spike_files"} <= modules
    assert not {"yin_yang", "named_sets", "training"} & modules


def test_names_are_those_of_the_package():
    from stablespike.tasks.named_sets import FREE_DIGITS_ARCHIVE, HEIDELBERG_ARCHIVE, NAMED_SETS

    assert set(MADE) <= set(NAMED_SETS)
    assert set(NAMED_SETS) - set(MADE) - set(DATASETS) == {"heidelberg-spikes"}
    assert list(DATASETS["heidelberg-digits"].files) == [HEIDELBERG_ARCHIVE]
    assert list(DATASETS["free-spoken-digits"].files) == [FREE_DIGITS_ARCHIVE]


def test_a_missing_archive_is_one_sentence(tmp_path):
    with pytest.raises(Fault, match=r"put the archive of FLAC files at .*hd_audio_subset\.zip"):
        prepare("heidelberg-digits", tmp_path)
    with pytest.raises(Fault, match=r"hd_audio_subset\.zip is missing: put it there \(2640 FLAC files"):
        DATASETS["heidelberg-digits"].ensure(tmp_path)


def test_what_can_not_be_written_is_one_sentence(tmp_path):
    with pytest.raises(Fault, match=r"The receipt .* can't be written \(.*Is a directory.*\): make room for it"):
        write_receipt(tmp_path, {"train": 1})
    (tmp_path / "mine/low/ann").mkdir(parents=True)
    with wave.open(str(tmp_path / "mine/low/ann/1.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 2400, "NONE", ""))
        file.writeframes((20_000 * np.sin(np.arange(2400))).astype("<i2").tobytes())
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match=r"The spikes of .*mine can't be written to .*mine\.h5"):
        convert(tmp_path / "mine", tmp_path / "file" / "mine.h5", channels=8)


def test_a_folder_of_sounds_becomes_a_file_of_spikes(tmp_path):
    pytest.importorskip("soundfile")
    pytest.importorskip("h5py")
    from stablespike.tasks.spike_files import read_recordings

    for name, tone in (("high/ann/1", 3000), ("low/ann/1", 300), ("low/bob/1", 400)):
        path = tmp_path / "mine" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = (20_000 * np.sin(2 * np.pi * tone * np.arange(2400) / 48_000)).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 48_000, samples.size, "NONE", ""))
            file.writeframes(samples.tobytes())
    convert(tmp_path / "mine", tmp_path / "mine.h5", channels=8)
    found = read_recordings(tmp_path / "mine.h5")
    assert found.classes == ("high", "low")
    assert found.labels.tolist() == [0, 1, 1]
    assert found.channel_count == 8
    with pytest.raises(Fault, match="holds no sound files in folders named by their class"):
        convert(tmp_path / "none", tmp_path / "none.h5", channels=8)
    with pytest.raises(Fault, match="A cochlea of 0 channels is none"):
        convert(tmp_path / "mine", tmp_path / "mine-0.h5", channels=0)


def test_a_sound_further_down_is_converted_too(miniature):
    folder, target = miniature / "data/sounds/mine/low/ann", Path(".cache/sounds/mine-8-channels.h5")
    folder.mkdir(parents=True)
    (folder / "1.wav").touch()
    for path in (folder / "1.wav", *list(folder.parents)[:3], folder):
        os.utime(path, (LONG_AGO, LONG_AGO))
    target.parent.mkdir(parents=True)
    target.touch()
    assert "mine: sounds to spikes" not in snakemake(miniature, "-n", str(target)).stdout
    (folder / "2.wav").touch()
    assert "mine: sounds to spikes" in snakemake(miniature, "-n", str(target)).stdout
