"""Our cochlea beside published spikes: the same recording, heard with the same key, has the same spikes."""

import io
import zipfile

import jax
import numpy as np
import pytest
from stablespike.tasks.cochlea.membrane import membrane_filter
from stablespike.tasks.cochlea.model import Cochlea, hear

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import gather
from stablespike.tasks.sounds import heidelberg_digits
from stablespike.tasks.spike_files import write_recordings
from studies.sound_to_spikes import compared_counts, conversion_speed

soundfile = pytest.importorskip("soundfile")
NAME = "lang-english_speaker-00_trial-0_digit-3"


@pytest.fixture
def files(tmp_path):
    """An archive of one recording, its spikes as if published, and the cochlea that made them."""
    sound = io.BytesIO()
    soundfile.write(sound, 0.5 * np.sin(np.arange(2400) / 8), 48_000, format="FLAC")
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        archive.writestr(f"{NAME}.flac", sound.getvalue())
    cochlea = Cochlea(membrane_filter(10, 2400))
    samples = heidelberg_digits(tmp_path / "sounds.zip")[0].read().samples
    train = hear(cochlea, samples, jax.random.fold_in(jax.random.key(0), 0))
    made = gather([train], np.array([3]), np.array([0]), tuple("0123456789"), 10)
    write_recordings(tmp_path / "made.h5", made, sources=[NAME])
    with zipfile.ZipFile(tmp_path / "made.h5.zip", "w") as archive:
        archive.write(tmp_path / "made.h5", "made.h5")
    return tmp_path / "sounds.zip", tmp_path / "made.h5.zip", cochlea, train


def test_the_same_recording_has_the_same_spikes_in_every_band(files):
    archive, made, cochlea, train = files
    found = compared_counts(cochlea, archive, made, 1)
    assert np.array_equal(found.here, found.published)
    assert found.here.sum() == train.times.size > 0


def test_what_can_not_be_compared_is_said(files, tmp_path):
    archive, made, cochlea, _ = files
    with pytest.raises(ValueError, match=r"2 recordings can't be compared: .* holds 1"):
        compared_counts(cochlea, archive, made, 2)
    with pytest.raises(ValueError, match="20 channels can't be compared with 10"):
        compared_counts(Cochlea(membrane_filter(20, 2400)), archive, made, 1)
    other = tmp_path / "others.zip"
    other.write_bytes(archive.read_bytes().replace(b"digit-3", b"digit-4"))
    with pytest.raises(DatasetError, match=f"others.zip does not hold {NAME}"):
        compared_counts(cochlea, other, made, 1)


def test_a_conversion_is_timed_after_a_first_call():
    calls = []
    found = conversion_speed(lambda some: calls.append(len(some)), [1, 2], repeats=3)
    assert calls == [2] * 4
    assert 0 <= found.wall < 1
    with pytest.raises(ValueError, match="at least one sound"):
        conversion_speed(len, [])
