"""Running a notebook in a kernel of this environment, its output visible in the log while it runs."""

import ast
import json
import os
import re
from pathlib import Path
from typing import Any, TextIO

import jupytext
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from papermill.exceptions import PapermillExecutionError

from workflow.configuration import Configuration, Question
from workflow.faults import Fault
from workflow.reading_copy import render_markdown
from workflow.spikes import cache_folder

PROBE = (
    "import json\nfrom workflow.machine import describe_session, processor_seconds\n"
    'print(json.dumps(describe_session() | {"processor_seconds": processor_seconds()}))'
)
# What compiled libraries write goes to the log as it is: its times and process numbers have no place in a notebook.
LIBRARIES_STAY_OUT = "--IPKernelApp.capture_fd_output=False"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NO_HISTORY = "--HistoryManager.enabled=False"  # of what use would it be; it needs a database that some disks can't have
WANT_OF_MEMORY = ("MemoryError", "RESOURCE_EXHAUSTED", "Out of memory", "bad_alloc", "Cannot allocate memory")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class Log:
    """The log of a job: a progress bar's redrawings become lines, every write is visible at once."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a piece of output."""
        written = self.stream.write(COLOURS.sub("", text).replace("\r", "\n"))
        self.stream.flush()
        return written

    def flush(self) -> None:
        """Do nothing: every write is flushed already."""


def execute(
    question: Question, configuration: Configuration, partial: Path, log: Path, *, claims: bool = True
) -> tuple[NotebookNode, dict[str, Any]]:
    """Run a notebook, or all of it but the assertions of its claims; return its executed copy and its session."""
    path = question.notebook.path
    source = read_source(path)
    if not claims:
        leave_out_claims(source)
    source.cells.append(new_code_cell(PROBE))
    with log.open("a", encoding="utf-8") as stream:
        output = Log(stream)
        try:
            executed = papermill.execute_notebook(
                source,
                str(partial),
                parameters=dict(question.parameters) | path_parameters(question, configuration),
                kernel_name="python3",
                language="python",
                cwd=str(path.parent),
                progress_bar=False,
                stdout_file=output,
                stderr_file=output,
                extra_arguments=[LIBRARIES_STAY_OUT, NO_HISTORY],
            )
        except (PapermillExecutionError, DeadKernelError, RuntimeError) as error:  # the last: it died at its start
            output.write(f"{error}\n")
            raise Fault(f"{path} failed ({reason(error)}): traceback in {log}, partial copy in {partial}.") from error
    return executed, json.loads(executed.cells.pop().outputs[0].text)


def read_source(path: Path) -> NotebookNode:
    """Read a percent-format notebook; a formula that its reading copy could not draw stops it before it runs."""
    source = jupytext.read(path)
    source.metadata["kernelspec"] = NotebookNode(KERNEL)  # Jupyter writes the name that a kernel has on its machine
    for cell in source.cells:
        if cell.cell_type == "markdown":
            try:
                render_markdown(cell.source)
            except Fault as fault:
                raise Fault(f"{path}: {fault}") from fault
    return source


def leave_out_claims(source: NotebookNode) -> None:
    """Remove the assertions from a notebook's cells."""
    for cell in source.cells:
        if cell.cell_type == "code":
            kept = [node for node in ast.parse(cell.source).body if not isinstance(node, ast.Assert)]
            cell.source = "\n".join(ast.unparse(node) for node in kept)


def reason(error: Exception) -> str:
    """Return why a notebook failed, in one line, and what may help where memory ran out."""
    if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
        return f"its kernel died, most likely for want of memory{memory_left()}"
    if not isinstance(error, PapermillExecutionError):
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    text = f"{error.ename}: {' '.join(COLOURS.sub('', error.evalue).split())}".rstrip(".: ")[:300]
    return f"out of memory{memory_left()}: {text}" if any(sign in text for sign in WANT_OF_MEMORY) else text


def memory_left() -> str:
    """Return how much memory this machine has and has left, as a clause; nothing where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kilobytes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
        left, total = kilobytes["MemAvailable"] / 1e6, kilobytes["MemTotal"] / 1e6
    except (OSError, ValueError, KeyError, IndexError):
        return ""
    return f" ({left:.1f} GB of {total:.1f} GB are free now)"


def path_parameters(question: Question, configuration: Configuration) -> dict[str, str]:
    """Return the paths that a notebook asks for, as seen from the notebook's folder."""
    paths = {"results_folder": question.folder, "data_folder": configuration.data_folder}
    paths |= {"cache_folder": cache_folder(), "answers_folder": Path("results")}
    if question.training:
        paths["training_folder"] = configuration.questions[question.training].folder
    start = question.notebook.path.parent
    wanted = {name: path for name, path in paths.items() if name in question.notebook.defaults}
    return {
        name: os.path.relpath(path, start) if not path.is_absolute() else str(path) for name, path in wanted.items()
    }
