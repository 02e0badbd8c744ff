"""How far numbers move between two machines: the results of one scale from one and the other, number by number.

    python -m workflow.compare results/quick /other/clone/results/quick

Products of chaotic trainings move with the processor. What both folders hold of the same code, parameters and data is
compared; the rest is named. `--write FILE` keeps the comparison, with both processors, for the manuscript.
"""

import argparse
import json
import math
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from workflow.faults import Fault
from workflow.provenance import read_record, write_json

LARGE = 1e-3  # a part in a thousand: what a reader would see
SHOWN = 3


def compare(one: Path, other: Path, without: Collection[str] = ()) -> dict[str, Any]:
    """Return both processors and, for each question, how many numbers there are, and those that differ visibly.

    A Fault says where the folders cannot be compared: other code or parameters, or no question in common.
    """
    for folder in (one, other):
        if not folder.is_dir():
            raise Fault(f"{folder} is not a folder of results.")
    questions, unlike, processors = {}, [], set()
    for folder in sorted(path for path in other.iterdir() if (path / "numbers.json").is_file()):
        records = [read_record(root / folder.name) for root in (one, other)]
        if None in records or folder.name in without or not (one / folder.name / "numbers.json").is_file():
            continue
        first, second = (record or {} for record in records)
        if first["identity"] != second["identity"] or first["lock"] != second["lock"]:
            unlike.append(folder.name)
            continue
        processors.add(tuple(record["session"]["processor"] for record in (first, second)))
        questions[folder.name] = differences(*(numbers(root / folder.name) for root in (one, other)))
    if not questions:
        raise Fault(
            f"{one} and {other} have no results of the same code and parameters: {', '.join(unlike) or 'none'}."
        )
    if len(processors) > 1:
        raise Fault(f"one of the two folders was made on several processors: {sorted(processors)}.")
    return {"processors": list(processors.pop()), "questions": questions, "unlike": unlike}


def numbers(folder: Path) -> dict[str, float]:
    """Return the numbers of a question by their path, such as `accuracy.mean`."""
    return dict(leaves(json.loads((folder / "numbers.json").read_text(encoding="utf-8")), ""))


def leaves(content: Any, path: str) -> Iterator[tuple[str, float]]:
    """Yield numbers with their paths."""
    if isinstance(content, dict | list):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, content


def differences(one: dict[str, float], other: dict[str, float]) -> dict[str, Any]:
    """Return how many numbers there are, how many differ at all, and both values of those that differ visibly."""
    common = sorted(one.keys() & other.keys())
    unequal = [name for name in common if not same(one[name], other[name])]
    large = {name: [one[name], other[name]] for name in unequal if distance(one[name], other[name]) > LARGE}
    return {"numbers": len(common), "unequal": len(unequal), "visible": large}


def same(one: float, other: float) -> bool:
    """Return whether two numbers are the same, nan being itself."""
    return one == other or (math.isnan(one) and math.isnan(other))


def distance(one: float, other: float) -> float:
    """Return the relative difference of two numbers; infinite where one of them is not finite."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other))


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the comparison as a table for people."""
    yield " and ".join(found["processors"])
    for question, row in found["questions"].items():
        visible, count = row["visible"], f"{row['unequal']} of {row['numbers']}"
        yield f"  {question}: {count} numbers differ, {len(visible)} by more than {LARGE:g}"
        for name, (one, other) in sorted(visible.items(), key=lambda item: -distance(*item[1]))[:SHOWN]:
            yield f"    {name}: {one:.6g} and {other:.6g}"
    if found["unlike"]:
        yield f"  not of the same code, parameters or lock: {', '.join(found['unlike'])}"


def main() -> None:
    """Compare two folders and print it; keep it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", type=Path, help="a folder of results, results/quick for one")
    parser.add_argument("other", type=Path, help="the same, made on another machine")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the comparison in this JSON file")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="QUESTION", help="questions whose numbers are times"
    )
    arguments = parser.parse_args()
    try:
        found = compare(arguments.one, arguments.other, arguments.without)
    except Fault as fault:
        sys.exit(str(fault))
    print("\n".join(lines(found)))
    if arguments.write:
        write_json(arguments.write, found)


if __name__ == "__main__":
    main()
