"""A wrong configuration is refused before anything runs, in one sentence that names key and file."""

import pytest
import yaml
from tests.workflow.miniature import edit

from workflow.configuration import check_configuration, load_configuration
from workflow.faults import Fault

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


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("scale: quick", "scal: quick", "scale"),
        ("scale: quick", "scale: quick\nquestion: 3", "unknown key question; did you mean 'questions'?"),
        ("scale: quick", "scale: 3", "scale must be string, not 3."),
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
