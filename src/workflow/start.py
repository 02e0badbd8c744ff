"""Snakemake, started so that Ctrl-C or a place that can't be written ends it in a sentence: `./reproduce` calls it."""

import atexit
import builtins
import logging
import signal
import sys

from workflow import job
from workflow.faults import Fault
from workflow.one_run import leave, require_room

TRACEBACK = "Traceback (most recent call last)"
OF_THE_MACHINE = (OSError, MemoryError)


def main() -> None:
    """Run Snakemake with this program's arguments."""
    signal.signal(signal.SIGINT, leave)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Python takes handlers away while it ends
    try:
        from snakemake.cli import main as snakemake  # takes a second, in which Ctrl-C is no mishap either
        from snakemake.logging import logger
    except (ImportError, MemoryError) as error:  # a library that does not fit into a limit of memory cannot be loaded
        sys.exit(f"The run cannot begin: {' '.join(str(error).split()) or 'out of memory'}.")

    sys.argv[0] = "snakemake"
    logging.raiseExceptions = False  # a log that a full disk does not take is no reason to stop, nor for a traceback
    logger.addFilter(in_a_sentence)
    try:
        require_room()
        job.interruptible(snakemake, leave, job.leave)  # what is still at work ends with this process
    except Fault as fault:
        sys.exit(str(fault))
    except OF_THE_MACHINE as error:
        sys.exit(f"The run cannot go on: {error or 'out of memory'}.")


def in_a_sentence(record: logging.LogRecord) -> bool:
    """Say in a sentence what Snakemake would tell by a traceback, where the machine is to blame and not the code."""
    kind = getattr(builtins, str(getattr(record, "exception", None)), None)
    text = record.getMessage()
    if TRACEBACK in text and isinstance(kind, type) and issubclass(kind, OF_THE_MACHINE):
        record.msg, record.args = f"The run cannot go on: {text.strip().splitlines()[-1]}.", ()
    return True


if __name__ == "__main__":
    main()
