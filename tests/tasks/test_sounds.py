"""Sound files, the synthesiser and the way to recordings: changes are said, what is broken is named."""

import io
import os
import pathlib
import zipfile

import jax
import numpy as np
import pytest
from stablespike.tasks.cochlea.membrane import SAMPLING_RATE, membrane_filter
from stablespike.tasks.cochlea.model import Cochlea
from stablespike.tasks.cochlea.recordings import convert_folder, hear_all

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.sounds import LabelledSound, Sound, heidelberg_digits, labelled_folder, read_sound
from stablespike.tasks.speech import Utterance, family, speak, spoken, voices
from stablespike.tasks.spoken_digits import SyntheticDigits, heidelberg_digits_as_spikes, synthetic_digits

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("espeakng_loader")


def tone(rate, duration=0.05):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * duration)) / rate)


def packed(samples, rate=SAMPLING_RATE):
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="FLAC")
    return content.getvalue()


def test_other_rates_and_channels_are_changed_and_said(tmp_path):
    same, other = tmp_path / "same.wav", tmp_path / "other.wav"
    soundfile.write(same, tone(48_000), 48_000, subtype="DOUBLE")
    soundfile.write(other, np.stack([tone(16_000), np.zeros(800)], 1), 16_000, subtype="DOUBLE")
    sound, changed = read_sound(same), read_sound(other)
    assert sound.changes == ""
    assert changed.changes == "2 channels averaged, resampled from 16000 Hz"
    np.testing.assert_allclose(changed.samples[200:-200], sound.samples[200:-200] / 2, atol=3e-3)


def test_empty_silent_and_broken_files_are_named(tmp_path):
    for name, samples in (("empty", np.zeros(0)), ("silent", np.zeros(100))):
        soundfile.write(tmp_path / f"{name}.wav", samples, 48_000)
        with pytest.raises(DatasetError, match=rf"{name}\.wav is an? {name} recording"):
            read_sound(tmp_path / f"{name}.wav")
    (tmp_path / "broken.flac").write_bytes(b"fLaC and nothing else")
    with pytest.raises(DatasetError, match=r"broken\.flac can't be read as sound"):
        read_sound(tmp_path / "broken.flac")
    with pytest.raises(DatasetError, match=r"The sound file .*none\.wav is missing"):
        read_sound(tmp_path / "none.wav")


def test_sounds_that_only_seem_whole_are_named(tmp_path):
    file, rising = tmp_path / "some.wav", np.linspace(-0.5, 0.5, 1000)
    holed = np.where(np.arange(1000) == 5, np.nan, rising)
    cases = [
        ("channels cancel", np.stack([rising, -rising], 1)),
        ("silent", np.full(1000, 0.25)),
        ("not finite", holed),
        (r"a recording of 4\.2e-05 s, too short to be heard", rising[:2]),
    ]
    for sentence, samples in cases:
        soundfile.write(file, samples, 48_000, subtype="FLOAT")
        with pytest.raises(DatasetError, match=sentence):
            read_sound(file)
    soundfile.write(file, rising, 48_000)
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    with pytest.raises(DatasetError, match=f"cut off after 1000 of {len(whole)} bytes"):
        read_sound(file)
    file.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:])  # as written to a pipe, whose length nobody knew
    assert read_sound(file).samples.size == 1000


def test_heidelberg_digits_are_read_from_their_archive(tmp_path):
    path = tmp_path / "digits.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("audio/lang-german_speaker-04_trial-2_digit-7.flac", packed(tone(48_000)))
        archive.writestr("audio/lang-english_speaker-00_trial-0_digit-3.flac", b"no sound")
    english, german = heidelberg_digits(path)
    assert (german.label, german.speaker) == (17, 4)
    assert german.read().samples.size == 2400
    with pytest.raises(DatasetError, match=r"digit-3\.flac in .*digits\.zip can't be read as sound"):
        english.read()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("audio/lang-english_speaker-04_trial-0_digit-12.flac", packed(tone(48_000)))
    with pytest.raises(DatasetError, match=r"digit-12\.flac in .* is not named like a Heidelberg Digit"):
        heidelberg_digits(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match="is no whole zip archive"):
        heidelberg_digits(path)
    with pytest.raises(DatasetError, match="is no whole zip archive"):
        heidelberg_digits(tmp_path)
    with pytest.raises(DatasetError, match="put the archive of FLAC files at"):
        heidelberg_digits(tmp_path / "none.zip")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_inside_an_archive_is_named(compression, tmp_path):
    path, member = tmp_path / "digits.zip", "lang-german_speaker-04_trial-2_digit-7.flac"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(member, packed(tone(48_000)))
    content = path.read_bytes()
    begin = content.index(member.encode()) + len(member)
    path.write_bytes(content[:begin] + b"\xff" * 20 + content[begin + 20 :])
    with pytest.raises(DatasetError, match=r"digit-7\.flac in .*digits\.zip is damaged"):
        heidelberg_digits(path)[0].read()


def test_recordings_of_one_side_only_are_no_split(tmp_path):
    path = tmp_path / "digits.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lang-german_speaker-04_trial-2_digit-7.flac", packed(tone(48_000)))
    with pytest.raises(DatasetError, match=r"only recordings of the test speakers \(4, 5\)"):
        heidelberg_digits_as_spikes(tmp_path, path, channels=3)


def test_another_archive_makes_another_set_and_a_damaged_one_none(tmp_path):
    path, clip = tmp_path / "digits.zip", "lang-german_speaker-0{}_trial-0_digit-7.flac"

    def converted(last):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(clip.format(0), packed(tone(48_000)))
            archive.writestr(clip.format(4), last)
        return heidelberg_digits_as_spikes(tmp_path, path, channels=3).test

    first, second = converted(packed(tone(48_000))), converted(packed(tone(24_000, 0.1)))
    assert not np.array_equal(first.times, second.times)
    with (
        pytest.warns(UserWarning, match="1 sounds were left out"),
        pytest.raises(DatasetError, match=r"1 recordings can't be used, so no set is made .*speaker-04.* as sound"),
    ):
        converted(b"no sound")
    assert len(list(tmp_path.rglob("shd_test.h5"))) == 2


def test_a_folder_of_sounds_is_labelled_by_its_folders(tmp_path):
    for name in ("yes/anna/1.wav", "no/bert/1.wav", "no/2.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, tone(48_000), 48_000)
    sounds, classes = labelled_folder(tmp_path)
    assert classes == ("no", "yes")
    assert [(sound.label, sound.speaker) for sound in sounds] == [(0, 0), (0, 2), (1, 1)]
    with pytest.raises(DatasetError, match="holds no sound files"):
        labelled_folder(tmp_path / "yes" / "anna")
    for name in ("3.wav", "no/bert/old/4.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, tone(48_000), 48_000)
    with pytest.raises(DatasetError, match=r"Not in a folder .*/3\.wav, .*/old/4\.wav; move or remove them"):
        labelled_folder(tmp_path)


def test_a_class_without_a_usable_sound_is_named(tmp_path):
    for name, samples in (("no/1.wav", tone(48_000)), ("yes/1.wav", np.zeros(100))):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / name, samples, 48_000)
    with pytest.raises(DatasetError, match=r"None of the 1 sounds of class 'yes' can be used: .*1\.wav is a silent"):
        convert_folder(tmp_path, tmp_path / "mine.h5", channels=3)
    assert not (tmp_path / "mine.h5").exists()


def test_a_broken_sound_leaves_the_others_untouched():
    cochlea = Cochlea(membrane_filter(4, 2400))
    good = [LabelledSound(f"sound {k}", k, 0, lambda: Sound(tone(48_000), "")) for k in range(2)]
    broken = LabelledSound("broken", 1, 0, lambda: Sound(np.zeros(2400), ""))
    key = jax.random.key(0)
    whole = hear_all(cochlea, [good[0], good[0], good[1]], ("a", "b"), key)
    also = broken._replace(source="also")
    with pytest.warns(UserWarning, match=r"2 sounds were left out: broken: A recording is silent.* also: A recording"):
        heard = hear_all(cochlea, [good[0], broken, good[1], also], ("a", "b"), key)
    assert heard.sources == ("sound 0", "sound 1")
    assert np.array_equal(heard.recordings.trial(1)[0], whole.recordings.trial(2)[0])


@pytest.mark.skipif("STABLESPIKE_DATA" not in os.environ, reason="STABLESPIKE_DATA names no folder with sound")
def test_the_audio_subset_of_the_heidelberg_digits():
    sounds = heidelberg_digits(pathlib.Path(os.environ["STABLESPIKE_DATA"]) / "hd_audio_subset.zip")
    assert np.bincount([sound.label for sound in sounds]).tolist() == [132] * 20
    assert np.bincount([sound.speaker for sound in sounds]).tolist() == [220] * 12
    first = sounds[0].read()
    assert first.samples.size == 38172
    assert first.changes == ""


def test_what_is_spoken_depends_on_nothing_else():
    said = [Utterance(3, "m3"), Utterance(13, "whisper", 120, 70), Utterance(3, "klatt2", 140, 40)]
    forward, backward = speak(said), speak(said[::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        assert np.array_equal(one, other)
        assert 0.1 < one.size / SAMPLING_RATE < 1.5
    assert spoken(said)[0].speaker == voices().index("m3")
    with pytest.raises(DatasetError, match="no voice 'nobody'"):
        speak([Utterance(3, "nobody")])


def test_families_of_voices_are_not_divided():
    for seed in range(5):
        train, test = SyntheticDigits(voices=40, test_voices=10, seed=seed).cast()
        assert len(train) + len(test) == 40
        assert len(test) == 10
        assert not {family(voice) for voice in train} & {family(voice) for voice in test}
    with pytest.raises(ValueError, match="some must be left to learn from"):
        SyntheticDigits(voices=5, test_voices=5).cast()


def test_a_small_synthetic_set_is_made_once(tmp_path):
    digits = SyntheticDigits(voices=2, test_voices=1, channels=3, longest=71_998)
    made = synthetic_digits(tmp_path, digits)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.h5")}
    again = synthetic_digits(tmp_path, digits)
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.h5")}
    assert np.array_equal(made.test.times, again.test.times)
    assert len(made.train) == 20
    assert sorted(made.train.labels.tolist()) == list(range(20))
