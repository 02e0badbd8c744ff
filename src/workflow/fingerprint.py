"""What a product is made from: the definitions that its notebook reaches, parameters, data and training."""

import ast
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from workflow.configuration import Configuration, Question
from workflow.data import checksums
from workflow.hashing import digest, file_digest, short
from workflow.modules import Module
from workflow.notebook import Notebook, literal
from workflow.reach import Library, Reach, library
from workflow.syntax import Whole

NOTEBOOK = "notebook"


def identity(question: Question, configuration: Configuration) -> dict[str, Any]:
    """Return all that decides a question's products, the lock of the environment aside."""
    training = configuration.questions[question.training] if question.training else None
    return {
        "code": code_hashes(question.notebook),
        "data": {file: sha for name in question.datasets() for file, sha in checksums(name).items()},
        "parameters": json.loads(json.dumps(question.effective_parameters())),
        "scale": question.scale,
        "training": digest(identity(training, configuration)) if training else None,
        **({"answers": answer_hashes(question)} if question.answers() else {}),
    }


def answer_hashes(question: Question) -> dict[str, str | None]:
    """Return the hashes of the numbers and tables of other questions that a question reads; None: not there."""
    files = [folder / name for folder in question.answers().values() for name in ("numbers.json", "table.csv")]
    return {file.as_posix(): file_digest(file) if file.is_file() else None for file in files}


def code_hashes(notebook: Notebook) -> dict[str, Any]:
    """Return a hash of the notebook, and for every module one of each definition that the notebook reaches."""
    books, found = read_notebook(notebook)
    return definition_hashes(books, found) | {NOTEBOOK: notebook_hash(notebook, books)}


def module_hashes(name: str) -> dict[str, dict[str, str]]:
    """Return the hashes of what a module reaches, which is given by its first name; none where it is not there."""
    books = library()
    present = books.renames.present(name)
    return definition_hashes(books, Reach(books, [Whole(present)], [])) if present in books.modules else {}


def definition_hashes(books: Library, found: Reach) -> dict[str, dict[str, str]]:
    """Return the hash of each definition, by module and name as they are recorded."""
    hashes: dict[str, dict[str, str]] = {}
    for definition in sorted(found.definitions, key=str):
        module, _, name = books.renames.recorded(str(definition)).rpartition(".")
        hashes.setdefault(module, {})[name] = books.unit(definition).hash
    return hashes


def read_notebook(notebook: Notebook) -> tuple[Library, Reach]:
    """Return the code of this repository, and what a notebook reaches of it."""
    books = library()
    module = notebook_module(notebook)
    reader = books.reader(module, is_notebook=True)
    reader.render(module.statements)
    stars = [Whole(star) for star in module.stars if star in books.modules]
    return books, Reach(books, [*reader.references, *stars], books.loaded_by(module))


def notebook_module(notebook: Notebook) -> Module:
    """Return a notebook as a module."""
    return Module(NOTEBOOK, notebook.path, notebook.tree)


def notebook_hash(notebook: Notebook, books: Library) -> str:
    """Return the hash of a notebook's cells, without the parameters, which are recorded, and without imports."""
    reader = books.reader(notebook_module(notebook), is_notebook=True)
    code = [node for node in notebook.tree.body if not is_plain_default(node, notebook)]
    cells = [reader.render(list(cell)) for _, cell in groupby(code, lambda node: notebook.cell(node.lineno))]
    return short(digest([cell for cell in cells if cell]))


def is_plain_default(node: ast.stmt, notebook: Notebook) -> bool:
    """Return whether a statement only sets a parameter whose value is recorded among the parameters anyway."""
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    return node.lineno in notebook.parameter_lines and value is not None and literal(value) is not NotImplemented


def sources(notebook: Notebook) -> list[Path]:
    """Return the files in which the definitions lie that a notebook reaches."""
    books, found = read_notebook(notebook)
    return sorted({books.modules[one.module].file for one in found.definitions})
