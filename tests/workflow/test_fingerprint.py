"""Products depend on code, not on comments, and on the modules that their notebook imports, not on others."""

from pathlib import Path

import pytest
from tests.workflow.miniature import edit

from workflow import fingerprint
from workflow.configuration import load_configuration
from workflow.fingerprint import code_hashes, identity, sources
from workflow.notebook import Notebook


@pytest.fixture(autouse=True)
def fresh_cache():
    fingerprint._tree.cache_clear()
    fingerprint._hash.cache_clear()


def identities():
    fingerprint._tree.cache_clear()
    fingerprint._hash.cache_clear()
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


def test_follows_imports_of_every_form(miniature):
    package = miniature / "src/stablespike"
    for name in ("room", "room/inner", "hall"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text("")
    (package / "room/a.py").write_text("from . import b\nfrom ..hall.c import thing\n")
    (package / "room/b.py").write_text("import stablespike.room.inner.d\n")
    (package / "hall/c.py").write_text("thing = 1\n")
    (package / "hall/unused.py").write_text("")
    (package / "room/inner/d.py").write_text("from stablespike.walking import step\n")
    (miniature / "notebooks/line.py").write_text("from stablespike.room import a\n")
    found = {file.relative_to("src/stablespike").as_posix() for file in sources(Notebook(Path("notebooks/line.py")))}
    rooms = {"room/__init__.py", "room/inner/__init__.py", "hall/__init__.py", "__init__.py"}
    assert found == {"room/a.py", "room/b.py", "room/inner/d.py", "hall/c.py", "walking.py"} | rooms


def test_the_hash_is_the_same_on_every_python(miniature):
    """Pinned: the code covers syntax whose tree has other empty fields in other versions of Python."""
    text = "import math as m\n\n\nclass A(object, k=1):\n"
    text += "    x: int = 3\n\n    def f(self, a, /, *b, c=2.5, **d) -> str:\n        return f'{a!r:>{c}} {m.pi}'\n"
    (miniature / "notebooks/line.py").write_text('# %% tags=["parameters"]\na = 1\n\n# %%\n' + text)
    assert code_hashes(Notebook(Path("notebooks/line.py")))["notebooks/line.py"][:16] == "b42da94125114f33"
