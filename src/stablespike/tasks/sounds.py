"""Sound files as arrays at the rate that the cochlea hears."""

import functools
import io
import math
import os
import pathlib
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.signal
from jaxtyping import Float

from stablespike.tasks.cochlea.membrane import SAMPLING_RATE
from stablespike.tasks.dataset_error import DAMAGED_ARCHIVE, DatasetError
from stablespike.tasks.sound_lengths import missing, with_known_length

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
DIGITS = ENGLISH + GERMAN  # the twenty classes of the Heidelberg Digits, in their order
HEIDELBERG_NAME = re.compile(
    r"lang-(?P<language>english|german)_speaker-(?P<speaker>[0-9]{1,4})_trial-[0-9]+_digit-(?P<digit>[0-9])\.flac"
)
SHORTEST = 0.01  # s; no sound of speech is shorter, and a cochlea does not answer to a few samples
CANCELLED = 1e-3  # part of the largest sample that has to be left in the average of all channels
RATES = (1_000, 768_000)  # Hz; fewer samples carry no speech, and nobody records more
BLOCK = 1 << 20  # samples that are decoded at a time
FORMATS = ("AIFF", "AU", "CAF", "FLAC", "MP3", "NIST", "OGG", "RF64", "W64", "WAV", "WAVEX")  # whose length is checked
READ = ".flac .wav .wave .ogg .oga .opus .mp3 .aiff .aif .aifc .au .snd .caf .w64 .rf64 .bwf .sph .nist"
NOT_READ = (
    ".m4a .m4b .mp4 .aac .wma .amr .3gp .mp2 .mka .weba .webm .ape .wv .ac3 .ra .tta .spx .gsm .voc .avr .sds .svx"
)
ENDINGS = tuple(f"{READ} {NOT_READ}".split())  # of sounds; those that can't be read are named like damaged ones


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

    Raises DatasetError for a file that is missing, damaged, cut off or holds no sound.
    """
    name = str(file) if name is None else name
    try:
        content = file.read() if isinstance(file, io.BufferedIOBase) else pathlib.Path(file).read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"The sound file {name} is missing: put it there.") from error
    except OSError as error:
        raise DatasetError(f"{name} can't be read ({error}): remove or replace it.") from error
    if cut := missing(content):
        raise DatasetError(f"{name} is {cut}: remove or replace it.")
    samples, rate = _decoded(with_known_length(content), name)
    for wrong, what in _faults(samples, rate):
        if wrong:
            raise DatasetError(f"{name} is {what}: remove or replace it.")
    mixed = [f"{samples.shape[1]} channels averaged"] if samples.shape[1] > 1 else []
    changed = [f"resampled from {rate} Hz"] if rate != SAMPLING_RATE else []
    return Sound(resample(samples.mean(1), rate), ", ".join([*mixed, *changed]))


class _Content(io.BytesIO):
    """Bytes in which a damaged file may look for what lies before its begin, without an error on the terminal."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset if whence else max(0, offset), whence)


def _decoded(content: bytes, name: str) -> tuple[Float[np.ndarray, "samples channels"], int]:
    """Samples and rate of a file, decoded block by block: what its head says about its size allocates nothing."""
    import soundfile  # only those who read sound files need it

    class Forward(soundfile.SoundFile):
        """Read from begin to end: a FLAC file from a pipe can't be searched, as it does not know where it ends."""

        def seekable(self) -> bool:
            return False

    try:
        with Forward(_Content(content)) as file:
            if file.format not in FORMATS:
                raise DatasetError(f"{name} is a sound of format {file.format}, which is not read here: convert it.")
            blocks = [np.zeros((0, file.channels))]
            while (block := file.read(BLOCK // file.channels, always_2d=True)).size:
                blocks.append(block)
            samples, rate, declared = np.concatenate(blocks), file.samplerate, file.frames
    except (soundfile.SoundFileError, TypeError, OSError, MemoryError) as error:
        why = str(getattr(error, "error_string", error)).strip(" .") or type(error).__name__
        raise DatasetError(f"{name} can't be read as sound ({why}): remove or replace it.") from error
    if len(samples) < declared < 2**62:  # more is what a length that is not known becomes
        raise DatasetError(f"{name} is cut off after {len(samples)} of {declared} samples: remove or replace it.")
    return samples, rate


def _faults(samples: Float[np.ndarray, "samples channels"], rate: int) -> Iterator[tuple[bool, str]]:
    """What may be wrong with a file that could be read."""
    yield not samples.size, "an empty recording"
    yield not RATES[0] <= rate <= RATES[1], f"a recording at {rate} Hz, and sounds have {RATES[0]} to {RATES[1]} Hz"
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
    sounds = []
    for member, said in archived_sounds(archive, HEIDELBERG_NAME, "Heidelberg Digit"):
        label = int(said["digit"]) + {"english": 0, "german": 10}[said["language"]]
        sounds.append(archived_sound(archive, member, label, int(said["speaker"])))
    return sounds


def archived_sounds(archive: str | pathlib.Path, name: re.Pattern, what: str) -> list[tuple[str, re.Match]]:
    """Members of a zip archive, in alphabetical order, and what the names of their files say.

    Files of another ending than that of `name`'s pattern are left out with a warning; DatasetError for an archive that
    is missing or damaged, for a sound of another name, and for one that is there twice.
    """
    ending = name.pattern.rpartition("\\")[2]  # a pattern ends in \.flac
    kind = ending[1:].upper()
    try:
        with zipfile.ZipFile(archive) as content:
            every = sorted(member for member in content.namelist() if not member.endswith("/"))
    except FileNotFoundError as error:
        raise DatasetError(f"The {what}s are missing: put the archive of {kind} files at {archive}.") from error
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DatasetError(f"{archive} is no whole zip archive ({error}): replace it.") from error
    members = [member for member in every if member.endswith(ending)]
    say_left_out(archive, [member for member in every if not member.endswith(ending)])
    if not members:
        raise DatasetError(f"{archive} holds no {kind} files: it is not the archive of the {what}s.")
    said: dict[str, tuple[str, re.Match]] = {}
    for member in members:
        file = pathlib.PurePosixPath(member).name
        if not (match := name.fullmatch(file)) or file in said:
            fault = "is there twice" if file in said else f"is not named like a {what}"
            raise DatasetError(f"{member} in {archive} {fault}: remove it, or replace the archive.")
        said[file] = member, match
    return list(said.values())


def archived_sound(archive: str | pathlib.Path, member: str, label: int, speaker: int) -> LabelledSound:
    """A member of a zip archive as a labelled sound, named like its file without the ending."""
    read = functools.partial(_read_member, archive, member)
    return LabelledSound(pathlib.PurePosixPath(member).stem, label, speaker, read)


def heidelberg_digit(archive: str | pathlib.Path, name: str) -> Sound:
    """One of these recordings by the name of its file, without the ending."""
    for sound in heidelberg_digits(archive):
        if sound.source == name:
            return sound.read()
    raise DatasetError(
        f"{archive} holds no recording {name!r}; they are named like {heidelberg_digits(archive)[0].source}."
    )


def _read_member(archive: str | pathlib.Path, member: str) -> Sound:
    try:
        with zipfile.ZipFile(archive) as content:
            return read_sound(io.BytesIO(content.read(member)), name=f"{member} in {archive}")
    except DatasetError:
        raise
    except (OSError, KeyError, RuntimeError, MemoryError, *DAMAGED_ARCHIVE) as error:
        raise DatasetError(f"{member} in {archive} is damaged ({error}): replace the archive.") from error


def labelled_folder(folder: str | pathlib.Path) -> tuple[list[LabelledSound], tuple[str, ...]]:
    """Recordings in `<folder>/<class>/<speaker>/<any name>`, and the names of the classes in alphabetical order.

    Speakers are numbered in the order of their names. Files directly in a class's folder are nobody's: speaker 0. Names
    are text, however it is written: 'ü' is one letter, also where a file system keeps it as a 'u' and two dots.
    What does not end like a sound is named in a warning and left out. Raises DatasetError for sounds that are nowhere
    else, or also higher or deeper, and for names that are no text.
    """
    folder = pathlib.Path(folder)
    every = _files(folder)
    files = [file for file in every if file.suffix.lower() in ENDINGS and (folder / file).is_file()]
    lost = [str(folder / file) for file in files if not 2 <= len(file.parts) <= 3]
    if len(lost) == len(files):
        raise DatasetError(f"{folder} holds no sound files in folders named by their class: <class>/<speaker>/<file>.")
    if lost:
        raise DatasetError(f"Not in a folder <class>/<speaker>/ of {folder}: {', '.join(lost)}; move or remove them.")
    say_left_out(folder, [str(file) for file in every if file not in set(files)])
    named = [(_text(file.parts[0], folder), _text("".join(file.parts[1:-1]), folder)) for file in files]
    classes, speakers = (sorted(set(names)) for names in zip(*named, strict=True))
    speakers = ["", *(name for name in speakers if name)]
    sounds = [
        LabelledSound(
            str(folder / file),
            classes.index(first),
            speakers.index(second),
            functools.partial(read_sound, folder / file),
        )
        for file, (first, second) in zip(files, named, strict=True)
    ]
    return sounds, tuple(classes)


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All that is in a folder and is no folder, however deep; links to folders are not followed but found."""

    def refuse(error: OSError) -> None:
        raise DatasetError(f"{folder} can't be searched for sounds ({error}): make it readable.") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=None if not folder.exists() else refuse):
        links = (name for name in folders if os.path.islink(os.path.join(place, name)))
        found += [pathlib.Path(place, name).relative_to(folder) for name in (*names, *links)]
    return sorted(found)


def _text(name: str, folder: str | pathlib.Path) -> str:
    """A name of a folder as text; DatasetError if it is none, before anything is converted."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(f"The folder {os.fsencode(name)!r} in {folder} has no name in UTF-8: rename it.") from error
    return unicodedata.normalize("NFC", name)


def say_left_out(place: str | pathlib.Path, files: Sequence[str]) -> None:
    """Warn about files that do not end like a sound: each by its name, or many of one ending by that."""
    endings: dict[str, list[str]] = {}
    for file in files:
        endings.setdefault(pathlib.PurePath(file).suffix, []).append(os.fsencode(file).decode(errors="replace"))
    parts = [", ".join(some) if len(some) <= 10 else f"{len(some)} files *{end}" for end, some in endings.items()]
    if parts:
        warnings.warn(f"No sounds, by their endings, and left out of {place}: {', '.join(parts)}.", stacklevel=3)
