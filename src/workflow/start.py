"""Snakemake, started so that Ctrl-C while it reads and plans ends it in a sentence: `./reproduce` calls this."""

import logging
import signal
import sys

from workflow.faults import Fault
from workflow.one_run import leave, require_room


def main() -> None:
    """Run Snakemake with this program's arguments."""
    signal.signal(signal.SIGINT, leave)
    try:
        from snakemake.cli import main as snakemake  # takes a second, in which Ctrl-C is no mishap either
    except (ImportError, MemoryError) as error:  # a library that does not fit into a limit of memory cannot be loaded
        sys.exit(f"The run cannot begin: {' '.join(str(error).split()) or 'out of memory'}.")

    sys.argv[0] = "snakemake"
    logging.raiseExceptions = False  # a log that a full disk does not take is no reason to stop, nor for a traceback
    try:
        require_room()
        snakemake()
    except Fault as fault:
        sys.exit(str(fault))
    except (OSError, MemoryError) as error:
        sys.exit(f"The run cannot go on: {error or 'out of memory'}.")


if __name__ == "__main__":
    main()
