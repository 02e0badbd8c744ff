"""Notebooks keep the house's form: a question first, parameters, calls instead of code, more words than code."""

import ast
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))
LONGEST_CELL = 25


def cells(notebook):
    """Kind (`markdown` or `code`), header and lines of every cell."""
    text = notebook.read_text(encoding="utf-8")
    for header, body in re.findall(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", text, re.MULTILINE):
        yield "markdown" if "[markdown]" in header else "code", header, body.strip().splitlines()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(notebook):
    found = list(cells(notebook))
    assert found[0][0] == "markdown"
    assert "?" in "\n".join(found[0][2]), "the first cell asks no question"
    assert sum('"parameters"' in header for _, header, _ in found) == 1
    code = [lines for kind, _, lines in found if kind == "code"]
    prose = [line for kind, _, lines in found if kind == "markdown" for line in lines]
    assert max(map(len, code)) <= LONGEST_CELL
    assert sum(len(line.split()) for line in prose) > sum(map(len, code))
    tree = ast.parse(notebook.read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], "no claim is asserted"
    assert "Not shown" in "\n".join(prose) or notebook.stem.endswith("-training")
