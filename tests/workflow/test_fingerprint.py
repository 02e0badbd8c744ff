"""Products depend on the definitions that their notebook reaches, not on comments, places and other definitions."""

from pathlib import Path

import pytest
from tests.workflow.miniature import edit

from workflow.configuration import load_configuration
from workflow.fingerprint import code_hashes, identity, sources
from workflow.notebook import Notebook
from workflow.plan import decide


def identities():
    configuration = load_configuration(Path("config/quick.yaml"))
    return {name: identity(question, configuration) for name, question in configuration.questions.items()}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("notebooks/line.py", "# # Does a line rise?", "# # Does the line rise?", set()),
        ("notebooks/line.py", "# unit: one", "# unit: volts", set()),
        ("notebooks/line.py", "slope = 1.0", "slope = 7.0", set()),  # overridden by the configuration
        ("notebooks/line.py", "points = 5", "points = 6", {"line"}),
        ("notebooks/line.py", "slope * points}", "slope + points}", {"line"}),
        ("src/stablespike/drawing.py", "Return a title.", "Return the title.", set()),
        ("src/stablespike/drawing.py", "def title", "# why\ndef title", set()),
        ("src/stablespike/drawing.py", "value {", "is {", {"line", "walk"}),
        ("src/stablespike/walking.py", "-1", "-2", {"walk-training", "walk"}),
        ("config/quick.yaml", "steps: 60", "steps: 61", {"walk-training", "walk"}),
        ("config/quick.yaml", "slope: 2.0", "slope: 3.0", {"line"}),
    ],
)
def test_what_an_edit_changes(miniature, file, old, new, changed):
    before = identities()
    edit(miniature / file, old, new)
    after = identities()
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_question_that_reads_answers_depends_on_their_numbers_and_tables(miniature):
    edit(miniature / "notebooks/line.py", "points = 5", 'points = 5\nanswers = ["quick/walk", "full/walk"]')
    assert set(identities()["line"]["answers"].values()) == {None}
    folder = miniature / "results/quick/walk"
    folder.mkdir(parents=True)
    (folder / "numbers.json").write_text("1")
    before = identities()
    (folder / "numbers.json").write_text("2")
    assert {name for name, one in identities().items() if before[name] != one} == {"line"}
    (folder / "figure.svg").write_text("new")
    assert identities()["line"]["answers"]["results/quick/walk/table.csv"] is None
    plan = decide(load_configuration(Path("config/quick.yaml")))
    assert plan.answers("line") == ["results/quick/walk/provenance.json"]  # of this scale alone
    assert plan.answers("walk") == []


def test_the_rule_depends_on_the_files_that_definitions_lie_in(miniature):
    package = miniature / "src/stablespike"
    for name in ("room", "room/inner", "hall"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text("")
    (package / "room/a.py").write_text("from . import b\nfrom ..hall.c import thing\n\n\nshown = thing, b.step\n")
    (package / "room/b.py").write_text("import stablespike.room.inner.d as d\n\nstep = d.step\n")
    (package / "hall/c.py").write_text("thing = 1\n")
    (package / "hall/unused.py").write_text("other = 1\n")
    (package / "room/inner/d.py").write_text("from stablespike.walking import step\n")
    (miniature / "notebooks/line.py").write_text("from stablespike.room import a\n\nprint(a.shown)\n")
    found = {file.relative_to("src/stablespike").as_posix() for file in sources(Notebook(Path("notebooks/line.py")))}
    assert found == {"room/a.py", "room/b.py", "hall/c.py", "walking.py"}


def test_the_hash_is_the_same_on_every_python(miniature):
    """Pinned: the code covers syntax whose tree has other empty fields in other versions of Python."""
    text = "import math as m\n\n\nclass A(object, k=1):\n"
    text += "    x: int = 3\n\n    def f(self, a, /, *b, c=2.5, **d) -> str:\n        return f'{a!r:>{c}} {m.pi}'\n"
    (miniature / "notebooks/line.py").write_text('# %% tags=["parameters"]\na = 1\n\n# %%\n' + text)
    assert code_hashes(Notebook(Path("notebooks/line.py")))["notebook"] == "a189e814951a"
