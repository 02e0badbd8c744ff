"""Which files are sounds, how long they say they are, and what is a class: every file is used or named."""

import io
import os
import struct
import unicodedata
import zipfile

import numpy as np
import pytest

from stablespike.tasks.cochlea.recordings import convert_folder
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.sounds import FORMATS, RATES, heidelberg_digits, labelled_folder, read_sound
from stablespike.tasks.spike_files import read_recordings

soundfile = pytest.importorskip("soundfile")

NOISE = np.random.default_rng(0).normal(size=4000) * 0.1
TONE = 0.3 * np.sin(np.arange(1600) / 6)
FORMS = [(kind, "PCM_16") for kind in FORMATS if kind not in ("OGG", "MP3")]
FORMS += [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("NIST", "ULAW"), ("CAF", "ALAC_16")]


def packed(kind, subtype="PCM_16", samples=NOISE, rate=48_000):
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=kind, subtype=subtype)
    return content.getvalue()


def read(content, name="some"):
    return read_sound(io.BufferedReader(io.BytesIO(content)), name=name).samples


@pytest.mark.parametrize(("kind", "subtype"), FORMS)
def test_every_format_that_is_read_knows_that_it_was_cut_off(kind, subtype):
    whole = packed(kind, subtype)
    assert read(whole).size == NOISE.size
    for kept in (0.98, 0.5):
        with pytest.raises(DatasetError, match=r"some (is cut off after|can't be read as sound)"):
            read(whole[: int(kept * len(whole))])


def test_formats_whose_length_is_not_checked_are_refused():
    with pytest.raises(DatasetError, match="some is a sound of format VOC, which is not read here: convert it"):
        read(packed("VOC"))


def wave(riff, data):
    """16000 bytes of samples under a head with these two lengths."""
    head = struct.pack("<IHHIIHH", 16, 1, 1, 48_000, 96_000, 2, 16)
    samples = (9000 * np.sin(np.arange(8000) / 6)).astype("<i2").tobytes()
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + head + b"data" + struct.pack("<I", data) + samples


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0x7FFFF024, 0x7FFFF000),  # sox
        (0x80000024, 0x80000000),  # arecord
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0x7FFFFFFF, 0x7FFFFFDB),
        (0xFFFFFFFF, 0xFFFFFFDB),
        (0, 0),
        (36, 0),  # a recorder that was stopped before it came back to the head
        (0xFFFFFFFF, 0),
        (16036, 0x7FFFF000),
        (36, 16000),
    ],
)
def test_a_wave_file_from_a_pipe_is_whole(riff, data):
    np.testing.assert_array_equal(read(wave(riff, data)), read(wave(16036, 16000)))


@pytest.mark.parametrize(
    ("riff", "data"), [(17036, 17000), (16036, 17000), (0xFFFFFFFF, 17000), (3 * 10**9, 2 * 10**9)]
)
def test_a_wave_file_that_was_cut_off_is_not(riff, data):
    with pytest.raises(DatasetError, match="some is cut off after 16044 of"):
        read(wave(riff, data))


def from_a_pipe(kind):
    content = bytearray(packed(kind))
    if kind == "FLAC":
        content[21:26] = bytes([content[21] & 0xF0]) + bytes(4)
    elif kind == "AU":
        content[8:12] = bytes(4)
    else:
        begin = content.index(b"data") + 4
        content[begin : begin + 8] = b"\xff" * 8
    return bytes(content)


@pytest.mark.parametrize("kind", ["FLAC", "AU", "CAF"])
def test_other_files_from_a_pipe_are_whole(kind):
    assert from_a_pipe(kind) != packed(kind)
    np.testing.assert_array_equal(read(from_a_pipe(kind)), read(packed(kind)))


def test_an_empty_wave_file_stays_empty():
    with pytest.raises(DatasetError, match="some is an empty recording"):
        read(packed("WAV", samples=NOISE[:0]))


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_rates_of_no_sound_are_refused_before_anything_is_computed(rate):
    with pytest.raises(DatasetError, match=f"a recording at {rate} Hz, and sounds have {RATES[0]} to {RATES[1]} Hz"):
        read(packed("WAV", rate=rate))


@pytest.fixture
def folder(tmp_path):
    """A folder of sounds, and what puts a file into it."""

    def put(place, content=None):
        path = tmp_path / "sounds" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed("WAV", samples=TONE, rate=16_000) if content is None else content)
        return path

    put.place = tmp_path / "sounds"
    return put


def test_every_file_is_used_or_named(folder, tmp_path):
    for name, kind, subtype in (
        ("1.wav", "WAV", "PCM_16"),
        ("2.opus", "OGG", "OPUS"),
        ("3.au", "AU", "PCM_16"),
        ("4.oga", "OGG", "VORBIS"),
        ("5.caf", "CAF", "PCM_16"),
        ("6.wave", "WAV", "PCM_16"),
    ):
        folder(f"one/a/{name}", packed(kind, subtype, np.tile(TONE, 5)))
    folder("one/a/7.m4a", b"\0\0\0 ftypM4A " + bytes(99))
    for place in ("read.me", "one/.DS_Store", "one/a/notes.txt", *(f"one/a/{k}.lab" for k in range(11))):
        folder(place, b"no sound")
    (folder.place / "one" / "link").symlink_to(folder.place / "one" / "a")
    with pytest.warns(UserWarning, match="left out") as said:
        heard = convert_folder(folder.place, tmp_path / "spikes.h5", channels=4)
    assert len(heard.recordings) == 6
    assert list(heard.refused) == [str(folder.place / "one/a/7.m4a")]
    first, second = (str(one.message) for one in said)
    assert first == (
        f"No sounds, by their endings, and left out of {folder.place}: one/.DS_Store, one/link, 11 files *.lab, "
        "one/a/notes.txt, read.me."
    )
    assert "1 sounds were left out: " in second
    assert "7.m4a can't be read as sound" in second


def test_a_name_is_one_however_its_letters_are_written(folder):
    for form, speaker in (("NFC", "jürgen"), ("NFD", "jürgen"), ("NFD", "ben")):
        folder(f"{unicodedata.normalize(form, 'fünf')}/{unicodedata.normalize(form, speaker)}/{form}.wav")
    sounds, classes = labelled_folder(folder.place)
    assert classes == (unicodedata.normalize("NFC", "fünf"),)
    assert sorted(sound.speaker for sound in sounds) == [1, 2, 2]


def test_a_folder_whose_name_is_no_text_costs_nothing(folder):
    folder("one/a/1.wav")
    os.makedirs(os.path.join(os.fsencode(folder.place), b"f\xfcnf"))
    with open(os.path.join(os.fsencode(folder.place), b"f\xfcnf", b"1.wav"), "wb") as file:
        file.write(packed("WAV"))
    with pytest.raises(DatasetError, match=r"The folder b'f.xfcnf' in .* has no name in UTF-8: rename it"):
        labelled_folder(folder.place)


def test_a_file_whose_name_is_no_text_is_used(folder, tmp_path):
    path = folder("one/a/1.wav")
    os.rename(path, os.path.join(os.fsencode(path.parent), b"\xfc.wav"))
    with pytest.warns(UserWarning, match="1 sounds were resampled"):
        convert_folder(folder.place, tmp_path / "spikes.h5", channels=4)
    assert len(read_recordings(tmp_path / "spikes.h5")) == 1


def test_a_place_that_is_no_folder_is_named(folder):
    with pytest.raises(DatasetError, match="can't be searched for sounds"):
        labelled_folder(folder("file"))


def test_members_of_an_archive_are_used_or_named(tmp_path):
    path, name = tmp_path / "digits.zip", "lang-english_speaker-00_trial-0_digit-0.flac"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"audio/{name}", packed("FLAC"))
        archive.writestr("licence.txt", "free")
    with pytest.warns(UserWarning, match=r"left out of .*digits\.zip: licence\.txt\."):
        assert len(heidelberg_digits(path)) == 1
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"copy/{name}", packed("FLAC"))
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(DatasetError, match=f"copy/{name} in .* is there twice: remove it"),
    ):
        heidelberg_digits(path)
