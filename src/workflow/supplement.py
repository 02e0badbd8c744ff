"""What the manuscript's supplement is made of: every parameter of every question, and the code behind every figure."""

import io
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow.configuration import Question
from workflow.fingerprint import NOTEBOOK, code_hashes, sources
from workflow.notebook import Notebook, assignment
from workflow.provenance import read_record

STUDIES, LIBRARY = Path("src/studies"), "stablespike."


def settings(questions: Iterable[Question]) -> dict[str, dict[str, Any]]:
    """Return for each question, by its name, its scale and the rows of its parameters: name, value, meaning.

    Values are those by which the products were made, where there are any; the meaning is the notebook's own comment.
    """
    return {
        question.name: {"scale": question.scale, "rows": list(rows_of(question))}
        for question in questions
        if question.effective_parameters()
    }


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
