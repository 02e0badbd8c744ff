"""What a notebook reaches is followed by name through every form of import, and no effect of a module is missed."""

from pathlib import Path

import pytest
from tests.workflow.miniature import edit

from workflow.faults import Fault
from workflow.fingerprint import code_hashes, read_notebook
from workflow.notebook import Notebook

PARAMETERS = '# %% tags=["parameters"]\na = 1\n\n# %%\n'
HOUSE = {
    "src/stablespike/__init__.py": "",
    "src/stablespike/lines.py": "SLOPE = 2.0\nUNUSED = 1\n\n\ndef line(x):\n    return SLOPE * x\n",
    "notebooks/question.py": "from stablespike.lines import line\n\nline(1)\n",
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A function that writes a small repository over the one of a line and returns its identity."""
    monkeypatch.chdir(tmp_path)

    def write(files=None):
        for name, text in (HOUSE | (files or {})).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(PARAMETERS + text if name.startswith("notebooks/") else text)
        return code_hashes(Notebook(Path("notebooks/question.py")))

    return write


def reached():
    return {str(one) for one in read_notebook(Notebook(Path("notebooks/question.py")))[1].definitions}


# How a definition is referred to does not matter


PACKAGE = {"src/stablespike/room/__init__.py": "from stablespike.lines import line as drawn\n"}
LAZY = {
    "src/stablespike/__init__.py": """from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stablespike.nowhere import line

_PLACES: dict[str, str] = {"line": "stablespike.lines", "other": "stablespike.lines"}


def __getattr__(name):
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
"""
}


@pytest.mark.parametrize(
    ("notebook", "files"),
    [
        ("from stablespike.lines import line as f\n\nf(1)\n", {}),
        ("import stablespike.lines\n\nstablespike.lines.line(1)\n", {}),
        ("import stablespike.lines as l\n\nl.line(1)\n", {}),
        ("from stablespike import lines\n\nlines.line(1)\n", {}),
        ("import stablespike as s\n\ns.lines.line(1)\n", {}),
        ("from stablespike.room import drawn\n\ndrawn(1)\n", PACKAGE),
        ("import stablespike as ss\n\nss.line(1)\n", LAZY),
        ("from stablespike import line\n\nline(1)\n", LAZY),
        ("# words\nfrom stablespike.lines import line\n\nline(1)  # more words\n", {}),
    ],
)
def test_the_same_definitions_by_another_way(house, notebook, files):
    before = house()
    assert before == {"notebook": before["notebook"], "stablespike.lines": before["stablespike.lines"]}
    assert before["stablespike.lines"].keys() == {"line", "SLOPE"}
    assert house(files | {"notebooks/question.py": notebook}) == before


def test_other_packages_by_another_way(house):
    ways = ["import numpy as np\n\nnp.linalg.qr(1)\n", "from numpy.linalg import qr as f\n\nf(1)\n"]
    assert len({house({"notebooks/question.py": way})["notebook"] for way in ways}) == 1
    assert house({"notebooks/question.py": "from numpy import qr as f\n\nf(1)\n"}) != house()


ANNOTATED = """from __future__ import annotations

import dataclasses
from typing import cast, final, no_type_check, overload

from stablespike.shapes import Shape

SLOPE: float = 2.0
UNUSED = 2


@overload
def line(x: int) -> int: ...
@overload
def line(x: float) -> float: ...
@no_type_check
def line(x: Shape) -> Shape:
    '''Twice a number.'''
    y: Shape  # of the result
    return cast(Shape, SLOPE) * x
"""


def test_what_is_said_to_the_type_checker_does_not_count(house):
    before = house()
    assert house({"src/stablespike/lines.py": ANNOTATED, "src/stablespike/shapes.py": "class Shape: ...\n"}) == before


@pytest.mark.parametrize(
    ("new", "is_seen"),
    [
        ("x: str = 1", False),
        ("x: ClassVar[int] = 1", True),
        ("x = 1", True),
        ("x: int = 1.0", True),
        ("y: int = 1", True),
    ],
)
def test_of_a_field_name_and_default_count(house, new, is_seen):
    text = "from typing import ClassVar\n\n\nclass Line:\n    x: int = 1\n\n    def f(self): ...\n"
    files = {
        "notebooks/question.py": "from stablespike.lines import Line\n\nLine()\n",
        "src/stablespike/lines.py": text,
    }
    before = house(files)
    assert (house(files | {"src/stablespike/lines.py": text.replace("x: int = 1", new)}) != before) == is_seen


def test_a_number_is_not_its_text(house):
    texts = ["2.0", "'2.0'", "2", "True", "None", "b'2'"]
    found = [house({"src/stablespike/lines.py": f"def line(x):\n    return {one}\n"}) for one in texts]
    assert len({one["stablespike.lines"]["line"] for one in found}) == len(texts)


# Where code lies that counts


def test_local_names_are_not_global_ones(house):
    text = "".join(f"{name} = 1\n" for name in "ONE TWO THREE FOUR FIVE SIX SEVEN".split())
    text += """
def line(ONE):
    TWO = [THREE for THREE in FOUR]
    def inner():
        return TWO
    for FIVE in TWO: pass
    with ONE as SIX: pass
    return lambda SEVEN=SEVEN: SEVEN
"""
    assert house({"src/stablespike/lines.py": text})["stablespike.lines"].keys() == {"line", "FOUR", "SEVEN"}


def test_bases_decorators_and_defaults_are_reached_and_a_class_is_whole(house):
    text = """def used(x): return x
def in_a_method(): ...
def as_default(): ...
def unused(): ...
class Base: ...


@used
class Line(Base):
    x: int = as_default()

    def never_called(self):
        return in_a_method()


def line(x): return Line()
"""
    found = house({"src/stablespike/lines.py": text})["stablespike.lines"].keys()
    assert found == {"line", "Line", "Base", "used", "in_a_method", "as_default"}


# Effects: each line is seen where it bears on what is reached, and only there

SEEN = {
    "a table that is filled": ("TABLE = {}\nTABLE[1] = 1\n\n\ndef line(x):\n    return TABLE\n", "= 1\n", "= 2\n"),
    "a table that is updated": ("TABLE = {}\nTABLE.update(a=1)\n\n\ndef line(x):\n    return TABLE\n", "a=1", "a=2"),
    "a name made longer": ("LIST = [1]\nLIST += [2]\n\n\ndef line(x):\n    return LIST\n", "[2]", "[3]"),
    "a condition": (
        "import os\nif os.name == 'a':\n    A = 1\nelse:\n    A = 2\n\n\ndef line(x):\n    return A\n",
        "2",
        "3",
    ),
    "an alternative": (
        "try:\n    from a import b\nexcept ImportError:\n    from c import b\n\n\ndef line(x):\n    return b\n",
        "from c",
        "from d",
    ),
    "a derivative by decorator": (
        "import jax\n\n\n@jax.custom_jvp\ndef line(x):\n    return x\n\n\n@line.defjvp\ndef _(a, b):\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "a derivative by a call": (
        "import jax\n\n\n@jax.custom_jvp\ndef line(x):\n    return x\n\n\nline.defjvp(lambda a, b: 1)\n",
        "b: 1",
        "b: 2",
    ),
    "a second way to compile": (
        "from numba.extending import overload\n\n\ndef line(x): ...\n\n\n"
        "@overload(line, strict=False)\ndef _line(x):\n    return lambda x: 1\n",
        "x: 1",
        "x: 2",
    ),
    "a version for a type": (
        "from functools import singledispatch\n\n\n@singledispatch\ndef line(x): ...\n\n\n"
        "@line.register\ndef _(x: int):\n    return 1\n",
        "x: int",
        "x: str",
    ),
    "a registry of our own": (
        "ALL = []\n\n\ndef entered(f):\n    ALL.append(f)\n    return f\n\n\n@entered\ndef one():\n    return 1\n\n\n"
        "def line(x):\n    return ALL\n",
        "return 1",
        "return 2",
    ),
    "a registry that is assigned to": (
        "ALL = {}\n\n\ndef entered(f):\n    ALL[f.__name__] = f\n    return f\n\n\nONE = entered(lambda: 1)\n\n\n"
        "def line(x):\n    return ALL\n",
        ": 1",
        ": 2",
    ),
    "an attribute": ("def line(x): ...\n\n\nline.slope = 1\n", "= 1", "= 2"),
    "a setting of another package": ("import jax\n\njax.config.update('a', 1)\n\n\ndef line(x): ...\n", "1", "2"),
    "a subclass that its base remembers": (
        "class Base:\n    def __init_subclass__(cls):\n        ALL.append(cls)\n\n\nALL = []\n\n\n"
        "class One(Base):\n    x = 1\n\n\ndef line(x):\n    return Base\n",
        "x = 1",
        "x = 2",
    ),
    "a global that a function sets": (
        "def line(x):\n    global A\n    A = 1\n    return look()\n\n\ndef look():\n    return A\n",
        "A = 1",
        "A = 2",
    ),
    "a name under globals": ("HIDDEN = 1\n\n\ndef line(x):\n    return globals()[x]\n", "= 1", "= 2"),
}


@pytest.mark.parametrize("what", SEEN)
def test_an_effect_is_seen(house, what):
    text, old, new = SEEN[what]
    before = house({"src/stablespike/lines.py": text})
    edit(Path("src/stablespike/lines.py"), old, new)
    assert code_hashes(Notebook(Path("notebooks/question.py"))) != before


UNSEEN = {
    "a table that nobody reads": "TABLE = {}\nTABLE[1] = 1\n\n\ndef line(x): ...\n",
    "a derivative of another function": (
        "import jax\n\n\n@jax.custom_jvp\ndef other(x): ...\n\n\n@other.defjvp\ndef _(a, b):\n    return 1\n\n\n"
        "other.defjvp(lambda a, b: 1)\n\n\ndef line(x): ...\n"
    ),
    "for a type checker": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    A = 1\n\n\ndef line(x): ...\n",
    "run as a program": "def line(x): ...\n\n\nif __name__ == '__main__':\n    line(1)\n",
    "compiled but not called": (
        "import numba\n\n\n@numba.njit(cache=True)\ndef other():\n    return 1\n\n\ndef line(x): ...\n"
    ),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_what_bears_on_nothing_reached_is_not_seen(house, what):
    before = house({"src/stablespike/lines.py": UNSEEN[what]})
    edit(Path("src/stablespike/lines.py"), "1", "2")
    assert code_hashes(Notebook(Path("notebooks/question.py"))) == before


def test_an_effect_in_a_module_that_is_only_loaded_is_seen(house):
    files = {
        "src/stablespike/lines.py": "import stablespike.more\nTABLE = {}\n\n\ndef line(x):\n    return TABLE\n",
        "src/stablespike/more.py": "from stablespike.lines import TABLE\n\nTABLE[1] = 1\n",
    }
    before = house(files)
    edit(Path("src/stablespike/more.py"), "= 1", "= 2")
    assert code_hashes(Notebook(Path("notebooks/question.py"))) != before


@pytest.mark.parametrize(
    "use",
    [
        "from stablespike.more import *\n\n\ndef line(x):\n    return one()\n",
        "from stablespike import more\n\n\ndef line(x):\n    return getattr(more, x)\n",
        "import importlib\n\n\ndef line(x):\n    return importlib.import_module(x)\n",
        "import sys\n\n\ndef line(x):\n    return sys.modules[x]\n",
        "import stablespike\n\n\ndef line(x):\n    return vars(stablespike)[x]\n",
        "class Base: ...\n\n\ndef line(x):\n    return Base.__subclasses__()\n",
    ],
)
def test_where_a_name_cannot_be_followed_all_of_the_module_counts(house, use):
    house({"src/stablespike/lines.py": use, "src/stablespike/more.py": "def one(): ...\n\n\ndef two(): ...\n"})
    assert {"stablespike.more.one", "stablespike.more.two"} <= reached()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def line(x):\n    return nowhere\n", "src/stablespike/lines.py: the name nowhere is bound nowhere"),
        (
            "from stablespike.gone import f\n\n\ndef line(x):\n    return f\n",
            "src/stablespike/lines.py: an import names stablespike.gone, and there is no such module",
        ),
        (
            "from stablespike import gone\n\n\ndef line(x):\n    return gone\n",
            "src/stablespike/lines.py: nothing is called gone in stablespike",
        ),
    ],
)
def test_what_leads_nowhere_is_a_fault(house, text, sentence):
    with pytest.raises(Fault, match=sentence):
        house({"src/stablespike/lines.py": text})


def test_a_table_that_cannot_be_read_is_a_fault(house):
    lazy = {"src/stablespike/__init__.py": "_PLACES = dict(line='stablespike.lines')\n"}
    with pytest.raises(Fault, match="_PLACES has to be one plain dictionary"):
        house(lazy | {"notebooks/question.py": "import stablespike\n\nstablespike.line(1)\n"})


# Moves


MOVED = {
    "src/stablespike/hall/__init__.py": "",
    "src/stablespike/hall/drawn.py": HOUSE["src/stablespike/lines.py"],
    "notebooks/question.py": "from stablespike.hall.drawn import line\n\nline(1)\n",
}
TABLE = "src/workflow/renames.toml"


@pytest.mark.parametrize(
    "rows",
    [
        '"stablespike.lines" = "stablespike.hall.drawn"\n',
        '"stablespike.lines" = "stablespike.once"\n"stablespike.once" = "stablespike.hall.drawn"\n',
        '"stablespike.lines" = "stablespike.salon.drawn"\n"stablespike.salon" = "stablespike.hall"\n',
        '"stablespike.lines.line" = "stablespike.hall.drawn.line"\n'
        '"stablespike.lines.SLOPE" = "stablespike.hall.drawn.SLOPE"\n',
    ],
)
def test_a_module_that_moved_is_the_same_by_the_table_and_another_without(house, rows):
    before = house()
    assert house(MOVED) != before
    Path("src/stablespike/lines.py").unlink()
    assert code_hashes(Notebook(Path("notebooks/question.py"))) != before
    Path(TABLE).parent.mkdir()
    Path(TABLE).write_text(rows)
    assert code_hashes(Notebook(Path("notebooks/question.py"))) == before


def test_a_definition_with_a_new_name_is_the_same_by_the_table(house):
    before = house()
    text = HOUSE["src/stablespike/lines.py"].replace("line", "drawn")
    Path(TABLE).parent.mkdir()
    Path(TABLE).write_text('"stablespike.lines.line" = "stablespike.lines.drawn"\n')
    notebook = "from stablespike.lines import drawn\n\ndrawn(1)\n"
    assert house({"src/stablespike/lines.py": text, "notebooks/question.py": notebook}) == before


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ('"stablespike.gone" = "stablespike.neither"\n', "which does not exist"),
        ('"stablespike.lines" = "stablespike.lines.line"\n', "is still there"),
        ('"stablespike.a" = "stablespike.b"\n"stablespike.b" = "stablespike.a"\n', "in a circle"),
        ('"stablespike.a" = "stablespike.lines"\n"stablespike.b" = "stablespike.lines"\n', "two rows lead to"),
        ("a = \n", "is not TOML"),
        ('stablespike.a = "stablespike.lines"\n', "quotation marks"),
    ],
)
def test_a_wrong_row_is_one_sentence(house, rows, sentence):
    house()
    Path(TABLE).parent.mkdir()
    Path(TABLE).write_text(rows)
    with pytest.raises(Fault, match=sentence) as caught:
        house()
    assert "\n" not in str(caught.value)
