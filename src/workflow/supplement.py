"""What the manuscript's supplement is made of: every parameter and default, and the code behind every figure."""

import ast
import io
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.configuration import Question
from workflow.fingerprint import NOTEBOOK, code_hashes, sources
from workflow.notebook import Notebook, assignment
from workflow.provenance import read_record

STUDIES, FIGURES, LIBRARY = Path("src/studies"), Path("src/studies/figures"), "stablespike."


def settings(questions: Iterable[Question], full: Mapping[str, Question] | None = None) -> dict[str, dict[str, Any]]:
    """Return for each question, by its name, its scale and the rows of its parameters: name, value, meaning.

    Values are those by which the products were made, where there are any; the meaning is the notebook's own comment.
    `full` are the same questions at another scale: what differs there stands beside, by the name of the parameter.
    """
    found: dict[str, dict[str, Any]] = {
        question.name: {"scale": question.scale, "rows": list(rows_of(question))}
        for question in questions
        if question.effective_parameters()
    }
    for name, question in (full or {}).items():
        here = {parameter: value for parameter, value, _ in found.get(name, {"rows": []})["rows"]}
        there = {parameter: value for parameter, value, _ in rows_of(question)}
        if differing := {parameter: value for parameter, value in there.items() if here.get(parameter) != value}:
            found[name]["full"] = differing
    return found


def rows_of(question: Question) -> Iterable[tuple[str, Any, str]]:
    """Yield name, value and meaning of each parameter, in the notebook's order."""
    recorded = (read_record(question.folder) or {}).get("identity", {}).get("parameters", {})
    meanings = comments(question.notebook)
    for name, value in question.effective_parameters().items():
        yield name, recorded.get(name, value), meanings.get(name, "")


def comments(notebook: Notebook) -> dict[str, str]:
    """Return what the comment behind each parameter says: that on the last line of its assignment."""
    lines = notebook.source.splitlines()
    found = {}
    for statement in notebook.tree.body:
        if statement.lineno in notebook.parameter_lines and (assigned := assignment(statement)):
            found[assigned[0]] = comment(lines[(statement.end_lineno or statement.lineno) - 1])
    return {name: text for name, text in found.items() if text}


def comment(line: str) -> str:
    """Return the comment at the end of a line of code; an unfinished line has brackets that are closed elsewhere."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(line + "\n").readline):
            if token.type == tokenize.COMMENT:
                return token.string.lstrip("# ").strip()
    except (tokenize.TokenError, IndentationError):
        pass
    return ""


def defaults(questions: Iterable[Question]) -> dict[str, list[tuple[str, str, str]]]:
    """Return for each file of the studies its constants and the defaults of its named tuples: name, value, meaning.

    They are what a notebook leaves to the code: rates, penalties, sizes of which its `parameters` say nothing.
    """
    files = sorted({file for question in questions for file in sources(question.notebook)})
    studies = [file for file in files if file.is_relative_to(STUDIES) and FIGURES not in file.parents]
    found = {file.as_posix(): list(fixed_in(file.read_text(encoding="utf-8"))) for file in studies}
    return {file: rows for file, rows in found.items() if rows}


def fixed_in(source: str) -> Iterable[tuple[str, str, str]]:
    """Yield name, value as it is written and comment of constants (in capitals) and of defaults of named tuples."""
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef) and "NamedTuple" in map(ast.unparse, statement.bases):
            annotated = (line for line in statement.body if isinstance(line, ast.AnnAssign))
            fields: list[tuple[str, ast.AnnAssign | ast.Assign]] = [(f"{statement.name}.", line) for line in annotated]
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]).isupper():
            fields = [("", statement)]
        else:
            continue
        for prefix, field in fields:
            if field.value is not None and is_plain(field.value):
                target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
                told = comment(lines[(field.end_lineno or field.lineno) - 1])
                yield prefix + ast.unparse(target), ast.unparse(field.value), told


def is_plain(value: ast.expr) -> bool:
    """Return whether a value is a number, or a few of them, or a truth value."""
    try:
        found = ast.literal_eval(value)
    except ValueError:
        return False
    parts = found if isinstance(found, tuple | list) else [found]
    return all(isinstance(part, bool | int | float) for part in parts)


def code_index(questions: Iterable[Question]) -> dict[str, dict[str, Any]]:
    """Return for each question that has a figure where its text, its own code and its figure lie.

    `modules` are the files of the study, `library` the number of the library's definitions that the answer depends on.
    """
    return {question.name: entry(question) for question in questions if (question.folder / "figure.svg").is_file()}


def entry(question: Question) -> dict[str, Any]:
    """Return the index of one question."""
    code = code_hashes(question.notebook)
    reached = [names for name, names in code.items() if name != NOTEBOOK and name.startswith(LIBRARY)]
    return {
        "notebook": question.notebook.path.as_posix(),
        "training": Path("notebooks", f"{question.training}.py").as_posix() if question.training else None,
        "modules": [file.as_posix() for file in sources(question.notebook) if file.is_relative_to(STUDIES)],
        "library": sum(len(names) for names in reached),
        "figure": (question.folder / "figure.pdf").as_posix(),
    }
