"""Mistakes that one sentence explains."""

from collections.abc import Iterable
from difflib import get_close_matches

MANY = 24  # names that one sentence lists


class Fault(Exception):
    """A mistake of the reader's or of the machine's, told in one sentence and without a traceback."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a clause that offers the nearest known name, or lists the known ones: all, or the first of many."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(names) - MANY} others" if len(names) > MANY + 1 else ""
    return f"known are: {', '.join(names[:MANY] if more else names)}{more}." if names else "none are known."
