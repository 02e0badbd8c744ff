"""A wrong configuration is refused before anything runs, in one sentence that names key and file."""

import json
import subprocess
import sys

import pytest
import yaml
from tests.workflow.miniature import edit

from workflow.configuration import check_configuration, load_configuration
from workflow.faults import MANY, Fault, did_you_mean
from workflow.plan import Plan

FILE = "config/quick.yaml"


def complaint(miniature):
    with pytest.raises(Fault) as raised:
        load_configuration(miniature / FILE)
    text = str(raised.value)
    assert FILE in text or "notebooks/" in text
    assert "\n" not in text
    return text


def test_reads_questions_with_their_training(miniature):
    configuration = load_configuration(miniature / FILE)
    assert configuration.questions["walk"].training == "walk-training"
    assert configuration.questions["line"].training is None
    assert configuration.questions["line"].effective_parameters() == {"slope": 2.0, "points": 5}


@pytest.mark.parametrize(("alone", "cores"), [(None, [8, 8]), ("[line]", [8, 4]), ("[]", [4, 4])])
def test_all_but_what_is_timed_run_two_at_a_time_where_that_is_said(miniature, alone, cores):
    if alone:
        edit(miniature / FILE, "scale: quick", f"scale: quick\nalone: {alone}")
    plan = Plan(load_configuration(miniature / FILE), {})
    assert [plan.cores(name, 8) for name in ("line", "walk-training")] == cores
    assert plan.cores("line", 1) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("scale: quick", "scal: quick", "scale"),
        ("scale: quick", "scale: quick\nquestion: 3", "unknown key question; did you mean 'questions'?"),
        ("scale: quick", "scale: 3", "scale must be string, not 3."),
        ("scale: quick", "scale: quick\nalone: [lime]", "alone.lime is not among the questions; did you mean 'line'?"),
        ("slope: 2.0", "slop: 2.0", "line.slop is not a parameter of notebooks/line.py; did you mean 'slope'?"),
        ("slope: 2.0", "slope: steep", "line.slope should be of type float as in notebooks/line.py, not 'steep'."),
        ("slope: 2.0", "slope: 1e-3", "(YAML reads 1e-3 as text: write 1.0e-3)"),
        ("slope: 2.0", "points: 2.5", "line.points should be of type int"),
        ("slope: 2.0", "points: true", "line.points should be of type int"),
        ("seeds: [1, 2]", "seeds: [1, two]", "walk-training.seeds should be of type list"),
        ("seeds: [1, 2]", "results_folder: here", "results_folder is a path, which the workflow supplies."),
        ("walk: {}", "wolk: {}", "questions.wolk has no notebook notebooks/wolk.py; did you mean 'walk'?"),
        ("line: {slope: 2.0}", "line: 3", "questions.line must be object or null, not 3."),
        ("walk-training: {seeds: [1, 2], steps: 60, pause: 0.05}", "", "add questions.walk-training"),
        ("line: {slope: 2.0}", "line: {slope: 2.0", "is not YAML"),
    ],
)
def test_refuses(miniature, old, new, expected):
    edit(miniature / FILE, old, new)
    assert expected in complaint(miniature)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ('["quick/wolk"]', "line.answers holds quick/wolk, which no notebook gives; did you mean 'quick/walk'?"),
        ('["quick/line"]', "these questions read each other's answers: line <- line."),
        ('["walk"]', "line.answers holds 'walk', which is not of the form scale/question."),
        ('["../etc/walk"]', "which is not of the form scale/question."),
        ('["/quick/walk"]', "which is not of the form scale/question."),
        ("[1]", "line.answers holds 1, which is not of the form scale/question."),
        ('"quick/walk"', "line.answers should be a list of texts scale/question, not 'quick/walk'."),
        ('["quick/" + str(points)]', "line.answers is no plain list of texts in notebooks/line.py"),
    ],
)
def test_answers_that_nobody_gives_are_refused(miniature, answers, expected):
    edit(miniature / "notebooks/line.py", "points = 5", f"points = 5\nanswers = {answers}")
    assert expected in complaint(miniature)


def test_of_many_known_names_a_sentence_lists_the_first():
    names = [f"n{number:03}" for number in range(100)]
    assert did_you_mean("n04x2", ["n042", "walk"]) == "did you mean 'n042'?"
    assert did_you_mean("zebra", names[: MANY + 1]) == f"known are: {', '.join(names[: MANY + 1])}."
    assert did_you_mean("zebra", names) == f"known are: {', '.join(names[:MANY])} and {100 - MANY} others."
    assert did_you_mean("zebra", []) == "none are known."


def test_questions_that_read_each_other_are_refused(miniature):
    edit(miniature / "notebooks/line.py", "points = 5", 'points = 5\nanswers = ("quick/walk",)')
    assert list(load_configuration(miniature / FILE).questions["line"].answers()) == ["quick/walk"]  # of a tuple, too
    edit(miniature / "notebooks/walk-training.py", "steps = 3", 'steps = 3\nanswers = ["quick/line"]')
    assert "read each other's answers: " in complaint(miniature)
    edit(miniature / "notebooks/walk-training.py", '["quick/line"]', '["paper/line"]')  # of another scale: no circle
    load_configuration(miniature / FILE)


def test_refuses_a_notebook_without_parameters_cell(miniature):
    edit(miniature / "notebooks/line.py", 'tags=["parameters"]', "")
    assert "notebooks/line.py has no cell tagged parameters" in complaint(miniature)


def test_an_integer_stands_for_a_float(miniature):
    edit(miniature / FILE, "slope: 2.0", "slope: 2")
    load_configuration(miniature / FILE)


def test_limits_can_be_added_to_the_schema(miniature):
    schema = yaml.safe_load((miniature / "config/config.schema.yaml").read_text())
    schema["properties"]["questions"]["properties"] = {"line": {"properties": {"slope": {"maximum": 1}}}}
    (miniature / "config/config.schema.yaml").write_text(yaml.safe_dump(schema))
    assert "questions.line.slope must be smaller than or equal to 1, not 2.0." in complaint(miniature)


def test_the_environment_names_the_data_folder(miniature, monkeypatch):
    monkeypatch.setenv("STABLESPIKE_DATA", "/somewhere")
    assert str(load_configuration(miniature / FILE).data_folder) == "/somewhere"


def test_a_missing_key_is_named_with_the_one_that_may_be_it():
    with pytest.raises(Fault, match=r"^x\.yaml: the key scale is missing, and the key scal is unknown\.$"):
        check_configuration({"scal": "quick", "questions": {"first-steps": {}}}, "x.yaml")


def handed_on(value, tmp_path):
    """A parameter as the job reads it back from the file that it is handed."""
    file = tmp_path / "part.json"
    file.write_text(json.dumps({"scale": "quick", "questions": {"line": {"slope": value}}}))
    return load_configuration(file).questions["line"].parameters["slope"]


@pytest.mark.parametrize("text", ["1.0e-5", "2.5e-7", "1.0e+16", "1.0e+300", "5.0e-324", "-0.0", "3"])
def test_a_job_reads_the_number_that_was_written(miniature, tmp_path, text):
    edit(miniature / FILE, "slope: 2.0", f"slope: {text}")
    written = load_configuration(miniature / FILE).questions["line"].parameters["slope"]
    assert written == float(text)
    assert repr(handed_on(written, tmp_path)) == repr(written)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("slope: 2.0", "slope: .inf", "questions.line.slope is inf, and a parameter has to be finite."),
        ("slope: 2.0", "slope: .nan", "questions.line.slope is nan, and a parameter has to be finite."),
        ("seeds: [1, 2]", "seeds: [1, .nan]", "questions.walk-training.seeds[1] is nan"),
        ("seeds: [1, 2]", f"seeds: [{10**19}]", "questions.walk-training.seeds[0] does not fit 64 bits."),
        ("seeds: [1, 2]", f"seeds: [{'9' * 5000}]", "is not YAML"),
        ("slope: 2.0", "slope: 2024-13-01", "is not YAML: month must be in 1..12."),
        ("slope: 2.0", "slope: 2024-12-01", "put it in quotes if it is a text."),
        ("slope: 2.0", "3: 2.0", "questions.line has the key 3, which is not text"),
        ("walk: {}", "5: {}", "questions has the key 5, which is not text"),
        ("scale: quick", "scale: quick\non: 3", "quick.yaml has the key True, which is not text"),
        ("scale: quick", "scale: quick\nscale: paper", "the key scale comes twice"),
        ("walk: {}", "walk: {}\n  line: {slope: 3.0}", "the key line comes twice"),
        ("scale: quick", f"scale: {'a' * 300}", "scale must be shorter than or equal to 60 characters, not 'aaa"),
        ("scale: quick", 'scale: quick\ndata_folder: "a\\0b"', "data_folder holds a character that no file can hold"),
        ("scale: quick", 'scale: quick\ndata_folder: "\\ud800"', "data_folder holds a character that no file can hold"),
        ("questions:", "questions: &all\n  self: *all", "nests too deep, or an entry contains itself."),
        ("slope: 2.0", f"slope: {'[' * 3000}", "nests too deep."),
    ],
)
def test_refuses_what_a_job_could_not_be_handed(miniature, old, new, expected):
    edit(miniature / FILE, old, new)
    found = complaint(miniature)
    assert expected in found
    assert len(found) < 500


def test_refuses_a_file_that_cannot_be_read(miniature):
    (miniature / FILE).write_bytes("scale: quick # für".encode("latin-1"))
    assert complaint(miniature).endswith("quick.yaml is not UTF-8 (at byte 16): save it as UTF-8.")
    (miniature / FILE).unlink()
    (miniature / FILE).mkdir()
    assert complaint(miniature).endswith("quick.yaml cannot be read: Is a directory.")


def test_a_part_that_was_cut_off_is_named(miniature):
    file = miniature / "part.json"
    file.write_text('{"scale": "qui')
    with pytest.raises(Fault, match=r"part\.json is not JSON"):
        load_configuration(file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\xff\xfe", "is not UTF-8"), (b"", "holds no keys"), (b"a: [", "is not YAML"), (b"3: 4", "not text")],
)
def test_a_file_is_looked_at_before_snakemake_reads_it(tmp_path, content, expected):
    file = tmp_path / "odd.yaml"
    file.write_bytes(content)
    command = [sys.executable, "-m", "workflow.configuration", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert expected in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_a_readable_file_is_let_through(miniature):
    command = [sys.executable, "-m", "workflow.configuration", str(miniature / FILE)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = 1\0", b"x = ("])
def test_a_notebook_that_is_no_python_is_named(miniature, content):
    (miniature / "notebooks/line.py").write_bytes(content)
    assert "notebooks/line.py" in complaint(miniature)
