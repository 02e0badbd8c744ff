"""Running a notebook in a kernel of this environment, its output visible in the log while it runs."""

import ast
import json
import os
import re
import sys
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
from workflow.machine import cuda_plugin, gpu_is_visible
from workflow.reading_copy import render_markdown
from workflow.spikes import cache_folder

PROBE = "import json\nfrom workflow.machine import describe_session\nprint(json.dumps(describe_session()))"
# What compiled libraries write goes to the log as it is: its times and process numbers have no place in a notebook.
LIBRARIES_STAY_OUT = "--IPKernelApp.capture_fd_output=False"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ENVIRONMENT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "TQDM_MININTERVAL": "2",
}


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


def set_environment() -> None:
    """Set what the kernel inherits: caches shared by all jobs, and whatever makes two runs alike."""
    os.environ.update(ENVIRONMENT)
    for variable, folder in {"JAX_COMPILATION_CACHE_DIR": "jax", "NUMBA_CACHE_DIR": "numba"}.items():
        os.environ.setdefault(variable, str(Path(".cache", folder).resolve()))
    if gpu_is_visible():
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    elif cuda_plugin():
        print("JAX is installed for CUDA but no GPU is visible: this job uses the CPU.", file=sys.stderr)
        os.environ["JAX_PLATFORMS"] = "cpu"


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
                extra_arguments=[LIBRARIES_STAY_OUT],
            )
        except (PapermillExecutionError, DeadKernelError) as error:
            output.write(f"{error}\n")
            raise Fault(f"{path} failed ({reason(error)}): traceback in {log}, partial copy in {partial}.") from error
    return executed, json.loads(executed.cells.pop().outputs[0].text)


def read_source(path: Path) -> NotebookNode:
    """Read a percent-format notebook; a formula that its reading copy could not draw stops it before it runs."""
    source = jupytext.read(path)
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
    """Return why a notebook failed, in one line."""
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {' '.join(COLOURS.sub('', error.evalue).split())}".rstrip(".")[:300]
    return "its kernel died, perhaps for want of memory"


def path_parameters(question: Question, configuration: Configuration) -> dict[str, str]:
    """Return the paths that a notebook asks for, as seen from the notebook's folder."""
    paths = {"results_folder": question.folder, "data_folder": configuration.data_folder}
    paths["cache_folder"] = cache_folder()
    if question.training:
        paths["training_folder"] = configuration.questions[question.training].folder
    start = question.notebook.path.parent
    wanted = {name: path for name, path in paths.items() if name in question.notebook.defaults}
    return {
        name: os.path.relpath(path, start) if not path.is_absolute() else str(path) for name, path in wanted.items()
    }
