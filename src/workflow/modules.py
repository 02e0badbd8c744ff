"""The modules of this repository's packages, read without running them: which statement binds which name."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workflow.faults import Fault
from workflow.names import Import, Target, bound_names, imported, imports

PACKAGES = Path("src")
DOOR = "_PLACES"  # the table of a package whose names are bound lazily: name -> module


@dataclass(frozen=True)
class Module:
    """A module (or a notebook) as its syntax tree."""

    name: str
    file: Path
    tree: ast.Module
    is_package: bool = False

    @property
    def package(self) -> str:
        """The dotted package in which relative imports start."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """The statements that run when the module is imported."""
        return list(running(self.tree.body))

    @cached_property
    def bound(self) -> dict[str, list[ast.stmt]]:
        """The statements that bind each name, other than by a plain import."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.statements:
            if not isinstance(statement, Import):
                names = bound_names([statement]) | {
                    name for one in imports([statement]) for name, _ in imported(one, "")
                }
                for name in sorted(names):
                    found.setdefault(name, []).append(statement)
        for name, statement in self.declared_by_functions():
            if name not in found and name not in self.plain_imports:
                found[name] = [statement]
        return found

    def declared_by_functions(self) -> Iterator[tuple[str, ast.stmt]]:
        """Yield the names that functions declare global, each with the top-level statement around the function."""
        for statement in self.statements:
            for node in ast.walk(statement):
                if isinstance(node, ast.Global):
                    yield from ((name, statement) for name in node.names)

    @cached_property
    def plain_imports(self) -> dict[str, Target]:
        """What the import statements at the top level bind."""
        plain = [statement for statement in self.statements if isinstance(statement, Import)]
        found = [one for statement in plain for one in imported(statement, self.package)]
        return {name: target for name, target in found if name != "*"}

    @cached_property
    def stars(self) -> list[str]:
        """The modules all of whose names are imported, the last first: it goes before the others."""
        return [
            target.module
            for one in self.import_statements
            for name, target in imported(one, self.package)
            if name == "*"
        ][::-1]

    @cached_property
    def import_statements(self) -> list[Import]:
        """All import statements that run when the module is imported."""
        return imports(self.statements)

    @cached_property
    def choices(self) -> set[Import]:
        """The import statements that are one of several ways to bind a name."""
        branched = [statement for statement in self.statements if not isinstance(statement, Import)]
        return set(imports(branched))

    @cached_property
    def door(self) -> dict[str, str]:
        """The names that are bound lazily, each with the module that it comes from."""
        if DOOR not in self.bound:
            return {}
        values = [node.value for node in self.bound[DOOR] if isinstance(node, ast.Assign | ast.AnnAssign)]
        try:
            (table,) = [ast.literal_eval(value) for value in values if value]
            return {str(name): str(place) for name, place in dict(table).items()}
        except (ValueError, TypeError) as error:
            raise Fault(f"{self.file}: {DOOR} has to be one plain dictionary of names and modules.") from error


def running(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what runs on import: no texts, no imports for the type checker, no `if __name__ == "__main__"`."""
    for statement in statements:
        if isinstance(statement, ast.If) and is_never_run(statement.test):
            yield from running(statement.orelse)
        elif not is_bare_text(statement) and not isinstance(statement, ast.Pass):
            yield statement


def is_never_run(test: ast.expr) -> bool:
    """Return whether a condition holds for a type checker only, or for a program only."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
    return False


def is_bare_text(node: object) -> bool:
    """Return whether a statement is a docstring or another text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def read_sources(root: Path) -> dict[str, tuple[str, str]]:
    """Return file and text of every module below `src`, by its dotted name."""
    found = {}
    for file in sorted((root / PACKAGES).rglob("*.py")):
        place = file.relative_to(root / PACKAGES).with_suffix("")
        parts = place.parts[:-1] if place.name == "__init__" else place.parts
        found[".".join(parts)] = (file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))
    return found


def parse(sources: Mapping[str, tuple[str, str]]) -> dict[str, Module]:
    """Return the modules by their names; a package without `__init__.py` is an empty module."""
    modules = {}
    for name, (file, text) in sources.items():
        try:
            tree = ast.parse(text, filename=file)
        except SyntaxError as error:
            raise Fault(f"{file}, line {error.lineno}: {error.msg}.") from error
        modules[name] = Module(name, Path(file), tree, file.endswith("__init__.py"))
    for name in list(modules):
        for parent in parents(name):
            place = PACKAGES.joinpath(*parent.split("."))
            modules.setdefault(parent, Module(parent, place, ast.parse(""), is_package=True))
    return modules


def parents(name: str) -> list[str]:
    """Return the packages around a module, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]
