"""The supplement says every parameter with its meaning, and which code answers; other scales are quoted as such."""

import json
from pathlib import Path

from tests.workflow.miniature import edit

from workflow.configuration import load_configuration
from workflow.manuscript import manuscript_identity, manuscript_inputs, product_states
from workflow.provenance import new_record
from workflow.supplement import code_index, defaults, fixed_in, settings


def loaded(scale="quick"):
    return load_configuration(Path(f"config/{scale}.yaml"))


def answer(question, configuration, numbers):
    """Products that say no more than they have to."""
    question.folder.mkdir(parents=True)
    (question.folder / "figure.svg").write_text("")
    (question.folder / "numbers.json").write_text(json.dumps(numbers))
    record = new_record(question, configuration, {}) | {"products": {}}
    (question.folder / "provenance.json").write_text(json.dumps(record))


def test_settings_are_those_of_the_products_with_the_notebooks_own_comments(miniature):
    line = loaded().questions["line"]
    assert settings([line])["line"] == {"scale": "quick", "rows": [("slope", 2.0, "unit: one"), ("points", 5, "")]}
    answer(line, loaded(), {})
    edit(Path("config/quick.yaml"), "slope: 2.0", "slope: 3.0")
    assert settings([loaded().questions["line"]])["line"]["rows"][0] == ("slope", 2.0, "unit: one")
    edit(Path("notebooks/line.py"), "slope = 1.0  #", "slope: float = max(\n    1.0, 2.0\n)  #")
    assert settings([loaded().questions["line"]])["line"]["rows"][0][0] == "points"  # what has to run is no plain value


def test_what_differs_in_the_full_study_stands_beside(miniature):
    quick = loaded()
    Path("config/paper.yaml").write_text("scale: paper\nquestions:\n  line: {slope: 5.0}\n")
    found = settings(quick.questions.values(), loaded("paper").questions)
    assert found["line"]["full"] == {"slope": 5.0}
    assert found["line"]["rows"][0] == ("slope", 2.0, "unit: one")
    assert "full" not in settings(quick.questions.values(), loaded("quick").questions)["line"]


def test_defaults_are_constants_and_fields_with_a_plain_value():
    source = '''
from typing import NamedTuple

RATE = 3e-3  # of Adam
BAND, LOOKS = (4.0, 30.0), dict()
SIZES = (128, 70)
lower = 1


class Learning(NamedTuple):
    """Of one kind."""

    rate: float
    penalty: float = 0.02  # on rates
    looks: tuple = tuple()
'''
    assert list(fixed_in(source)) == [
        ("RATE", "0.003", "of Adam"),
        ("SIZES", "(128, 70)", ""),
        ("Learning.penalty", "0.02", "on rates"),
    ]


def test_defaults_are_those_of_the_studies_that_a_notebook_reaches(miniature):
    Path("src/studies").mkdir()
    Path("src/studies/__init__.py").write_text("")
    Path("src/studies/line.py").write_text("from stablespike.drawing import title\n\nSTEPS = 7\nshown = title\n")
    edit(Path("notebooks/line.py"), "from stablespike.drawing import title", "from studies.line import shown as title")
    assert defaults(loaded().questions.values()) == {"src/studies/line.py": [("STEPS", "7", "")]}


def test_the_index_names_notebook_training_and_code(miniature):
    Path("src/studies").mkdir()
    Path("src/studies/__init__.py").write_text("")
    Path("src/studies/line.py").write_text("from stablespike.drawing import title\n\nshown = title\n")
    edit(Path("notebooks/line.py"), "from stablespike.drawing import title", "from studies.line import shown as title")
    questions = loaded().questions
    assert code_index(questions.values()) == {}  # nothing has a figure yet
    answer(questions["line"], loaded(), {})
    answer(questions["walk"], loaded(), {})
    found = code_index(questions.values())
    assert found["line"]["modules"] == ["src/studies/line.py"]
    assert found["line"]["library"] >= 1
    assert found["walk"]["training"] == "notebooks/walk-training.py"


def test_the_full_study_is_quoted_with_its_state(miniature):
    before = manuscript_identity(loaded(), product_states(loaded()))
    Path("config/paper.yaml").write_text("scale: paper\nquestions:\n  line: {slope: 5.0}\n")
    assert json.loads(manuscript_inputs(loaded())["quoted"]) == {}
    answer(loaded("paper").questions["line"], loaded("paper"), {"rise": 25.0})
    assert json.loads(manuscript_inputs(loaded())["quoted"]) == {
        "line": "older"
    }  # files that it has to have are missing
    assert json.loads(manuscript_inputs(loaded("paper"))["quoted"]) == {}
    assert manuscript_identity(loaded(), product_states(loaded())) != before
