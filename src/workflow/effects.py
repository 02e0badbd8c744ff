"""What the top-level statements of a module do beside binding names: decorators that register, tables that are filled.

Nothing is run, so that what is not known to be harmless counts. A statement *touches* the names that it hands to code
which may change them or remember them; it counts as soon as one of these is reached, and always where that cannot be
told.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from workflow.names import Function
from workflow.syntax import FOR_THE_CHECKER, Definition, External, Reader, Reference, Whole

# Functions of other packages that return something new and remember nothing.
HARMLESS = re.compile(
    r"(math|numpy|jax\.numpy|jax\.lax|jax\.nn|jax\.tree|itertools|operator|typing|typing_extensions|enum|fractions"
    r"|pathlib|struct|ctypes|re|string|textwrap)\.[\w.]+"
    r"|functools\.(partial|cache|lru_cache|wraps|reduce|cached_property|total_ordering)|jax\.(jit|vmap|grad|custom_jvp"
    r"|custom_vjp|checkpoint|named_call|Array|ShapeDtypeStruct)|dataclasses\.(dataclass|field|replace)"
    r"|collections\.\w+|contextlib\.contextmanager|numba\.(njit|jit|cfunc|extending\.(register_jitable|intrinsic))"
    r"|equinox\.(filter_jit|filter_vmap|filter_grad|filter_value_and_grad|filter_custom_vjp|filter_custom_jvp|field"
    r"|static_field|Partial|nn\.[\w.]+)|abc\.\w+|types\.\w+"
    r"|(abs|all|any|bool|bytes|complex|dict|enumerate|filter|float|frozenset|int|iter|len|list|map|max|min|next|object"
    r"|pow|property|range|repr|reversed|round|set|slice|sorted|staticmethod|classmethod|str|sum|tuple|type|zip|Ellipsis"
    r"|[A-Z]\w*(Error|Exception|Warning))(\.\w+)*"
)
MUTABLE_PLACES = re.compile(r"numpy\.(random\.|seterr|set_)|typing\.get_type_hints")
# Names of methods and functions that leave something behind, as far as names tell.
REGISTERING = re.compile(r"([\w.]+\.)?(register\w*|overload\w*|def\w*)")
MEDDLING = re.compile(
    r"(append|add|update|extend|insert|remove|pop|popitem|clear|discard|setdefault|seed|setattr|delattr|install"
    r"|register\w*|set_\w+|def_\w+|def\w*vjp|def\w*jvp|defvmap|overload\w*|__set\w+__)"
)


@dataclass(frozen=True)
class Effect:
    """A top-level statement that does something: what counts with it, what it touches, whether it always counts."""

    keys: tuple[Definition, ...]
    touched: frozenset[Definition]
    always: bool


@dataclass
class Touch:
    """Finds out what one statement touches when its module is imported."""

    reader: Reader
    meddles: Callable[[Definition], bool]
    is_data: Callable[[Definition], bool]
    keeps_account: Callable[[Definition], bool]
    touched: set[Definition] = field(default_factory=set)
    always: bool = False

    def statement(self, node: ast.stmt) -> None:
        """Note what a statement touches."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.decorated(node)
        for part in at_once([node]):
            if isinstance(part, ast.ClassDef):
                self.subclass(part)
            elif isinstance(part, ast.Call):
                self.call(part, alone=is_alone(node, part))
            elif isinstance(part, ast.Subscript | ast.Attribute) and not isinstance(part.ctx, ast.Load):
                self.receiver(part.value)

    def decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """Note what the decorators of a definition touch: they are called with it."""
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                continue  # found among the calls
            found, left = self.reader.chain(decorator, None)
            if isinstance(found, External):
                self.always |= not harmless(found) and found.name not in FOR_THE_CHECKER
            elif isinstance(found, Definition) and not left and not self.is_data(found):
                self.always |= self.meddles(found)
            elif found is not None:
                self.receiver(decorator)

    def subclass(self, node: ast.ClassDef) -> None:
        """Note what a class touches: by decorators, its own and its methods', and where its base keeps an account."""
        self.decorated(node)
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                self.decorated(inner)
        bases = [self.reader.chain(base, None)[0] for base in node.bases]
        self.touched |= {base for base in bases if isinstance(base, Definition) and self.keeps_account(base)}

    def call(self, node: ast.Call, alone: bool) -> None:
        """Note what a call touches: its receiver and its arguments, unless it is known to be harmless."""
        found, left = self.reader.chain(node.func, None)
        arguments = set(self.mentioned([*node.args, *node.keywords]))
        if isinstance(found, External):
            if harmless(found):
                return
            self.always |= not (arguments and REGISTERING.fullmatch(found.name))
        elif isinstance(found, Definition):
            if left or self.is_data(found) or alone:
                arguments.add(found)
            self.always |= not left and self.meddles(found)
        elif isinstance(found, Whole):
            self.always = True
        self.touched |= arguments
        if alone:
            self.always |= any(one.module != self.reader.module.name for one in arguments)

    def receiver(self, node: ast.expr) -> None:
        """Note the object that is written into."""
        while isinstance(node, ast.Subscript | ast.Attribute) and self.reader.chain(node, None)[0] is None:
            node = node.value
        found, _ = self.reader.chain(node, None)
        if isinstance(found, Definition):
            self.touched.add(found)
        else:
            self.always |= found is not None

    def mentioned(self, nodes: list[ast.AST]) -> Iterator[Definition]:
        """Yield the definitions that expressions hand on, those aside that are only called on the way."""
        for node in nodes:
            if isinstance(node, ast.Name | ast.Attribute):
                found, _ = self.reader.chain(node, None)
                if isinstance(found, Definition):
                    yield found
                elif found is None and isinstance(node, ast.Attribute):
                    yield from self.mentioned([node.value])
                self.always |= isinstance(found, Whole)
            elif isinstance(node, ast.Call):
                called, left = self.reader.chain(node.func, None)
                plain = isinstance(called, Definition) and not left and not self.is_data(called)
                yield from self.mentioned([*([] if plain else [node.func]), *node.args, *node.keywords])
            elif not isinstance(node, Function):
                yield from self.mentioned(list(ast.iter_child_nodes(node)))


def harmless(found: External) -> bool:
    """Return whether a function of another package is known to remember nothing."""
    return bool(HARMLESS.fullmatch(found.name)) and not MUTABLE_PLACES.match(found.name)


def is_alone(statement: ast.stmt, call: ast.Call) -> bool:
    """Return whether a call stands for itself: what it returns is not kept, so that it is there for what it does."""
    return any(isinstance(node, ast.Expr) and node.value is call for node in ast.walk(statement)) or any(
        isinstance(node, ast.With | ast.AsyncWith) and call in [item.context_expr for item in node.items]
        for node in ast.walk(statement)
    )


def at_once(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes that run when a statement runs: all but the bodies of functions, and annotations."""
    for node in nodes:
        if isinstance(node, ast.Lambda):
            yield from at_once([*node.args.defaults, *(one for one in node.args.kw_defaults if one)])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*node.args.defaults, *(one for one in node.args.kw_defaults if one)]
            yield from at_once([*node.decorator_list, *defaults])
        else:
            yield node
            inner = [value for name, value in ast.iter_fields(node) if name != "annotation"]
            children = [one for value in inner for one in (value if isinstance(value, list) else [value])]
            yield from at_once([child for child in children if isinstance(child, ast.AST)])


def leaves_something(node: ast.AST, reader: Reader) -> bool:
    """Return whether code may change, by its own lines, something outside of itself that lasts."""
    local: set[str] = {
        name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    local |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}

    def outside(part: ast.expr) -> Reference | None:
        root: ast.AST = part
        while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
            root = root.func if isinstance(root, ast.Call) else root.value
        is_local = not isinstance(root, ast.Name) or root.id in local or not reader.is_global(root.id)
        return None if is_local else reader.chain(root, None)[0]  # type: ignore[arg-type]

    def lasts(place: Reference | None, handed_on: ast.expr | None) -> bool:
        """Whether writing there lasts: not where another package gets an entry for an object that is made here."""
        made_here = handed_on is not None and names_in(handed_on) & local
        return place is not None and not (isinstance(place, External) and made_here)

    for part in ast.walk(node):
        match part:
            case ast.Global():
                return True
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del(), slice=index) if lasts(outside(value), index):
                return True
            case ast.Attribute(value=value, ctx=ast.Store() | ast.Del()) if outside(value):
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if MEDDLING.fullmatch(attr):
                if lasts(outside(value), next(iter(part.args), None)):
                    return True
            case ast.Call(func=ast.Name(id=name)) if MEDDLING.fullmatch(name):
                if lasts(outside(part.func), next(iter(part.args), None)):
                    return True
    return False


def names_in(node: ast.expr) -> set[str]:
    """Return the names in an expression."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
