"""The executed copies of a notebook, and how they get its present prose without another run."""

import argparse
import ast
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from workflow.canonical import canonical
from workflow.configuration import Configuration, Question, load_configuration
from workflow.execution import read_source
from workflow.faults import Fault
from workflow.fingerprint import NOTEBOOK, code_hashes
from workflow.hashing import digest
from workflow.pictures import in_palette, with_palettes
from workflow.provenance import has_old_prose, prose_hash, read_record, write_record
from workflow.reading_copy import reading_copy

INJECTED = "injected-parameters"


def write_copies(executed: Any, record: Mapping[str, Any], question: Question, configuration: Configuration) -> None:
    """Write the executed notebook and its reading copy."""
    kept = canonical(executed, in_brief(record), configuration.data_folder)
    kept.cells = with_palettes(kept.cells)
    (question.folder / "notebook.ipynb").write_text(nbformat.writes(kept) + "\n", encoding="utf-8")
    origin = f"Executed from {question.notebook.path} at scale {question.scale}; code {record['code_version']}."
    page = with_linked_figure(reading_copy(kept, origin), question.folder)
    (question.folder / "notebook.html").write_text(page, encoding="utf-8")


def in_brief(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with one hash of all code: that of every definition is in the provenance file beside the copy.

    How long the run took is there as well, so that two runs write the same copy.
    """
    identity, timed = record["identity"], record.get("session", {})
    session = {name: value for name, value in timed.items() if name != "processor_seconds"}
    kept = {**record, "session": session} if timed else record
    return {**kept, "identity": {**identity, "code": digest(identity["code"])}}


def with_linked_figure(page: str, folder: Path) -> str:
    """Return a page that shows the figure that lies beside it instead of a second copy of it."""
    figure = folder / "figure.png"
    if not figure.exists():
        return page
    return page.replace(f"data:image/png;base64,{b64encode(in_palette(figure.read_bytes())).decode()}", figure.name)


def renew_prose(question: Question, configuration: Configuration) -> None:
    """Rewrite a question's executed copies with the notebook's present text and the outputs that they have.

    Where the code of its cells is another by now it has to run anew, and its copies stay as they are.
    """
    executed = nbformat.read(question.folder / "notebook.ipynb", as_version=4)
    record = {name: value for name, value in (read_record(question.folder) or {}).items() if name != "products"}
    if record["identity"]["code"].get(NOTEBOOK) != code_hashes(question.notebook)[NOTEBOOK]:
        return
    record["prose"] = prose_hash(question)
    executed.cells = woven(read_source(question.notebook.path).cells, executed.cells)
    write_copies(executed, record, question, configuration)
    write_record(question.folder, record)


def woven(written: list[NotebookNode], executed: list[NotebookNode]) -> list[NotebookNode]:
    """Return the cells as written now, the code with the outputs of the same cells as they were executed."""
    injected = [cell for cell in executed if INJECTED in tags(cell)]
    runs = [cell for cell in executed if has_code(cell) and cell not in injected]
    wanting = [cell for cell in written if has_code(cell)]
    if len(runs) != len(wanting):  # a cell of imports is there or not, which is no change of code
        runs, wanting = ([cell for cell in cells if not only_imports(cell)] for cells in (runs, wanting))
    for cell, run in zip(wanting, runs, strict=True):
        cell.outputs, cell.execution_count = run.outputs, run.execution_count
    return [kept for cell in written for kept in [cell, *(injected if "parameters" in tags(cell) else [])]]


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    found: list[str] = cell.metadata.get("tags", [])
    return found


def has_code(cell: NotebookNode) -> bool:
    """Return whether a cell does anything: a cell of comments is prose."""
    try:
        return cell.cell_type == "code" and bool(ast.parse(cell.source).body)
    except SyntaxError:
        return True


def only_imports(cell: NotebookNode) -> bool:
    """Return whether a cell does nothing but import."""
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(cell.source).body)


def main() -> None:
    """Renew the prose of a configuration's executed notebooks, wherever it is not that of the notebooks."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("configuration", type=Path, help="config/<scale>.yaml")
    parser.add_argument("receipt", type=Path, nargs="?", help="where to say that it is done")
    arguments = parser.parse_args()
    try:
        configuration = load_configuration(arguments.configuration)
        for question in configuration.questions.values():
            if has_old_prose(question):
                renew_prose(question, configuration)
    except Fault as fault:
        sys.exit(str(fault))
    if arguments.receipt:
        arguments.receipt.write_text(f"{', '.join(configuration.questions)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
