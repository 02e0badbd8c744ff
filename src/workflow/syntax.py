"""Code as nested lists that say what it does: global names in full, without comments, docstrings and annotations."""

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workflow.faults import Fault
from workflow.modules import Module, is_bare_text
from workflow.names import (
    Comprehension,
    Function,
    Scope,
    Target,
    class_scope,
    comprehension_scope,
    function_scope,
    imported,
)

LEFT_OUT = ("annotation", "returns", "ctx", "kind", "type_comment", "type_ignores", "type_params")
FOR_THE_CHECKER = ("typing.no_type_check", "typing.final", "typing.override", "typing.runtime_checkable")
CAST, OVERLOAD, SUBCLASSES = "typing.cast", "typing.overload", "__subclasses__"
KINDS_OF_FIELDS = ("ClassVar", "InitVar", "KW_ONLY", "AbstractVar", "AbstractClassVar")
OF_EVERY_MODULE = ("__file__", "__name__", "__doc__", "__package__", "__spec__", "__path__", "__class__", "__loader__")


@dataclass(frozen=True)
class Definition:
    """A name that is bound at the top level of one of this repository's modules."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Whole:
    """A module of this repository that is used as an object: anything in it may be meant."""

    module: str


@dataclass(frozen=True)
class External:
    """A dotted name of another package, or a built-in one."""

    name: str


@dataclass(frozen=True)
class Loaded:
    """A module of this repository that an import statement runs."""

    module: str


Reference = Definition | Whole | External | Loaded
Resolve = Callable[[Target], Reference]


@dataclass
class Reader:
    """Renders syntax of one module, and notes what it refers to."""

    module: Module
    resolve: Resolve
    attribute: Callable[[str, str], Reference]
    recorded: Callable[[str], str] = str
    is_notebook: bool = False
    tolerant: bool = False  # a name that is bound nowhere is taken for a local one
    references: set[Reference] = field(default_factory=set)

    def name(self, name: str, scope: Scope | None) -> Reference | None:
        """Return what a name refers to, or nothing where it is local."""
        place = scope.find(name) if scope else None
        if place is None:
            return self.global_name(name)
        found = self.resolve(place.imports[name]) if name in place.imports else None
        if place.is_class and found is None and self.is_global(name):
            found = self.global_name(name)  # what the body may mean before it binds the name itself
        if name not in place.names:
            return found
        self.references |= {found} if found else set()
        return None

    def is_global(self, name: str) -> bool:
        """Return whether the module binds a name."""
        return name in self.module.bound or name in self.module.plain_imports

    def global_name(self, name: str) -> Reference | None:
        """Return what a global name of the module refers to."""
        if name in self.module.bound:
            return None if self.is_notebook else Definition(self.module.name, name)
        if name in self.module.plain_imports:
            return self.resolve(self.module.plain_imports[name])
        if name in OF_EVERY_MODULE:
            return External(self.of_module(name))
        if hasattr(builtins, name):
            return External(name)
        found = self.from_star(name)
        if found is None and not (self.tolerant or self.is_notebook):
            raise Fault(f"{self.module.file}: the name {name} is bound nowhere, so that what it means cannot be told.")
        return found

    def of_module(self, name: str) -> str:
        """Return how a name that every module has is written: a file's place does not pass through renames."""
        if name == "__class__":
            return name
        place = self.module.name if name in ("__file__", "__path__") else self.recorded(self.module.name)
        return f"{place}.{name}"

    def from_star(self, name: str) -> Reference | None:
        """Return what a name may mean that only `import *` can have bound."""
        return self.attribute(self.module.name, name) if self.module.stars else None

    def chain(self, node: ast.expr, scope: Scope | None) -> tuple[Reference | None, list[str]]:
        """Return what a dotted expression refers to, and the attributes that are left over."""
        if isinstance(node, ast.Name):
            return self.name(node.id, scope), []
        if not isinstance(node, ast.Attribute):
            return None, []
        found, left = self.chain(node.value, scope)
        if found is None or left or isinstance(found, Definition):
            return found, [*left, node.attr]
        if isinstance(found, Whole):
            return (
                (found, [node.attr]) if node.attr in OF_EVERY_MODULE else (self.attribute(found.module, node.attr), [])
            )
        return (External(f"{found.name}.{node.attr}"), []) if isinstance(found, External) else (None, [])

    def render(self, node: object, scope: Scope | None = None) -> Any:
        """Return a piece of syntax as nested lists."""
        if isinstance(node, list):
            return [self.render(item, scope) for item in node if not self.says_nothing(item, scope)]
        if isinstance(node, ast.Name | ast.Attribute):
            return self.dotted(node, scope)
        if isinstance(node, Function):
            return self.function(node, scope)
        if isinstance(node, ast.ClassDef):
            return self.class_(node, scope)
        if isinstance(node, Comprehension):
            return self.comprehension(node, scope)
        if isinstance(node, ast.AnnAssign):
            return self.annotated(node, scope)
        if isinstance(node, ast.Import | ast.ImportFrom):
            return self.import_(node)
        if isinstance(node, ast.Call) and self.chain(node.func, scope)[0] == External(CAST) and len(node.args) == 2:
            return self.render(node.args[1], scope)
        if isinstance(node, ast.AST):
            return self.fields(node, scope)
        return node if isinstance(node, str | bool | int | type(None)) else [type(node).__name__, repr(node)]

    def says_nothing(self, node: object, scope: Scope | None) -> bool:
        """Return whether a statement has no effect on what is computed."""
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return not (scope and scope.is_class)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return any(self.chain(one, scope)[0] == External(OVERLOAD) for one in node.decorator_list)
        return is_bare_text(node) or (isinstance(node, ast.Import | ast.ImportFrom) and not self.import_(node))

    def fields(self, node: ast.AST, scope: Scope | None, *leave_out: str) -> list[Any]:
        """Return a node's fields.

        Which empty fields there are depends on the version of Python; leaving them out gives the same on all of them.
        """
        wanted = [field for field in ast.iter_fields(node) if field[0] not in (*LEFT_OUT, *leave_out)]
        rendered = [[name, self.render(value, scope)] for name, value in wanted if value not in (None, [])]
        return [type(node).__name__, *rendered]

    def dotted(self, node: ast.Name | ast.Attribute, scope: Scope | None) -> Any:
        """Return a name in full."""
        found, left = self.chain(node, scope)
        if isinstance(node, ast.Attribute) and node.attr == SUBCLASSES:
            self.references.add(External(SUBCLASSES))
        if found is None:
            return [node.id] if isinstance(node, ast.Name) else self.fields(node, scope)
        self.references.add(found)
        if found == External("globals"):
            self.references.add(Whole(self.module.name))
        return ["global", self.full(found), *left]

    def full(self, found: Reference) -> str:
        """Return the name under which a reference is recorded."""
        if isinstance(found, External):
            return found.name
        return self.recorded(str(found) if isinstance(found, Definition) else found.module)

    def defined(self, name: str, scope: Scope | None) -> str:
        """Return how a function or class is called where it is defined."""
        found = None if scope else self.global_name(name)
        return self.full(found) if found else name

    def decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: Scope | None) -> list[Any]:
        """Return the decorators that do something."""
        chosen = [one for one in node.decorator_list if not self.is_for_the_checker(one, scope)]
        return [self.render(one, scope) for one in chosen]

    def is_for_the_checker(self, node: ast.expr, scope: Scope | None) -> bool:
        """Return whether a decorator only speaks to type checkers."""
        found, _ = self.chain(node, scope)
        return isinstance(found, External) and found.name in FOR_THE_CHECKER

    def function(self, node: Function, scope: Scope | None) -> list[Any]:
        """Return a function: decorators and defaults as they are outside of it, the rest within."""
        inner = function_scope(node, scope, self.module.package)
        head: list[Any] = [type(node).__name__]
        if not isinstance(node, ast.Lambda):
            head += [self.defined(node.name, scope), self.decorators(node, scope)]
            if any(self.dispatches_on_types(one) for one in node.decorator_list):
                head += [self.render([one.annotation for one in node.args.args if one.annotation], scope)]
        names = self.fields(node.args, inner, "defaults", "kw_defaults")
        defaults = self.render([*node.args.defaults, *(one for one in node.args.kw_defaults)], scope)
        return [*head, names, defaults, self.render(node.body, inner)]

    @staticmethod
    def dispatches_on_types(node: ast.expr) -> bool:
        """Return whether a decorator reads annotations: `register` of a function that has a version for each type."""
        return isinstance(node, ast.Attribute) and node.attr == "register"

    def class_(self, node: ast.ClassDef, scope: Scope | None) -> list[Any]:
        """Return a class."""
        inner = class_scope(node, scope, self.module.package)
        outside = [self.decorators(node, scope), self.render(node.bases, scope), self.render(node.keywords, scope)]
        return ["ClassDef", self.defined(node.name, scope), *outside, self.render(node.body, inner)]

    def comprehension(self, node: Any, scope: Scope | None) -> list[Any]:
        """Return a comprehension; its first iterable is looked up outside of it."""
        inner = comprehension_scope(node, scope)
        first, *others = node.generators
        start = [self.render(first.iter, scope), *self.fields(first, inner, "iter")]
        return [*self.fields(node, inner, "generators"), start, self.render(others, inner)]

    def annotated(self, node: ast.AnnAssign, scope: Scope | None) -> list[Any]:
        """Return `name: type = value`: a field in a class, a plain assignment elsewhere."""
        if not (scope and scope.is_class):
            return ["Assign", ["targets", [self.render(node.target, scope)]], ["value", self.render(node.value, scope)]]
        words = {part for part in ast.walk(node.annotation) if isinstance(part, ast.Name | ast.Attribute)}
        kinds = sorted({one.id if isinstance(one, ast.Name) else one.attr for one in words} & set(KINDS_OF_FIELDS))
        return ["field", self.render(node.target, scope), kinds, self.render(node.value, scope)]

    def import_(self, node: ast.Import | ast.ImportFrom) -> list[Any]:
        """Return an import that is one of several ways to bind a name; any other shows in what refers to it."""
        found = [(name, self.resolve(target)) for name, target in imported(node, self.module.package)]
        ours = [reference.module for _, reference in found if isinstance(reference, Definition | Whole)]
        self.references |= {Loaded(name) for name in ours}
        if isinstance(node, ast.Import):
            self.references |= {Loaded(one.name) for one in node.names if one.name.partition(".")[0] in ours}
        if node not in self.module.choices:
            return []
        self.references |= {reference for _, reference in found}
        return ["import", *([name, self.full(reference)] for name, reference in found)]
