"""Random cases, and how many end in a result, a sentence of ours, a foreign traceback, something wrong, or a hang."""

import linecache
import random
import re
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

NATIVE = Path(__file__).parents[2] / "src/stablespike/native"
SECONDS = 20  # a case that takes longer hangs
OUTCOMES = ("result", "sentence", "foreign", "wrong", "hang")
Case = Callable[[random.Random], tuple[str, Callable[[], str | None]]]


class Outcome(NamedTuple):
    """What became of one case: one of `OUTCOMES`, what was said, where, and what the case was."""

    kind: str
    said: str
    place: str
    case: str


class Said(Exception):
    """A sentence of the library's own."""


class Hang(BaseException):
    """A case that does not end; no `except Exception` of a library may swallow it."""


def counted(
    case: Case, count: int, seed: int, sentences: tuple[type[Exception], ...], seconds: int | None = None
) -> list[Outcome]:
    """Run `count` cases of one seed; `case(random)` gives a description and a call that returns what is wrong, or None.

    The exceptions in `sentences` are how the product tells a mistake; every other one is foreign. A case that takes
    longer than so many `seconds` (default `SECONDS`) hangs.
    """
    return [outcome(*case(random.Random(f"{seed}-{number}")), sentences, seconds) for number in range(count)]


def outcome(
    description: str, call: Callable[[], str | None], sentences: tuple[type[Exception], ...], seconds: int | None = None
) -> Outcome:
    """Return what becomes of one case."""

    def give_up(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds or SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrong = call()
    except Hang:
        return Outcome("hang", "", "", description)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        one_line = isinstance(error, sentences) and "\n" not in str(error) and len(str(error)) < 1000
        return Outcome("sentence" if one_line else "foreign", said, f"{frame.filename}:{frame.lineno}", description)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Outcome("wrong" if wrong else "result", wrong or "", "", description)


def told(call: Callable[[], str | None], ours: tuple[type[Exception], ...]) -> str | None:
    """The call, whose errors of these types are sentences only where a line of ours raises them."""
    try:
        return call()
    except TypeError as error:
        if re.match(r"[\w.]+\(\) (missing|takes|got an unexpected|got multiple)", str(error)):
            raise Said("Python says which argument is missing or too many") from error
        raise
    except ours as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raised = "/stablespike/" in frame.filename and "raise" in linecache.getline(frame.filename, frame.lineno or 0)
        if (raised or carried(error)) and str(error).endswith((".", ")")):
            raise Said(str(error)) from error
        raise RuntimeError(f"foreign: {type(error).__name__}: {error}").with_traceback(error.__traceback__) from None


def carried(error: Exception) -> bool:
    """Whether an error is a sentence of a kernel of ours, which reaches Python through XLA."""
    found = re.match(r"FAILED_PRECONDITION: (.{30})", str(error))
    return bool(found) and found[1] in kernels()


@cache
def kernels() -> str:
    """The source of all native code."""
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(NATIVE.rglob("*.py")))


def table(name: str, outcomes: list[Outcome]) -> str:
    """Return the counts as a line, and one example of every kind of failure below it."""
    counts = Counter(found.kind for found in outcomes)
    lines = [f"{name}: {len(outcomes)} cases; " + ", ".join(f"{kind} {counts[kind]}" for kind in OUTCOMES)]
    examples = {(found.kind, found.place): found for found in outcomes if found.kind not in ("result", "sentence")}
    lines += [f"  {found.kind} at {found.place}: {found.said:.200} <- {found.case:.200}" for found in examples.values()]
    return "\n".join(lines)
