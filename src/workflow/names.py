"""The names that a piece of syntax binds, and the scopes in which Python looks them up."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Import = ast.Import | ast.ImportFrom
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Target:
    """What an import statement binds a name to: a module, or one of a module's names."""

    module: str
    name: str | None


@dataclass
class Scope:
    """The names of a function, a comprehension or a class body, within another such scope or in a module."""

    is_class: bool
    names: set[str] = field(default_factory=set)
    imports: dict[str, Target] = field(default_factory=dict)
    outer: "Scope | None" = None

    def find(self, name: str) -> "Scope | None":
        """Return the scope in which a name is local; a class body is not seen from the functions in it."""
        place: Scope | None = self
        while place is not None:
            if (name in place.names or name in place.imports) and (place is self or not place.is_class):
                return place
            place = place.outer
        return None


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements bind where they stand, imports aside."""
    return {name for node in here(nodes) for name in binds(node)} - set(declared(nodes, ast.Global, ast.Nonlocal))


def binds(node: ast.AST) -> Iterator[str]:
    """Yield the names that one node binds by itself."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def here(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of one scope, without those of functions, classes and comprehensions in it."""
    for node in nodes:
        yield node
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, Comprehension):
            yield from (
                target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr) for target in [inner.target]
            )
        else:
            yield from here(ast.iter_child_nodes(node))


def declared(nodes: Iterable[ast.AST], *kinds: type[ast.AST]) -> list[str]:
    """Return the names that `global` or `nonlocal` statements of a scope declare."""
    return [name for node in here(nodes) if isinstance(node, kinds) for name in node.names]  # type: ignore[attr-defined]


def imports(nodes: Iterable[ast.AST]) -> list[Import]:
    """Return the import statements of a scope."""
    return [node for node in here(nodes) if isinstance(node, Import)]


def imported(statement: Import, package: str) -> Iterator[tuple[str, Target]]:
    """Yield the names that an import statement binds, each with what it is bound to."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, Target(alias.name, None)) if alias.asname else (top, Target(top, None))
    else:
        base = origin(statement, package)
        yield from ((alias.asname or alias.name, Target(base, alias.name)) for alias in statement.names)


def origin(statement: ast.ImportFrom, package: str) -> str:
    """Return the module that a `from` statement takes names from."""
    above = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
    return ".".join([*above, *([statement.module] if statement.module else [])])


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Return the parameters of a function."""
    several = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return several + [one for one in (arguments.vararg, arguments.kwarg) if one]


def function_scope(node: Function, outer: Scope | None, package: str) -> Scope:
    """Return the scope of a function's body."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    names = {one.arg for one in parameters(node.args)} | bound_names(body)
    return Scope(False, names, local_imports(body, package), outer)


def class_scope(node: ast.ClassDef, outer: Scope | None, package: str) -> Scope:
    """Return the scope of a class's body."""
    return Scope(True, bound_names(node.body), local_imports(node.body, package), outer)


def comprehension_scope(node: Comprehension, outer: Scope | None) -> Scope:
    """Return the scope of a comprehension."""
    return Scope(False, bound_names(generator.target for generator in node.generators), {}, outer)


def local_imports(body: list[ast.stmt] | list[ast.expr], package: str) -> dict[str, Target]:
    """Return what the import statements of a scope bind."""
    return dict(found for statement in imports(body) for found in imported(statement, package))
