"""A stale product is confirmed by a replay of a stated part that gives its numbers bit for bit, and only by that."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.miniature import edit, environment

from workflow.configuration import load_configuration
from workflow.faults import Fault
from workflow.manuscript import confirmations
from workflow.provenance import ANSWER, new_record, product_hashes, why_stale
from workflow.stale import confirmed_products

QUICK = Path("config/quick.yaml")
PART = """
confirm:
  line: {parameters: {points: 2}, same: {table.csv: {rows: [x], except: [seconds]}}}
"""
TABLE = '"x,y,seconds\\n" + "".join(f"{x},{slope * x},{points}\\n" for x in range(points))'


@pytest.fixture
def recorded(miniature):
    """The miniature with a part of its first question stated, and products of that question as of now."""
    edit(miniature / "notebooks/line.py", '"x,y\\n1,2\\n"', TABLE)
    edit(miniature / "notebooks/line.py", "print(title", "assert points == 5, points\nprint(title")
    with QUICK.open("a") as stream:
        stream.write(PART)
    configuration = load_configuration(QUICK)
    question = configuration.questions["line"]
    question.folder.mkdir(parents=True)
    for name in ANSWER:
        (question.folder / name).write_text("")
    rows = "".join(f"{x},{2.0 * x},{5}\n" for x in range(5))
    (question.folder / "table.csv").write_text(f"x,y,seconds\n{rows}")
    record = new_record(question, configuration, {}) | {"products": product_hashes(question.folder)}
    (question.folder / "provenance.json").write_text(json.dumps(record))
    return question.folder


def state():
    """Why the question is stale."""
    configuration = load_configuration(QUICK)
    return why_stale(configuration.questions["line"], configuration)


def run(*arguments):
    """Run the command."""
    command = [sys.executable, "-m", "workflow.confirm", *arguments]
    return subprocess.run(command, env=environment(Path.cwd()), capture_output=True, text=True, check=False)


def test_the_same_numbers_confirm(recorded):
    edit(Path("src/stablespike/drawing.py"), "value {", "the value {")
    assert state() == ["code: stablespike.drawing.title changed"]
    finished = run()
    assert finished.returncode == 0, finished.stderr
    assert "line: confirmed, the same 2 rows of table.csv" in finished.stdout
    assert state() == []
    stamp = json.loads((recorded / "provenance.json").read_text())["confirmed"]
    assert (stamp["parameters"], stamp["rows"]) == ({"points": 2}, {"table.csv": 2})
    assert confirmed_products("quick") == {"line": f"2 rows of table.csv on {stamp['when']}"}
    assert confirmations(load_configuration(QUICK))["line"]["rows"] == {"table.csv": 2}
    assert "nothing to confirm" in run("line").stdout
    edit(Path("src/stablespike/drawing.py"), "the value {", "this value {")
    assert state() == ["code: stablespike.drawing.title changed"]
    assert confirmed_products("quick") == {}


def test_other_numbers_do_not(recorded):
    edit(Path("notebooks/line.py"), "slope * x}", "slope * x * x}")
    edit(recorded / "table.csv", "1,2.0,", "1,2.0000000000000004,")
    record = json.loads((recorded / "provenance.json").read_text())
    record |= {"products": product_hashes(recorded), "session": {"processor": "abacus"}}
    (recorded / "provenance.json").write_text(json.dumps(record))
    finished = run("line")
    assert finished.returncode == 1
    assert (
        "line: table.csv, x 1: y is 2.0 now and 2.0000000000000004 in the record, which is of another processor (abacus"
        in finished.stderr
    )
    assert "confirmed" not in json.loads((recorded / "provenance.json").read_text())
    assert state() == ["code: notebook changed"]


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (
            "config/quick.yaml",
            "slope: 2.0",
            "slope: 3.0",
            "line cannot be confirmed, only made again: parameters: slope.",
        ),
        ("results/quick/line/table.csv", "3,6.0", "3,6.5", "only made again: table.csv was altered."),
        ("config/quick.yaml", "rows: [x]", "rows: [z]", "table.csv has no column z"),
        ("config/quick.yaml", "points: 2}", "points: 9}", "line: table.csv, x 5: the record has no such row"),
        ("config/quick.yaml", "points: 2}", "points: 0}", "the replay wrote no row of table.csv"),
        (
            "config/quick.yaml",
            "  line: {parameters",
            "  walk: {parameters",
            "config/quick.yaml: confirm.walk.parameters.points",
        ),
        ("config/quick.yaml", "same: {table.csv", "same: {more.csv", "results/quick/line/more.csv is not here"),
        (
            "config/quick.yaml",
            "  line: {parameters: {points: 2}, ",
            "  lines: {parameters: {}, ",
            "confirm.lines is not among",
        ),
    ],
)
def test_what_cannot_be_confirmed_is_said_in_a_sentence(recorded, file, old, new, sentence):
    edit(Path("src/stablespike/drawing.py"), "value {", "the value {")
    edit(Path(file), old, new)
    finished = run("line")
    assert finished.returncode == 1
    assert sentence in finished.stderr.splitlines()[-1], finished.stderr
    assert "confirmed" not in json.loads((recorded / "provenance.json").read_text())


def test_a_question_without_a_stated_part(recorded):
    edit(QUICK, PART, "")
    edit(Path("src/stablespike/drawing.py"), "value {", "the value {")
    assert "config/quick.yaml states no part of line to replay: add confirm.line." in run("line").stderr


def test_a_part_of_other_parameters_is_refused(recorded):
    edit(QUICK, "points: 2}", "point: 2}")
    with pytest.raises(Fault, match=r"confirm\.line\.parameters\.point is not a parameter"):
        load_configuration(QUICK)
