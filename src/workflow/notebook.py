"""What a percent-format notebook says without running it: its parameters, and its code."""

import ast
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workflow.faults import Fault

HEADER = re.compile(r"\A# ---\n(?:#.*\n)*?# ---\n")
CELL = re.compile(r"^# %%(?P<title>.*)$", re.MULTILINE)
PATHS = ("results_folder", "data_folder", "training_folder", "cache_folder", "answers_folder")


@dataclass(frozen=True)
class Notebook:
    """A percent-format notebook, read as the Python file that it is."""

    path: Path

    @cached_property
    def source(self) -> str:
        """The text of the file."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(f"{self.path} cannot be read: {error}.") from error

    @property
    def text(self) -> str:
        """What is written in the file, without the header, which Jupyter rewrites whenever it saves."""
        return HEADER.sub("", self.source)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of all code cells; prose is comments and leaves no trace in it."""
        try:
            return ast.parse(self.source)
        except (SyntaxError, ValueError) as error:  # a ValueError: a null byte
            place = f", line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f": {error}"
            raise Fault(f"{self.path}{place}.") from error

    def cell(self, line: int) -> int:
        """Return the number of the cell that a line is in."""
        return bisect_right(self.marker_lines, line)

    @cached_property
    def marker_lines(self) -> list[int]:
        """The lines on which cells begin."""
        return [1 + self.source.count("\n", 0, marker.start()) for marker in CELL.finditer(self.source)]

    @cached_property
    def parameter_lines(self) -> range:
        """The lines of the cell tagged `parameters`."""
        markers = list(CELL.finditer(self.source))
        for marker, following in zip(markers, [*markers[1:], None], strict=True):
            if re.search(r"tags\s*=\s*\[[^\]]*\"parameters\"", marker["title"]):
                end = following.start() if following else len(self.source)
                return range(*(1 + self.source.count("\n", 0, place) for place in (marker.start(), end + 1)))
        raise Fault(f'{self.path} has no cell tagged parameters (`# %% tags=["parameters"]`).')

    @cached_property
    def defaults(self) -> dict[str, ast.expr]:
        """The expressions that the parameters cell assigns, by name."""
        found: dict[str, ast.expr] = {}
        for statement in self.tree.body:
            if statement.lineno in self.parameter_lines and (assigned := assignment(statement)):
                found[assigned[0]] = assigned[1]
        return found

    def literal_defaults(self) -> dict[str, object]:
        """The defaults that are plain values, without those that are paths."""
        values = {name: literal(value) for name, value in self.defaults.items() if name not in PATHS}
        return {name: value for name, value in values.items() if value is not NotImplemented}


def assignment(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """Return name and value of `name = value` or `name: type = value`."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
    return None


def literal(value: ast.expr) -> object:
    """Return a literal's value, or NotImplemented for an expression that has to run."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        return NotImplemented
