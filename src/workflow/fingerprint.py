"""What a product is made from: code without comments, parameters, data and training, hashed by content."""

import ast
import json
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from workflow.configuration import Configuration, Question
from workflow.data import checksums
from workflow.hashing import digest
from workflow.notebook import Notebook, literal

PACKAGES = Path("src")
OURS = ("stablespike", "studies")


def identity(question: Question, configuration: Configuration) -> dict[str, Any]:
    """Return all that decides a question's products, the lock of the environment aside."""
    training = configuration.questions[question.training] if question.training else None
    return {
        "code": code_hashes(question.notebook),
        "data": {file: sha for name in question.datasets() for file, sha in checksums(name).items()},
        "parameters": json.loads(json.dumps(question.effective_parameters())),
        "scale": question.scale,
        "training": digest(identity(training, configuration)) if training else None,
    }


def code_hashes(notebook: Notebook) -> dict[str, str]:
    """Return a hash for the notebook and for every module of the package that it imports, directly or not."""
    code = [node for node in notebook.tree.body if not is_plain_default(node, notebook)]
    cells = [[skeleton(node) for node in cell] for _, cell in groupby(code, lambda node: notebook.cell(node.lineno))]
    own = digest(cells)
    return {notebook.path.as_posix(): own} | {file.as_posix(): module_hash(file) for file in sources(notebook)}


def is_plain_default(node: ast.stmt, notebook: Notebook) -> bool:
    """Return whether a statement only sets a parameter whose value is recorded among the parameters anyway."""
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    return node.lineno in notebook.parameter_lines and value is not None and literal(value) is not NotImplemented


def sources(notebook: Notebook) -> list[Path]:
    """Return the files of the package that a notebook imports, directly or not."""
    found: set[Path] = set()
    waiting = list(imported_files(notebook.tree, ""))
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(imported_files(module_tree(file), module_package(file)))
    return sorted(found)


def imported_files(tree: ast.Module, package: str) -> Iterator[Path]:
    """Yield the package's files that a syntax tree names in its import statements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from module_files(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield from module_files(f"{base}.{alias.name}")


def module_files(name: str) -> Iterator[Path]:
    """Yield the files that importing a dotted name runs: its packages, and itself where it is a module."""
    parts = name.split(".")
    if parts[0] not in OURS:
        return
    for depth in range(1, len(parts) + 1):
        place = PACKAGES.joinpath(*parts[:depth])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def module_package(file: Path) -> str:
    """Return the dotted package in which a file's relative imports start."""
    return ".".join(file.relative_to(PACKAGES).parent.parts)


def module_tree(file: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return _tree(file.resolve())


def module_hash(file: Path) -> str:
    """Return the hash of a module's code."""
    return _hash(file.resolve())


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@cache
def _hash(file: Path) -> str:
    return digest(skeleton(_tree(file)))


def skeleton(node: object) -> Any:
    """Return a syntax tree as nested lists without comments, docstrings and empty fields.

    `ast.dump` writes the fields that a Python version happens to have; leaving out the empty ones gives the same
    result for the same code on every Python that the project supports.
    """
    if isinstance(node, ast.AST):
        fields = ((name, skeleton(value)) for name, value in ast.iter_fields(node) if name != "kind")
        return [type(node).__name__, *([name, value] for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        return [skeleton(item) for item in node if not is_bare_text(item)]
    return node if isinstance(node, (str, int, bool, type(None))) else repr(node)


def is_bare_text(node: object) -> bool:
    """Return whether a statement is a docstring or another text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
