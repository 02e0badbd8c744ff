"""What the head of a sound file says about its length: a file that was cut off is known, one from a pipe is whole.

Readers take a file that was cut off for a shorter one. And whoever writes to a pipe writes the head before the length
is known: the numbers there are 0, all bits, or close to what 31 or 32 bits hold (sox 0x7ffff000, arecord 0x80000000).
"""

import re
from collections.abc import Iterator
from typing import Literal

Order = Literal["little", "big"]
FORMS: dict[bytes, Order] = {
    b"RIFF": "little",
    b"RIFX": "big",
    b"FORM": "big",
    b"RF64": "little",
}  # WAV, AIFF, long WAV
CONTENTS = (b"data", b"SSND")  # the chunk with the samples
ABOUT = 1 << 13  # bytes; a head is shorter, so that numbers this close to a mark are one that was subtracted from


def unknown(size: int) -> bool:
    """Whether a length of four bytes stands for one that was not known."""
    return size == 0 or abs(size - 2**31) <= ABOUT or 2**32 - size <= ABOUT


def with_known_length(content: bytes) -> bytes:
    """A file whose head does not know how long it is with the length that it has; any other file as it is."""
    if content[:4] in FORMS and content[:4] != b"RF64":
        return _known_form(content)
    if content[:4] == b".snd" and not int.from_bytes(content[8:12], "big"):
        return content[:8] + b"\xff" * 4 + content[12:]
    if content[:4] == b"caff":
        for name, place, size in _chunks(content, 8, "big", 8):
            if name == b"data" and size == 2**64 - 1:
                return content[:place] + (len(content) - place - 8).to_bytes(8, "big") + content[place + 8 :]
    return content


def _known_form(content: bytes) -> bytes:
    order, end = FORMS[content[:4]], len(content)
    whole = int.from_bytes(content[4:8], order)
    for name, place, size in _chunks(content, 12, order, 4):
        if name in CONTENTS and unknown(size) and (size or abs(whole + 8 - end) > 1):
            sizes = [min(end - begin, 2**32 - 1).to_bytes(4, order) for begin in (8, place + 4)]
            return content[:4] + sizes[0] + content[8:place] + sizes[1] + content[place + 4 :]
    return content


def _chunks(content: bytes, begin: int, order: Order, width: int) -> Iterator[tuple[bytes, int, int]]:
    """Name of every chunk, the place of its length, and that length; padded to an even one if `width` is 4 bytes."""
    while begin + 4 + width <= len(content):
        size = int.from_bytes(content[begin + 4 : begin + 4 + width], order)
        yield content[begin : begin + 4], begin + 4, size
        begin += 4 + width + size + (size % 2 if width == 4 else 0)


def missing(content: bytes) -> str:
    """What says that a file was cut off: "cut off after 1000 of 2044 bytes", or "" where nothing does."""
    if content[:4] == b"OggS":
        return _missing_pages(content)
    declared = max(_declared(content), default=0)
    return f"cut off after {len(content)} of {declared} bytes" if declared > len(content) else ""


def _declared(content: bytes) -> Iterator[int]:
    """The lengths in bytes that a file says it has; a byte of padding at the end may be left out."""
    head = content[:4]
    if head in FORMS:
        order = FORMS[head]
        whole = int.from_bytes(content[4:8], order)
        yield from () if unknown(whole) else (whole + 8 - 1,)
        for name, place, size in _chunks(content, 12, order, 4):
            if name == b"ds64":  # the true lengths of a long WAV file, whose others are all bits
                yield int.from_bytes(content[place + 4 : place + 12], "little") + 8 - 1
            yield from (place + 4 + size,) if name in CONTENTS and not unknown(size) else ()
    elif head == b"caff":
        yield from (place + 8 + size for name, place, size in _chunks(content, 8, "big", 8) if size < 2**63)
    elif head == b"riff":  # of Sony's 64 bits
        yield int.from_bytes(content[16:24], "little")
    elif head in (b".snd", b"dns."):
        begin, size = (int.from_bytes(content[k : k + 4], "big" if head == b".snd" else "little") for k in (4, 8))
        yield begin + (0 if unknown(size) else size)
    elif head == b"NIST":
        yield from _declared_by_sphere(content)


def _declared_by_sphere(content: bytes) -> Iterator[int]:
    """The head of a NIST file is text; compressed ones do not say their length in bytes."""
    head = content[:1024]
    count, width, channels = (
        int(found[1]) if (found := re.search(rb"\b%s -i (\d{1,12})\b" % name, head)) else otherwise
        for name, otherwise in ((b"sample_count", 0), (b"sample_n_bytes", 1), (b"channel_count", 1))
    )
    yield 0 if b"shorten" in head else 1024 + count * width * channels


def _missing_pages(content: bytes) -> str:
    """An Ogg file is a row of pages, each of which says its length, and whose last says that it is the last."""
    begin, ended = 0, True
    while content[begin : begin + 4] == b"OggS":
        table = content[begin + 27 : begin + 27 + content[begin + 26]] if begin + 26 < len(content) else b""
        end = begin + 27 + len(table) + sum(table)
        if not table or end > len(content):
            return f"cut off after {len(content)} bytes, within a page"
        begin, ended = end, bool(content[begin + 5] & 4)
    return "" if ended else f"cut off after {len(content)} bytes, before its last page"
