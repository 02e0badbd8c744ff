"""One run at a time in one folder, by a lock that dies with the process that holds it; and when that process ends."""

import fcntl
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from workflow.faults import Fault
from workflow.job import end

INPUTS = ("notebooks", "src", "manuscript", "results", ".cache/plans", ".cache/prose", ".cache/data", ".cache/spikes")
LOCK = Path(".cache/run.lock")
ROOM = 1_000_000  # bytes
HELD: list[TextIO] = []


def require_folders(folders: Iterable[Path]) -> None:
    """Stop where something else has the place of a folder."""
    for place in (place for folder in folders for place in (folder, *folder.parents)):
        if place.exists() and not place.is_dir():
            raise Fault(f"{place} is not a folder, and products or logs go there: remove it, or give it another name.")


def settle_times() -> None:
    """Make what seems to come from the future a little older than now: the clock may have been put back.

    Snakemake throws away what a job has just made if an input is younger; what has to run is decided by content.
    """
    now = time.time()
    for path in (path for folder in INPUTS for path in Path(folder).rglob("*")):
        if path.is_file() and path.stat().st_mtime > now:
            os.utime(path, (now - 60, now - 60))


def require_room() -> None:
    """Stop before Snakemake answers a full disk, or one that cannot be written, by a traceback."""
    for folder in (LOCK.parent, Path(".snakemake")):
        trial = folder / "room"
        try:
            folder.mkdir(exist_ok=True)
            trial.write_bytes(bytes(ROOM))
            trial.unlink()
        except OSError as error:
            raise Fault(f"No {ROOM / 1e6:.0f} MB can be written to {folder} ({error.strerror}): make room.") from error


def begin() -> None:
    """Take the lock, leave Ctrl-C to Snakemake, which stops its jobs, and end when nobody reads any more."""
    hold_lock()
    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    stop_without_reader()


def hold_lock(
    lock: Path = LOCK, taken: str = "Another run is at work in this folder: wait until it ends, or stop it."
) -> None:
    """Take the lock until this process ends, however it ends, or say that it is `taken`."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError as error:
        raise Fault(f"{lock} cannot be written ({error.strerror}), and it keeps two runs apart.") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise Fault(taken) from error
    except OSError as error:
        stream.close()
        raise Fault(f"{lock} cannot be locked ({error.strerror}): put the repository on a disk with locks.") from error
    HELD.append(stream)


def leave(*_: object) -> None:
    """End this process at once: nothing runs yet that would have to be stopped."""
    end("Interrupted before anything began.")


def stop_without_reader() -> None:
    """End this run when the reader of its output goes away; its jobs end with it.

    Snakemake's threads would end at their next message, the run would not, and its lock would stay. Its own way to stop
    waits for the jobs that run, which may be hours.
    """
    pipes = [number for number in (1, 2) if is_pipe(number)]
    if pipes:
        threading.Thread(target=end_when_closed, args=(pipes,), daemon=True).start()


def is_pipe(number: int) -> bool:
    """Return whether an open file is a pipe."""
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode)
    except OSError:
        return False


def end_when_closed(pipes: list[int]) -> None:
    """Wait until nobody reads one of the pipes, and end this process."""
    watched = select.poll()
    for number in pipes:
        watched.register(number, 0)  # an error is reported unasked
    while not any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll()):
        pass
    os._exit(128 + signal.SIGPIPE)
