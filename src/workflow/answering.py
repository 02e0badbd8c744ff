"""Answer one question: run its notebook, keep the executed copy, and record where the products come from."""

import argparse
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow.configuration import Configuration, Question, load_configuration
from workflow.copies import write_copies
from workflow.environment import set_environment
from workflow.execution import execute
from workflow.faults import Fault
from workflow.fingerprint import identity
from workflow.hashing import digest, file_digest
from workflow.job import end
from workflow.kept import MANIFEST, check, keep, restore
from workflow.machine import lock_in_use
from workflow.one_run import hold_lock
from workflow.provenance import new_record, products, raw_hash, write_json, write_record

CHECKPOINT = "checkpoint"
STARTED_BY = "WORKFLOW_PROCESS"
MADE_FROM = "made_from.txt"
UNFINISHED = "unfinished.ipynb"
KEPT_OUT_OF_MANIFEST = (MADE_FROM, UNFINISHED, Path(MANIFEST).name)


def answer(question: Question, configuration: Configuration, log: Path) -> None:
    """Run a question's notebook and write all its products."""
    raw = question.folder / "raw"
    check_training(question, configuration)
    clear_old_products(question.folder)
    prepare_raw(raw, digest([identity(question, configuration), lock_in_use()]))
    set_environment()
    executed, session = execute(question, configuration, raw / UNFINISHED, log)
    shutil.rmtree(raw / CHECKPOINT, ignore_errors=True)
    write_manifest(raw)
    if question.trains:
        keep(question.folder, configuration.kept.get(question.name, ["*"]))
    record = new_record(question, configuration, session) | {"raw": raw_hash(question)}
    write_copies(executed, record, question, configuration)
    if missing := [name for name in products(question) if not (question.folder / name).is_file()]:
        raise Fault(f"{question.notebook.path} ran but did not write {', '.join(missing)} into its results_folder.")
    (raw / UNFINISHED).unlink(missing_ok=True)
    write_record(question.folder, record)


def hold_alone(question: Question) -> None:
    """Keep a second run of the same question out: both would write into one folder."""
    name = f"{question.name} at scale {question.scale}"
    hold_lock(
        Path(".cache/answering", question.scale, f"{question.name}.lock"),
        f"Another run answers {name} now: wait until it ends, or stop it.",
    )


def check_training(question: Question, configuration: Configuration) -> None:
    """Have what the training left for this question, and stop if a file is gone or is another one."""
    if question.training is None:
        return
    folder = configuration.questions[question.training].folder
    restore(folder)
    check(folder)


def clear_old_products(folder: Path) -> None:
    """Remove what an earlier run wrote, so that nothing old passes for new; raw arrays and checkpoints stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()


def prepare_raw(raw: Path, made_from: str) -> None:
    """Make the folder of raw arrays; checkpoints of other code or parameters are thrown away, not resumed."""
    stamp = raw / MADE_FROM
    if raw.is_dir() and (not stamp.is_file() or stamp.read_text(encoding="utf-8") != made_from):
        shutil.rmtree(raw)
    raw.mkdir(exist_ok=True)
    stamp.write_text(made_from, encoding="utf-8")


def write_manifest(raw: Path) -> None:
    """List the raw files with their hashes, for the notebook that reads them."""
    files = (path for path in sorted(raw.rglob("*")) if path.is_file() and path.name not in KEPT_OUT_OF_MANIFEST)
    write_json(raw / Path(MANIFEST).name, {path.relative_to(raw).as_posix(): file_digest(path) for path in files})


def die_with_parent() -> None:
    """End this process soon after the workflow that started it was killed, so that it never races with the next.

    Which process that is, the rule says: it may have ended before this line, while libraries were imported.
    """
    parent = int(os.environ.pop(STARTED_BY, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def libraries_write_to(log: Path) -> Iterator[None]:
    """Send what the kernel's process and compiled libraries write to the terminal to the log instead."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    terminal = {number: os.dup(number) for number in (1, 2)}
    try:
        with log.open("a") as stream:
            for number in terminal:
                os.dup2(stream.fileno(), number)
        yield
    finally:
        for number, kept in terminal.items():
            os.dup2(kept, number)
            os.close(kept)


def main() -> None:
    """Answer one question of a configuration."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("configuration", type=Path, help="config/<scale>.yaml")
    parser.add_argument("question", help="the notebook's name without .py")
    parser.add_argument("--log", type=Path, help="where to write the notebook's output while it runs")
    arguments = parser.parse_args()
    die_with_parent()
    try:
        configuration = load_configuration(arguments.configuration)
        if arguments.question not in configuration.questions:
            raise Fault(f"{arguments.configuration} has no question {arguments.question}.")
        question = configuration.questions[arguments.question]
        hold_alone(question)
        log = arguments.log or Path("logs", question.scale, f"{question.name}.log")
        with libraries_write_to(log):
            answer(question, configuration, log)
    except Fault as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        end(f"{arguments.question} was interrupted: the next run goes on from its last checkpoint.")
    except (OSError, MemoryError) as error:
        sys.exit(f"{arguments.question} failed: {error or 'out of memory'}.")
