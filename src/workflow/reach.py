"""Which definitions a notebook reaches, and a hash of each: the identity of its code.

Nothing is run. A definition is reached by name, through imports of every form, re-exports and the table of a lazily
bound package; a class counts as a whole. What may happen when a module is imported counts with what it touches
(`workflow.effects`). Where a name cannot be followed the whole module counts, or all of them, or a Fault is raised.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from workflow.effects import Effect, Touch, leaves_something
from workflow.faults import Fault
from workflow.hashing import digest, short
from workflow.modules import Module, parents, parse, read_sources
from workflow.names import Target, imported, origin
from workflow.renames import Renames, parse_renames, read_renames
from workflow.syntax import SUBCLASSES, Definition, External, Loaded, Reader, Reference, Resolve, Whole

EFFECTS = "(effects)"
# What leads to code that no name tells: all of it counts where one of these is used.
UNFOLLOWED = ("importlib.import_module", "builtins.__import__", "__import__", "sys.modules", "exec", "eval", SUBCLASSES)


@dataclass(frozen=True)
class Unit:
    """A definition as it counts: the hash of the statements that make it, what they refer to, their lines."""

    hash: str
    references: frozenset[Reference]
    lines: int


class Library:
    """All modules of this repository's packages, read and not run."""

    def __init__(self, modules: dict[str, Module], renames: Renames) -> None:
        self.modules, self.renames = modules, renames
        self.tops = {name.partition(".")[0] for name in modules}
        for method in ("unit", "effects", "loads", "meddles", "own_references"):
            setattr(self, method, cache(getattr(self, method)))
        renames.check(self.exists)

    def exists(self, name: str) -> bool:
        """Return whether there is a module or a definition of a name in full."""
        module, _, last = name.rpartition(".")
        return name in self.modules or (module in self.modules and last in self.modules[module].bound)

    def resolve(self, target: Target) -> Reference:
        """Return what an import statement binds a name to."""
        if target.module.partition(".")[0] not in self.tops:
            return External(dotted(target))
        if target.module not in self.modules:
            raise Fault(f"an import names {target.module}, and there is no such module in src.")
        if target.name in (None, "*"):
            return Whole(target.module)
        return self.attribute(target.module, str(target.name))

    def attribute(self, module: str, name: str, seen: tuple[str, ...] = ()) -> Reference:
        """Return what `module.name` is: defined there, imported, bound lazily, or a module in a package."""
        place = self.modules[module]
        if name in place.bound:
            return Definition(module, name)
        if name in place.plain_imports:
            return self.passed_on(place.plain_imports[name], f"{module}.{name}", seen)
        if name in place.door:
            return self.passed_on(Target(place.door[name], name), f"{module}.{name}", seen)
        if f"{module}.{name}" in self.modules:
            return Whole(f"{module}.{name}")
        for star in place.stars:
            if star not in self.modules or self.exists(f"{star}.{name}") or name in self.modules[star].plain_imports:
                return self.passed_on(Target(star, name), f"{module}.{name}", seen)
        if "__getattr__" in place.bound and not place.door:
            return Whole(module)
        raise Fault(f"nothing is called {name} in {module}, where it is looked for.")

    def passed_on(self, target: Target, name: str, seen: tuple[str, ...]) -> Reference:
        """Return what a name leads to that is imported, by however many steps."""
        if name in seen:
            raise Fault(f"the imports of {name} lead in a circle.")
        if target.name in (None, "*") or target.module not in self.modules:
            return self.resolve(target)
        return self.attribute(target.module, str(target.name), (*seen, name))

    def reader(self, module: Module, is_notebook: bool = False, tolerant: bool = False) -> Reader:
        """Return a reader of one module's syntax."""
        resolve, attribute = for_file(module.file, self.resolve), for_file(module.file, self.attribute)
        return Reader(module, resolve, attribute, self.renames.recorded, is_notebook, tolerant)

    def unit(self, definition: Definition) -> Unit:
        """Return a definition with everything that makes it what it is."""
        module = self.modules[definition.module]
        reader = self.reader(module)
        statements = sorted(self.statements(definition), key=lambda node: node.lineno)
        content = [reader.render(statements)]
        if definition.name in module.plain_imports:
            found = self.resolve(module.plain_imports[definition.name])
            reader.references.add(found)
            content.append(reader.full(found))
        lines = sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in statements)
        return Unit(short(digest(content)), frozenset(reader.references - {definition}), lines)

    def statements(self, definition: Definition) -> list[ast.stmt]:
        """Return the top-level statements that bind a name or change what it is bound to."""
        module = self.modules[definition.module]
        bound = module.bound.get(definition.name, [])
        return bound + [
            node for node, effect in self.effects(module.name) if definition in effect.keys and node not in bound
        ]

    def effects(self, name: str) -> list[tuple[ast.stmt, Effect]]:
        """Return the top-level statements of a module that do something beside binding names."""
        module = self.modules[name]
        found = []
        for node in module.statements:
            touch = Touch(self.reader(module, tolerant=True), self.meddles, self.is_data, self.keeps_account)
            touch.statement(node)
            if touch.touched or touch.always:
                keys = tuple(Definition(name, key) for key, nodes in module.bound.items() if node in nodes)
                keys = keys or (owner(touch.touched, node, touch.reader) or Definition(name, EFFECTS),)
                found.append((node, Effect(keys, frozenset(touch.touched), touch.always)))
        return found

    def is_data(self, definition: Definition) -> bool:
        """Return whether a name is bound by something else than a function or class."""
        nodes = self.modules[definition.module].bound.get(definition.name, [])
        return not all(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in nodes)

    def keeps_account(self, definition: Definition) -> bool:
        """Return whether a class, or a base of it, does something when it is derived from."""
        nodes = [node for one in self.called(definition) for node in self.modules[one.module].bound.get(one.name, [])]
        inner = [one for node in nodes if isinstance(node, ast.ClassDef) for one in node.body]
        return any(isinstance(one, ast.FunctionDef) and one.name == "__init_subclass__" for one in inner)

    def meddles(self, definition: Definition) -> bool:
        """Return whether calling a function may change something that lasts, here or in another package."""
        return any(self.leaves_something(one) for one in self.called(definition))

    def called(self, definition: Definition) -> set[Definition]:
        """Return the functions and classes that a definition may call, directly or not."""
        found: set[Definition] = set()
        waiting = [definition]
        while waiting:
            one = waiting.pop()
            if one not in found and not self.is_data(one):
                found.add(one)
                waiting += [other for other in self.own_references(one) if isinstance(other, Definition)]
        return found

    def own_references(self, definition: Definition) -> set[Reference]:
        """Return what the statements that bind a name refer to."""
        reader = self.reader(self.modules[definition.module])
        reader.render(self.modules[definition.module].bound.get(definition.name, []))
        return reader.references

    def leaves_something(self, definition: Definition) -> bool:
        """Return whether a definition's own lines change something that lasts."""
        module = self.modules[definition.module]
        return any(leaves_something(node, self.reader(module)) for node in module.bound.get(definition.name, []))

    def loads(self, name: str) -> frozenset[str]:
        """Return the modules that importing a module runs directly: its packages, and what its imports name."""
        return frozenset(parents(name)) | self.loaded_by(self.modules[name])

    def loaded_by(self, module: Module) -> frozenset[str]:
        """Return the modules that the import statements of a module run."""
        resolve = for_file(module.file, self.resolve)
        statements = module.import_statements
        found = {name for one in statements for name in self.named(one, module.package, resolve)}
        return frozenset(part for name in found for part in (*parents(name), name))

    def named(self, statement: ast.Import | ast.ImportFrom, package: str, resolve: Resolve) -> Iterator[str]:
        """Yield the modules of this repository that an import statement needs."""
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if alias.name in self.modules)
            return
        if (base := origin(statement, package)) not in self.modules:
            return
        yield base
        for _, target in imported(statement, package):
            found = resolve(target)
            yield from [found.module] if isinstance(found, Definition | Whole) else []

    def stars(self, name: str) -> list[Reference]:
        """Return the modules of this repository all of whose names a module imports."""
        return [Whole(star) for star in self.modules[name].stars if star in self.modules]

    def all_of(self, name: str) -> Iterator[Reference]:
        """Yield everything in a module, in what it imports from this repository, and in its submodules."""
        module = self.modules[name]
        yield from (Definition(name, bound) for bound in module.bound)
        yield from (self.resolve(target) for target in module.plain_imports.values())
        yield from (self.attribute(name, lazy) for lazy in module.door)
        yield from (Whole(other) for other in self.modules if other.rpartition(".")[0] == name and module.is_package)


def for_file(file: Path, look_up: Callable[..., Reference]) -> Callable[..., Reference]:
    """Return a look-up whose Faults name the file that asks."""

    def asked(*arguments: Any) -> Reference:
        try:
            return look_up(*arguments)
        except Fault as fault:
            raise Fault(f"{file}: {fault}") from fault

    return asked


def dotted(target: Target) -> str:
    """Return an import's target as one dotted name."""
    return f"{target.module}.{target.name}" if target.name else target.module


def owner(touched: Iterable[Definition], statement: ast.stmt, reader: Reader) -> Definition | None:
    """Return the first name of the module itself that a statement touches."""
    own = {one for one in touched if one.module == reader.module.name}
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    for node in sorted(names, key=lambda one: (one.lineno, one.col_offset)):
        found = reader.chain(node, None)[0]
        if isinstance(found, Definition) and found in own:
            return found
    return None


class Reach:
    """The definitions that some references lead to, and the modules that are loaded for them."""

    def __init__(self, library: Library, references: Iterable[Reference], loaded: Iterable[str]) -> None:
        self.library = library
        self.definitions: set[Definition] = set()
        self.loaded: set[str] = set()
        self.whole: set[str] = set()
        for name in loaded:
            self.load(name)
        waiting = list(references)
        while waiting:
            for reference in waiting:
                self.add(reference)
            waiting = self.next_effects()

    def add(self, reference: Reference) -> None:
        """Add what a reference leads to, and what follows from it."""
        waiting = [reference]
        while waiting:
            one = waiting.pop()
            if isinstance(one, Whole) and one.module not in self.whole:
                self.whole.add(one.module)
                self.load(one.module)
                waiting += self.library.all_of(one.module)
            elif isinstance(one, Definition) and one not in self.definitions:
                self.definitions.add(one)
                self.load(one.module)
                waiting += [*self.library.unit(one).references, *self.library.stars(one.module)]
            elif isinstance(one, Loaded):
                self.load(one.module)
            elif isinstance(one, External) and one.name in UNFOLLOWED:
                waiting += [Whole(name) for name in self.library.modules if name.partition(".")[0] != "workflow"]

    def load(self, name: str) -> None:
        """Add a module to those that are imported, with all that it imports."""
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in self.loaded:
                self.loaded.add(one)
                waiting += self.library.loads(one)

    def next_effects(self) -> list[Reference]:
        """Return what counts now by the effects of the modules that are loaded."""
        effects = [effect for name in self.loaded for _, effect in self.library.effects(name)]
        counting = [effect for effect in effects if effect.always or effect.touched & self.definitions]
        return [key for effect in counting for key in effect.keys if key not in self.definitions]


def library(root: Path = Path()) -> Library:
    """Return the modules as they are on disk now."""
    return _library(tuple(read_sources(root).items()), read_renames(root))


@lru_cache(maxsize=8)
def _library(sources: tuple[tuple[str, tuple[str, str]], ...], table: str) -> Library:
    return Library(parse(dict(sources)), parse_renames(table))
