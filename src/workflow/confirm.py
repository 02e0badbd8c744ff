"""Replay a stated part of stale products with the present code, and confirm those whose numbers it gives again.

The part is stated in config/<scale>.yaml under `confirm`: parameters in place of the question's, and the tables whose
rows have to be recorded, bit for bit. What is confirmed counts as current, and says by what.
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workflow.configuration import Configuration, Question, load_configuration
from workflow.environment import set_environment
from workflow.execution import execute
from workflow.faults import Fault
from workflow.fingerprint import identity
from workflow.kept import check, restore
from workflow.machine import code_version, lock_in_use, processor
from workflow.one_run import hold_lock
from workflow.provenance import RECORD, differences, losses, raw_hash, read_record, why_stale, write_json

TERMINAL = Path("/dev/stderr")


def confirm(question: Question, configuration: Configuration) -> dict[str, int]:
    """Replay a question's stated part and stamp its record; return how many rows of each table were the same."""
    record, part = read_record(question.folder), configuration.confirm.get(question.name)
    if part is None:
        raise Fault(
            f"config/{question.scale}.yaml states no part of {question.name} to replay: add confirm.{question.name}."
        )
    if record is None:
        raise Fault(f"{question.folder} has no {RECORD}: there is nothing to confirm, run the question.")
    now = identity(question, configuration)
    require_confirmable(question, configuration, record, now)
    with TemporaryDirectory() as folder:
        replay(question, configuration, part["parameters"], Path(folder))
        rows = {table: compare(question, table, same, Path(folder)) for table, same in part["same"].items()}
    stamp = {"parameters": part["parameters"], "rows": rows, "when": datetime.now(UTC).date().isoformat()}
    stamp |= {"code_version": code_version(), "identity": now, "lock": lock_in_use(), "processor": processor()}
    write_json(question.folder / RECORD, record | {"confirmed": stamp})
    return rows


def require_confirmable(
    question: Question, configuration: Configuration, record: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Raise a Fault where something else than the code has changed, which no replay of a part can make good."""
    unlike = [why for why in differences({**record["identity"], "code": now["code"]}, now) if why != "training changed"]
    lost = [why for why in losses(question, record) if not why.startswith("lock: ")]
    if unlike or lost:
        raise Fault(f"{question.name} cannot be confirmed, only made again: {'; '.join([*unlike, *lost])}.")
    if question.training:
        training = configuration.questions[question.training]
        if why_stale(training, configuration):
            raise Fault(f"{question.name} hangs on {training.name}, which is stale: confirm that first.")
        restore(training.folder)
        check(training.folder)


def replay(question: Question, configuration: Configuration, parameters: Mapping[str, Any], folder: Path) -> None:
    """Run a part of a question in a folder of its own; what it claims of the whole is not asserted of the part."""
    part = replace(question, parameters={**question.parameters, **parameters}, place=folder)
    (folder / "raw").mkdir()
    set_environment()
    execute(part, configuration, folder / "raw/unfinished.ipynb", TERMINAL, claims=False)


def compare(question: Question, table: str, same: Mapping[str, Sequence[str]], folder: Path) -> int:
    """Return how many rows of a table the replay gives again; a Fault names the first number that it does not."""
    recorded = dict(keyed(recorded_table(question, table), same, table))
    replayed = list(keyed(folder / table, same, table))
    if not replayed:
        raise Fault(f"{question.name}: the replay wrote no row of {table}, so that it confirms nothing.")
    for key, row in replayed:
        where = f"{question.name}: {table}, {', '.join(f'{n} {v}' for n, v in zip(same['rows'], key, strict=False))}"
        if key not in recorded:
            raise Fault(f"{where}: the record has no such row, so that the replay is no part of it.")
        for column in [*recorded[key], *row]:
            if recorded[key].get(column) != row.get(column):
                numbers = f"{row.get(column)} now and {recorded[key].get(column)} in the record"
                raise Fault(f"{where}: {column} is {numbers}{elsewhere(question)}.")
    return len(replayed)


def elsewhere(question: Question) -> str:
    """Return, as a clause, that the record is of another processor, where last digits may differ for that alone."""
    recorded = (read_record(question.folder) or {}).get("session", {}).get("processor")
    here = processor()
    return f", which is of another processor ({recorded}, this is {here})" if recorded not in (None, here) else ""


def recorded_table(question: Question, table: str) -> Path:
    """Return a table as it was recorded; one among the raw files has to be what the training wrote."""
    file = question.folder / table
    if file.parent != question.folder:
        restore(question.folder)
    if not file.is_file():
        raise Fault(f"{file} is not here, so that there is nothing to compare with: run the question.")
    if file.parent != question.folder:
        check(question.folder)
        if raw_hash(question) != (read_record(question.folder) or {}).get("raw"):
            raise Fault(f"{file.parent} is of another run than {question.folder / RECORD}: run the question.")
    return file


def keyed(
    file: Path, same: Mapping[str, Sequence[str]], table: str
) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Yield the rows of a table as texts under what tells them apart, without the columns that are excepted."""
    if not file.is_file():
        raise Fault(f"The replay wrote no {table}: correct `same` in the part that is stated.")
    seen: Counter[tuple[str, ...]] = Counter()
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if missing := [name for name in (*same["rows"], *same.get("except", [])) if name not in row]:
                raise Fault(f"{table} has no column {missing[0]}: correct the part that is stated.")
            key = tuple(row[name] for name in same["rows"])
            seen[key] += 1
            yield (
                (*key, str(seen[key])),
                {name: text for name, text in row.items() if name not in same.get("except", [])},
            )


def chosen(names: Sequence[str], configuration: Configuration) -> list[Question]:
    """Return the named questions, or all that are stale and of which a part is stated; trainings first."""
    for name in names:
        if name not in configuration.questions:
            raise Fault(f"config/{configuration.scale}.yaml has no question {name}.")
    wanted = [configuration.questions[name] for name in (names or configuration.confirm)]
    return sorted(wanted, key=lambda question: not question.trains)


def attend_to(question: Question, configuration: Configuration) -> None:
    """Confirm one question if it is stale, and say so."""
    if not (why := why_stale(question, configuration)):
        print(f"{question.name}: current, nothing to confirm")
        return
    print(f"{question.name}: replaying a part, for it is stale ({'; '.join(why)})", flush=True)
    rows = confirm(question, configuration)
    print(f"{question.name}: confirmed, the same {', '.join(f'{n} rows of {table}' for table, n in rows.items())}")


def main() -> None:
    """Confirm stale products by a replay of a part; the exit status says whether one gave other numbers."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--scale", default="quick", help="quick if not given")
    parser.add_argument("questions", nargs="*", help="all that are stale and have a stated part, if none is given")
    arguments = parser.parse_args()
    failed = False
    try:
        configuration = load_configuration(Path("config", f"{arguments.scale}.yaml"))
        questions = chosen(arguments.questions, configuration)
        hold_lock()
    except Fault as fault:
        sys.exit(str(fault))
    for question in questions:
        try:
            attend_to(question, configuration)
        except Fault as fault:
            failed = True
            print(fault, file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
