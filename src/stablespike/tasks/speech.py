"""Digits spoken by eSpeak NG, an optional part of the installation: many voices, without any download.

eSpeak NG is a formant synthesiser; the package `espeakng-loader` brings its library and its voice variants, each of
which can speak English and German.
"""

import functools
import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from stablespike.tasks import speaking
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.sounds import DIGITS, LabelledSound, Sound, resample


class Utterance(NamedTuple):
    """What is said and how: `voice` is the name of a variant, `rate` in words per minute, `pitch` from 0 to 100."""

    label: int  # of the twenty digits, 0-9 English, 10-19 German
    voice: str
    rate: int = 160
    pitch: int = 50


def voices() -> tuple[str, ...]:
    """Names of all voice variants, in alphabetical order; a voice's place in it is its number as a speaker."""
    return tuple(sorted(file.name for file in (_data() / "voices" / "!v").iterdir() if file.is_file()))


def _data() -> pathlib.Path:
    return pathlib.Path(_loader().get_data_path())


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise DatasetError(
            "Spoken digits need the package espeakng-loader: install stablespike with its extra `data`."
        ) from error
    return espeakng_loader


def family(voice: str) -> str:
    """Variants whose names differ only in a number at the end, and may sound alike: robosoft2 is a robosoft."""
    return voice.lower().rstrip("0123456789")


def speak(utterances: Sequence[Utterance]) -> list[Float[np.ndarray, " samples"]]:
    """The utterances at 48 kHz within -1 ... 1, without the silence around them; the same samples every time.

    Silence is what stays below a hundredth of the largest sample. About 10 ms each.
    """
    known = set(voices())
    for utterance in utterances:
        if utterance.voice not in known:
            raise DatasetError(f"eSpeak NG has no voice {utterance.voice!r}; it has {', '.join(sorted(known))}.")
    return [_trimmed(one, *said) for one, said in zip(utterances, _said(utterances), strict=True)]


def _said(utterances: Sequence[Utterance]) -> list[tuple[int, np.ndarray]]:
    """Rate and samples of each utterance, from the program that speaks."""
    request = {
        "library": _loader().get_library_path(),
        "data": str(_data()),
        "utterances": [
            {
                "text": DIGITS[one.label],
                "voice": f"{'en' if one.label < 10 else 'de'}+{one.voice}",
                "rate": one.rate,
                "pitch": one.pitch,
            }
            for one in utterances
        ],
    }
    command = [sys.executable, str(speaking.__file__)]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=False)
    found, begin = [], 0
    while begin + speaking.HEAD.size <= len(done.stdout):
        rate, size = speaking.HEAD.unpack_from(done.stdout, begin)
        begin += speaking.HEAD.size
        found.append((rate, done.stdout[begin : begin + size]))
        begin += size
    if done.returncode or len(found) != len(utterances) or begin != len(done.stdout):
        raise DatasetError(f"eSpeak NG stopped speaking: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return [(rate, np.frombuffer(samples, np.int16)) for rate, samples in found]


def _trimmed(utterance: Utterance, rate: int, samples: np.ndarray) -> np.ndarray:
    size = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(size > 0.01 * size.max(initial=0))
    if loud.size < 2:
        raise DatasetError(f"The voice {utterance.voice!r} of eSpeak NG says nothing for {DIGITS[utterance.label]!r}.")
    return resample(samples[loud[0] : loud[-1] + 1] / 2.0**15, rate)


def spoken(utterances: Sequence[Utterance]) -> list[LabelledSound]:
    """The utterances as labelled sounds; the number of a speaker is that of the voice."""
    numbers = {voice: number for number, voice in enumerate(voices())}
    return [
        LabelledSound(
            f"{one.voice}, {DIGITS[one.label]}, {one.rate} words/min, pitch {one.pitch}",
            one.label,
            numbers[one.voice],
            functools.partial(Sound, samples, ""),
        )
        for one, samples in zip(utterances, speak(utterances), strict=True)
    ]
