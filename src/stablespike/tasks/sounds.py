"""Sound files as arrays at the rate that the cochlea hears."""

import functools
import io
import math
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.signal
from jaxtyping import Float

from stablespike.tasks.cochlea.model.model.membrane import SAMPLING_RATE
from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
DIGITS = ENGLISH + GERMAN  # the twenty classes of the Heidelberg Digits, in their order
SHORTEST = 0.01  # s; no sound of speech is shorter, and a cochlea does not answer to a few samples
CANCELLED = 1e-3  # part of the largest sample that has to be left in the average of all channels
ENDINGS = (".flac", ".wav", ".ogg", ".mp3", ".aiff", ".aif")


class Sound(NamedTuple):
    """A recording at 48 kHz, and what was done to it on the way, in words ("" if nothing)."""

    samples: Float[np.ndarray, " samples"]
    changes: str


class LabelledSound(NamedTuple):
    """A recording of a known class and speaker, which is read when it is needed."""

    source: str
    label: int
    speaker: int
    read: Callable[[], Sound]


def read_sound(file: str | pathlib.Path | io.BufferedIOBase, *, name: str | None = None) -> Sound:
    """Read a sound file; several channels are averaged and other rates resampled, which `changes` says.

    Raises DatasetError for a file that is missing, damaged or holds no sound.
    """
    import soundfile  # only those who read sound files need it

    name = str(file) if name is None else name
    try:
        content = file.read() if isinstance(file, io.BufferedIOBase) else pathlib.Path(file).read_bytes()
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float64", always_2d=True)
    except FileNotFoundError as error:
        raise DatasetError(f"The sound file {name} is missing: put it there.") from error
    except (soundfile.SoundFileError, TypeError, OSError) as error:
        why = str(getattr(error, "error_string", error)).strip(" .")
        raise DatasetError(f"{name} can't be read as sound ({why}): remove or replace it.") from error
    for wrong, what in _faults(content, samples, rate):
        if wrong:
            raise DatasetError(f"{name} is {what}: remove or replace it.")
    mixed = [f"{samples.shape[1]} channels averaged"] if samples.shape[1] > 1 else []
    changed = [f"resampled from {rate} Hz"] if rate != SAMPLING_RATE else []
    return Sound(resample(samples.mean(1), rate), ", ".join([*mixed, *changed]))


def _faults(content: bytes, samples: Float[np.ndarray, "samples channels"], rate: int) -> Iterator[tuple[bool, str]]:
    """What may be wrong with a file that could be read; the reader takes a WAV file that was cut off for a shorter one.

    A length that a WAV file's head does not know, because it was written to a pipe, is 0 or all bits.
    """
    length = int.from_bytes(content[4:8], "little")
    known = content[:4] == b"RIFF" and length not in (0, 2**32 - 1)
    yield known and length + 8 > len(content) + 1, f"cut off after {len(content)} of {length + 8} bytes"
    yield not samples.size, "an empty recording"
    yield not np.isfinite(samples).all(), "damaged (it has samples that are not finite numbers)"
    yield not np.ptp(samples, axis=0).any(), f"a silent recording (every sample is {samples[:1].mean():.3g})"
    yield len(samples) < SHORTEST * rate, f"a recording of {len(samples) / rate:.2g} s, too short to be heard"
    cancelled = np.abs(samples.mean(1)).max() < CANCELLED * np.abs(samples).max()
    yield bool(cancelled), "a recording whose channels cancel each other"


def resample(samples: Float[np.ndarray, " samples"], rate: int) -> Float[np.ndarray, " more"]:
    """The same sound at 48 kHz, by a polyphase filter."""
    shared = math.gcd(rate, SAMPLING_RATE)
    return (
        samples
        if rate == SAMPLING_RATE
        else scipy.signal.resample_poly(samples, SAMPLING_RATE // shared, rate // shared)
    )


def heidelberg_digits(archive: str | pathlib.Path) -> list[LabelledSound]:
    """Recordings of the Heidelberg Digits in a zip archive of FLAC files; labels 0-9 English, 10-19 German.

    The files are named `lang-english_speaker-00_trial-0_digit-0.flac`; nothing is unpacked to disk.
    """
    archive = pathlib.Path(archive)
    try:
        with zipfile.ZipFile(archive) as content:
            members = sorted(member for member in content.namelist() if member.endswith(".flac"))
    except FileNotFoundError as error:
        raise DatasetError(f"The Heidelberg Digits are missing: put the archive of FLAC files at {archive}.") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{archive} is no whole zip archive ({error}): replace it.") from error
    if not members:
        raise DatasetError(f"{archive} holds no FLAC files: it is not the archive of the Heidelberg Digits.")
    return [_heidelberg_digit(archive, member) for member in members]


def heidelberg_digit(archive: str | pathlib.Path, name: str) -> Sound:
    """One of these recordings by the name of its file, without the ending."""
    for sound in heidelberg_digits(archive):
        if sound.source == name:
            return sound.read()
    raise DatasetError(
        f"{archive} holds no recording {name!r}; they are named like {heidelberg_digits(archive)[0].source}."
    )


def _heidelberg_digit(archive, member):
    fields = dict(part.split("-", 1) for part in pathlib.Path(member).stem.split("_") if "-" in part)
    try:
        label = range(10).index(int(fields["digit"])) + {"english": 0, "german": 10}[fields["lang"]]
        speaker = int(fields["speaker"])
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{member} in {archive} is not named like a Heidelberg Digit.") from error
    return LabelledSound(pathlib.Path(member).stem, label, speaker, functools.partial(_read_member, archive, member))


def _read_member(archive, member):
    try:
        with zipfile.ZipFile(archive) as content:
            return read_sound(io.BytesIO(content.read(member)), name=f"{member} in {archive}")
    except DAMAGED_ARCHIVE as error:
        raise DatasetError(f"{member} in {archive} is damaged ({error}): replace the archive.") from error


def labelled_folder(folder: str | pathlib.Path) -> tuple[list[LabelledSound], tuple[str, ...]]:
    """Recordings in `<folder>/<class>/<speaker>/<any name>`, and the names of the classes in alphabetical order.

    Speakers are numbered in the order of their names. Files directly in a class's folder are nobody's: speaker 0.
    Raises DatasetError for files that are nowhere else, or also higher or deeper.
    """
    folder = pathlib.Path(folder)
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
    lost = [str(file) for file in files if not 2 <= len(file.relative_to(folder).parts) <= 3]
    if len(lost) == len(files):
        raise DatasetError(f"{folder} holds no sound files in folders named by their class: <class>/<speaker>/<file>.")
    if lost:
        raise DatasetError(f"Not in a folder <class>/<speaker>/ of {folder}: {', '.join(lost)}; move or remove them.")
    classes = tuple(sorted({file.relative_to(folder).parts[0] for file in files}))
    speakers = ["", *sorted({file.parent.name for file in files if len(file.relative_to(folder).parts) > 2})]
    sounds = []
    for file in files:
        first, *rest = file.relative_to(folder).parts
        speaker = speakers.index(rest[0] if len(rest) > 1 else "")
        sounds.append(LabelledSound(str(file), classes.index(first), speaker, functools.partial(read_sound, file)))
    return sounds, classes
