"""A module of the workflow as a process of its own, which Ctrl-C ends in a sentence at every moment.

`python -m workflow.job manuscript config/quick.yaml` is `python -m workflow.manuscript config/quick.yaml`, but takes
Ctrl-C from its first line on: libraries take seconds to import. Until that line `python()` holds Ctrl-C back.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import FrameType
from typing import NoReturn

# Python's own start answers Ctrl-C by a traceback: it is kept until it can be answered, or else ignored.
KEPT_BACK = "exec env --block-signal=INT"
IGNORED = "trap '' INT; exec env"
INTERRUPTED = "Interrupted: the next run goes on from what is there."
ENDED_BY_CTRL_C = 128 + signal.SIGINT
Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@cache
def python() -> str:
    """Return how a rule's shell starts Python: in its own place, told who started it, Ctrl-C held back."""
    trial = ["env", "--block-signal=INT", "true"]
    try:
        can_wait = subprocess.run(trial, capture_output=True, check=False).returncode == 0
    except OSError:
        can_wait = False
    return f"{KEPT_BACK if can_wait else IGNORED} WORKFLOW_PROCESS=$PPID {shlex.quote(sys.executable)}"


def leave(_: int = 0, __: FrameType | None = None) -> NoReturn:
    """End this process at once where nothing has to be put in order."""
    end(INTERRUPTED)


def end(sentence: str) -> NoReturn:
    """End this process with a sentence, before what libraries left behind can complain."""
    with suppress(OSError, RuntimeError, ValueError):  # nobody reads, or it is being written to at this moment
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, f"\n{sentence}\n".encode())
    os._exit(ENDED_BY_CTRL_C)


def start(module: str) -> None:
    """Import a module of the workflow and run its `main` with this program's arguments."""
    signal.signal(signal.SIGINT, leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        run = import_module(f"workflow.{module}").main
    except (ImportError, MemoryError) as error:  # a library that does not fit into a limit of memory cannot be loaded
        sys.exit(f"{module} cannot begin: {' '.join(str(error).split()) or 'out of memory'}.")
    try:
        interruptible(run, signal.default_int_handler, signal.SIG_IGN)  # Python ends within milliseconds
    except (OSError, MemoryError) as error:
        sys.exit(f"{module} failed: {error or 'out of memory'}.")


def interruptible(run: Callable[[], None], first: Handler, afterwards: Handler) -> None:
    """Run what puts things in order at Ctrl-C, and end then.

    Ctrl-C is answered by `first` as long as `run` sets nothing else, by `afterwards` while Python ends.
    """
    try:
        try:
            signal.signal(signal.SIGINT, first)
            run()
        finally:
            signal.signal(signal.SIGINT, afterwards)
    except KeyboardInterrupt:
        leave()


if __name__ == "__main__":
    start(sys.argv.pop(1))
