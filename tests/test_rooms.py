"""Rooms import only what they may: data flows one way, studies see the library, and nothing in it sees a study."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "src" / "stablespike", ROOT / "src" / "studies")
ROOMS = {
    "stablespike.native": (),
    "stablespike.dynamics": ("stablespike.native",),
    "stablespike.tasks": ("stablespike.dynamics.spikes",),
    "stablespike.simulate": ("stablespike.native", "stablespike.dynamics", "stablespike.learning"),
    "stablespike.learning": ("stablespike.native", "stablespike.dynamics", "stablespike.simulate"),
    "stablespike.learning.gradients": ("stablespike.native", "stablespike.dynamics", "stablespike.learning.surrogates"),
    "stablespike.stability": tuple(f"stablespike.{room}" for room in ("native", "dynamics", "learning", "simulate")),
    "stablespike.figures": (),
    "studies.figures": ("stablespike.figures",),
    "studies": ("stablespike",),
}
LIBRARIES_OF_FIGURES = ("numpy", "pandas", "matplotlib")
SWITCHES = ("enable_x64", "jax_enable_x64")


def imported_names(tree, module):
    """Yield every imported name in full, with its line: `from a import b` may import the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join([*module.split(".")[: -node.level], *([node.module] if node.module else [])])
            source = start if node.level else node.module
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)


def within(name, prefixes):
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def may_import(room, name):
    """Whether a room may import a name; the package's own `__init__` is in no room and imports none."""
    if within(name, ["stablespike", "studies", "workflow"]):
        return room is not None and within(name, [room, *ROOMS[room]])
    drawn = room is not None and room.endswith(".figures")
    return not drawn or name.split(".")[0] in {*LIBRARIES_OF_FIGURES, *sys.stdlib_module_names}


def without_type_checking(tree):
    """The door, without what only type checkers read: it binds its names when they are used."""
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    return ast.Module(kept, tree.type_ignores)


def room_of(module):
    """The room that a module is in: the one with the longest name."""
    return next((room for room in sorted(ROOMS, key=len, reverse=True) if within(module, [room])), None)


def import_violations(source, module):
    """Say which imports of a module lead out of its room by a door that is not there."""
    room = room_of(module)
    tree = ast.parse(source)
    for name, line in imported_names(tree if room else without_type_checking(tree), module):
        if not may_import(room, name):
            yield f"{module}, line {line}: imports {name}"


def switch_violations(source, module):
    """Say where a module touches JAX's float64 switch, which belongs to the programs that use the package."""
    for node in ast.walk(ast.parse(source)):
        named = isinstance(node, ast.Constant) and node.value in SWITCHES
        touched = isinstance(node, ast.Attribute) and node.attr in SWITCHES
        imported = isinstance(node, ast.alias) and node.name.split(".")[-1] in SWITCHES
        if named or touched or imported:
            yield f"{module}, line {node.lineno}: touches JAX's x64 switch"


def modules():
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        # A package keeps its `__init__`, so that a relative import counts its levels as in any other module.
        yield ".".join(parts), path.read_text(encoding="utf-8")


def test_every_folder_of_the_package_is_a_room():
    folders = {path.name for path in PACKAGES[0].iterdir() if path.is_dir() and path.name != "__pycache__"}
    named = {room.split(".")[1] for room in ROOMS if within(room, ["stablespike"])}
    assert folders | {"simulate"} == named


def test_rooms_import_only_what_they_may():
    assert [fault for module, source in modules() for fault in import_violations(source, at_room(module))] == []


def test_importing_the_package_changes_no_jax_setting():
    assert [fault for module, source in modules() for fault in switch_violations(source, module)] == []


def at_room(module):
    """The package's own `__init__` is in no room."""
    return "stablespike" if module == "stablespike.__init__" else module


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stablespike.dynamics.neurons.qif", "from stablespike.learning.losses import cross_entropy"),
        ("stablespike.dynamics.neurons.qif", "import stablespike.tasks"),
        ("stablespike.dynamics.neurons.qif", "from stablespike import stability"),
        ("stablespike.dynamics.network", "from ..learning import losses"),
        ("stablespike.dynamics.__init__", "from ..learning import losses"),
        ("stablespike.dynamics.neurons.qif", "def late():\n    from stablespike.learning import losses"),
        ("stablespike.dynamics.neurons.qif", "import workflow.provenance"),
        ("stablespike.tasks.volleys", "from stablespike.dynamics.engines.events import simulate"),
        ("stablespike.tasks.volleys", "from stablespike.dynamics import spikes, simulate"),
        ("stablespike.learning.training", "from stablespike.stability import lyapunov"),
        ("stablespike.stability.lyapunov", "import stablespike.figures.style"),
        ("stablespike.figures.style", "import jax.numpy as jnp"),
        ("stablespike.figures.style", "from stablespike.dynamics.spikes import Spikes"),
        ("stablespike", "from stablespike.dynamics.spikes import Spikes"),
    ],
)
def test_a_planted_import_is_found(module, line):
    assert len(list(import_violations(line, module))) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stablespike.dynamics.neurons.qif", "from .stumpff import stumpff"),
        ("stablespike.dynamics.__init__", "from .stumpff import stumpff"),
        ("stablespike.tasks.volleys", "from stablespike.dynamics.spikes import Spikes"),
        ("stablespike.tasks.volleys", "from stablespike.dynamics import spikes"),
        ("stablespike.learning.training", "import optax, stablespike.dynamics.network"),
        ("stablespike.stability.lyapunov", "from stablespike.learning.losses import cross_entropy"),
        ("studies.bit_answers", "from stablespike.learning.losses import cross_entropy"),
        ("studies.figures.costs", "from stablespike.figures.style import COLOURS"),
        ("stablespike.figures.style", "import json\nfrom matplotlib.axes import Axes"),
    ],
)
def test_a_lawful_import_is_let_pass(module, line):
    assert list(import_violations(line, module)) == []


@pytest.mark.parametrize(
    "line",
    [
        'jax.config.update("jax_enable_x64", True)',
        "jax.config.jax_enable_x64 = True",
        "from jax.experimental import enable_x64",
        "with jax.enable_x64(True):\n    pass",
    ],
)
def test_a_planted_switch_is_found(line):
    assert list(switch_violations(line, "stablespike.dynamics.neurons.qif"))
