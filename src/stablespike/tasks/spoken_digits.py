"""Data sets of spoken digits as spikes: by the synthesiser, or from the audio of people (Heidelberg Digits, FSDD).

All are converted once and kept in a cache folder, in files of the SHD layout whose names carry all parameters.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from stablespike.tasks.cochlea.membrane import cached_membrane_filter
from stablespike.tasks.cochlea.model import LONGEST_DIGIT, Cochlea
from stablespike.tasks.cochlea.recordings import hear_all
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.free_spoken_digits import free_spoken_digits
from stablespike.tasks.sounds import DIGITS, ENGLISH, LabelledSound, heidelberg_digits
from stablespike.tasks.speaker_splits import Split, unseen
from stablespike.tasks.speech import Utterance, family, spoken, voices
from stablespike.tasks.spike_files import read_recordings, write_recordings

TEST_SPEAKERS = (4, 5)  # of the Heidelberg Digits, held out as in SHD
LONGEST_FREE_DIGIT = 109_998  # samples that hold every Free Spoken Digit; half of it + 1 is quick to transform


class SyntheticDigits(eqx.Module):
    """A set of twenty digits spoken by `voices` voices, each digit `clips` times, at random rates and pitches.

    `test_voices` of the voices are heard in the test set only, with all others of their family. Sounds last up to
    `longest` samples at 48 kHz.
    """

    voices: int = 20
    test_voices: int = 5
    clips: int = 1
    channels: int = 70
    rates: tuple[int, int] = (110, 200)  # words per minute, from and to
    pitches: tuple[int, int] = (25, 75)
    longest: int = 47_998
    seed: int = 0

    def cast(self) -> tuple[list[str], list[str]]:
        """Names of the training voices and of the test voices, drawn by `seed`."""
        generator, known = np.random.default_rng(self.seed), voices()
        if not 0 < self.test_voices < self.voices <= len(known):
            raise ValueError(
                f"{self.test_voices} test voices among {self.voices} can't be had: eSpeak NG has {len(known)} voices, "
                "and some must be left to learn from."
            )
        chosen = sorted(generator.permutation(known)[: self.voices].tolist())
        test: list[str] = []
        for name in generator.permutation(sorted({family(voice) for voice in chosen})):
            relatives = [voice for voice in chosen if family(voice) == name]
            test += relatives if len(test) + len(relatives) <= self.test_voices else []
        return [voice for voice in chosen if voice not in test], sorted(test)

    def utterances(self) -> tuple[list[Utterance], list[Utterance]]:
        """Everything that is said, for training and for the test."""
        generator = np.random.default_rng([self.seed, 1])
        train, test = (
            [
                Utterance(
                    label,
                    voice,
                    int(generator.integers(*self.rates, endpoint=True)),
                    int(generator.integers(*self.pitches, endpoint=True)),
                )
                for voice in some
                for label in range(len(DIGITS))
                for _ in range(self.clips)
            ]
            for some in self.cast()
        )
        return train, test


def synthetic_digits(
    folder: str | pathlib.Path, digits: SyntheticDigits, *, progress: Callable[[Iterable], Iterable] = iter
) -> Split:
    """The set from the cache `folder`, spoken and heard on first use; no test voice is in the training set."""
    parameters = dataclasses.asdict(digits)
    train, test = (functools.partial(spoken, some) for some in digits.utterances())
    name = f"synthetic-digits-{digits.voices}-voices-{digits.clips}-clips-{digits.channels}-channels"
    return unseen(_kept(folder, name, parameters, (train, test), digits.longest, digits.seed, progress))


def heidelberg_digits_as_spikes(
    folder: str | pathlib.Path,
    archive: str | pathlib.Path,
    *,
    channels: int = 700,
    trials: int | None = None,
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Split:
    """The Heidelberg Digits from the cache `folder`, converted on first use from an archive of their FLAC files.

    Speakers 4 and 5 are the test set, as in SHD, which moves 5 % of the others' recordings there too; here nobody is in
    both sets. With `trials` the first so many recordings of every speaker and digit are taken. Another archive makes
    another set, and one with a recording that can't be used makes none: DatasetError.
    """
    sounds = heidelberg_digits(archive)
    sounds = sounds if trials is None else _first(sounds, trials)
    held = [sound.speaker in TEST_SPEAKERS for sound in sounds]
    if all(held) or not any(held):
        raise DatasetError(
            f"{archive} holds only recordings of {'the' if all(held) else 'other than the'} test speakers "
            f"{TEST_SPEAKERS}: there must be both."
        )
    sides = tuple(
        lambda side=side: [sound for sound, out in zip(sounds, held, strict=True) if out == side]
        for side in (False, True)
    )
    parameters = {"channels": channels, "trials": trials or "all", "seed": seed, "archive": _checksum(archive)}
    name = f"heidelberg-digits-{len(sounds)}-recordings-{channels}-channels"
    return unseen(_kept(folder, name, parameters, sides, LONGEST_DIGIT, seed, progress))


def free_spoken_digits_as_spikes(
    folder: str | pathlib.Path,
    archive: str | pathlib.Path,
    *,
    channels: int = 700,
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Split:
    """The Free Spoken Digits from the cache `folder`, converted on first use from the archive of their WAV files.

    The official split, which shares its speakers; `leave_one_speaker_out(joined(*split))` gives six that do not.
    """
    sides = tuple((lambda some=some: some) for some in free_spoken_digits(archive))
    parameters = {"channels": channels, "seed": seed, "archive": _checksum(archive)}
    name = f"free-spoken-digits-{sum(len(side()) for side in sides)}-recordings-{channels}-channels"
    return _kept(folder, name, parameters, sides, LONGEST_FREE_DIGIT, seed, progress, classes=ENGLISH)


def _checksum(archive: str | pathlib.Path) -> str:
    with pathlib.Path(archive).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _first(sounds: Sequence[LabelledSound], trials: int) -> list[LabelledSound]:
    """The first recordings of every speaker and class."""
    seen: dict[tuple[int, int], int] = {}
    kept = []
    for sound in sounds:
        who = sound.speaker, sound.label
        seen[who] = seen.get(who, 0) + 1
        kept += [sound] if seen[who] <= trials else []
    return kept


def _kept(
    folder: str | pathlib.Path,
    name: str,
    parameters: dict[str, Any],
    sides: Any,
    longest: int,
    seed: int,
    progress: Callable[[Iterable], Iterable],
    classes: tuple[str, ...] = DIGITS,
) -> Split:
    """Training and test set from their files, which are made if one is missing."""
    text = json.dumps(parameters, sort_keys=True)
    place = pathlib.Path(folder) / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    paths = [place / f"shd_{side}.h5" for side in ("train", "test")]
    if not all(path.exists() for path in paths):
        cochlea = Cochlea(cached_membrane_filter(folder, parameters["channels"], longest))
        for number, (path, sounds) in enumerate(zip(paths, sides, strict=True)):
            heard = hear_all(
                cochlea, sounds(), classes, jax.random.fold_in(jax.random.key(seed), number), progress=progress
            )
            if heard.refused:
                raise DatasetError(
                    f"{len(heard.refused)} recordings can't be used, so no set is made of the {len(heard.sources)} "
                    f"others: {next(iter(heard.refused.values()))}"
                )
            write_recordings(path, heard.recordings, sources=heard.sources, attributes={"parameters": text})
    return Split(*(read_recordings(path) for path in paths))
