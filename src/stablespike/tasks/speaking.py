"""A program that speaks: utterances as JSON on its input, their samples of 16 bits on its output, by eSpeak NG.

What eSpeak NG says depends on what it has said before, also after a restart of the library. So each utterance is spoken
in a process of its own, forked from one in which the library has just been started: the same samples every time,
whatever else is spoken. Run as a file, with nothing but Python's standard library, by `speech`.
"""

import ctypes
import json
import os
import struct
import sys
from typing import Any

SYNCHRONOUS, KEEP_RUNNING, UTF8 = 2, 0x8000, 1  # eSpeak NG's numbers for its modes and options
RATE, PITCH = 1, 3  # and for its parameters
HEAD = struct.Struct("<ii")  # rate in Hz (or 0 for a fault), bytes that follow
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def main() -> None:
    """Start the library, then speak each utterance in a forked process, one after the other."""
    request = json.load(sys.stdin)
    library = ctypes.CDLL(request["library"])
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, request["data"].encode(), KEEP_RUNNING)
    for utterance in request["utterances"]:
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        try:
            samples = said(library, **utterance) if rate > 0 else b""
        finally:
            whole = HEAD.pack(rate if rate > 0 and samples else 0, len(samples)) + samples
            while whole:
                whole = whole[os.write(sys.stdout.fileno(), whole) :]
            os._exit(0)


def said(library: Any, *, text: str, voice: str, rate: int, pitch: int) -> bytes:
    """Samples of a text, or nothing if the library refuses."""
    pieces: list[bytes] = []

    def take(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = Callback(take)
    library.espeak_SetSynthCallback(callback)
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it is the time of day otherwise
    words = text.encode() + b"\0"
    faults = [
        library.espeak_SetVoiceByName(voice.encode()),
        library.espeak_SetParameter(RATE, rate, 0),
        library.espeak_SetParameter(PITCH, pitch, 0),
        library.espeak_Synth(words, ctypes.c_size_t(len(words)), 0, 1, 0, UTF8, None, None),
        library.espeak_Synchronize(),
    ]
    return b"" if any(faults) else b"".join(pieces)


if __name__ == "__main__":
    main()
