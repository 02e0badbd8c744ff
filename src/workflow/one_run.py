"""One run at a time in one folder, by a lock that dies with the process that holds it."""

import fcntl
from pathlib import Path
from typing import TextIO

from workflow.faults import Fault

LOCK = Path(".cache/run.lock")
HELD: list[TextIO] = []


def hold_lock() -> None:
    """Take the lock until this process ends, however it ends, or say that another run has it."""
    LOCK.parent.mkdir(exist_ok=True)
    stream = LOCK.open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise Fault("Another run is at work in this folder: wait until it ends, or stop it.") from error
    HELD.append(stream)
