"""An executed notebook without what differs from run to run: times, addresses, process numbers, machine paths."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

KEPT_METADATA = ("kernelspec", "language_info")
# A progress bar of tqdm, on a line of its own: how far it counts depends on where an interrupted run was taken up.
PROGRESS = re.compile(r"(?:.*: +| *)(?:\d+%\|[^|]*\|.*|\d+\S*it \[[^\]]*\])\s*")
CELL_FILES = re.compile(r"\S*ipykernel_\d+\S*?\.py")
ADDRESSES = re.compile(r"\b0x[0-9a-f]{6,}\b")


def canonical(notebook: NotebookNode, provenance: Mapping[str, Any], data_folder: Path) -> NotebookNode:
    """Return an executed notebook as it is kept: the same bytes for the same results, provenance in its metadata."""
    hidden = machine_paths(data_folder)
    cells = [canonical_cell(cell, number, hidden) for number, cell in enumerate(notebook.cells)]
    kept = {name: notebook.metadata[name] for name in KEPT_METADATA if name in notebook.metadata}
    return NotebookNode(
        cells=cells,
        metadata=NotebookNode(**kept, stablespike=dict(provenance)),
        nbformat=notebook.nbformat,
        nbformat_minor=notebook.nbformat_minor,
    )


def machine_paths(data_folder: Path) -> dict[str, str]:
    """Return this machine's folders and what stands for them in a product, the longest first."""
    known = {
        str(data_folder.resolve()): "../data",
        str(Path.cwd()): "..",
        sys.prefix: "../.venv",
        sys.base_prefix: "<python>",
        str(Path.home()): "~",
    }
    return {path: known[path] for path in sorted(known, key=len, reverse=True) if path not in ("/", "/usr")}


def canonical_cell(cell: NotebookNode, number: int, hidden: Mapping[str, str]) -> NotebookNode:
    """Return a cell with a counted identity, its tags as only metadata, and outputs in a fixed order."""
    tags = cell.metadata.get("tags", [])
    kept = NotebookNode(id=f"cell-{number}", cell_type=cell.cell_type, source=scrub(cell.source, hidden))
    kept.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
    if cell.cell_type == "code":
        kept.execution_count = cell.execution_count
        kept.outputs = canonical_outputs(cell.outputs, hidden)
    return kept


def canonical_outputs(outputs: list[NotebookNode], hidden: Mapping[str, str]) -> list[NotebookNode]:
    """Return a cell's outputs with each stream in one piece: where a stream was cut is a matter of timing.

    Standard output keeps its place among the displays; standard error, which races with them, goes to the end.
    """
    kept: list[NotebookNode] = []
    errors = ""
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            errors += output.text
        elif output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    if errors:
        kept.append(NotebookNode(output_type="stream", name="stderr", text=errors))
    clean = [scrub_output(output, hidden) for output in kept]
    return [output for output in clean if output.output_type != "stream" or output.text]


def scrub_output(output: NotebookNode, hidden: Mapping[str, str]) -> NotebookNode:
    """Return an output whose texts say nothing of the machine or the moment."""
    if output.output_type == "stream":
        output.text = final_lines(scrub(output.text, hidden))
    for kind, content in output.get("data", {}).items():
        if isinstance(content, str) and not kind.startswith("image/p"):
            output.data[kind] = scrub(content, hidden)
    return output


def final_lines(text: str) -> str:
    """Return what a terminal would show in the end, without progress bars: they are for whoever waits."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join(line for line in lines if not PROGRESS.fullmatch(line))


def scrub(text: str, hidden: Mapping[str, str]) -> str:
    """Return a text without machine paths, names of temporary cell files and memory addresses."""
    for path, name in hidden.items():
        text = re.sub(rf"{re.escape(path)}(?![\w.-])", name, text)
    return ADDRESSES.sub("0x…", CELL_FILES.sub("<cell>", text))
