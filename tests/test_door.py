"""The door: every public name once, bound when it is used, and nothing loaded before."""

import ast
import importlib
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import stablespike as ss

SOURCE = Path(ss.__file__).read_text(encoding="utf-8")


def type_checked():
    """Names that type checkers see, with their modules."""
    blocks = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    block = next(one for one in blocks if ast.unparse(one.test) == "TYPE_CHECKING")
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_type_checkers_see_the_names_of_the_table():
    assert type_checked() == ss._PLACES


def test_every_name_is_where_the_table_says_and_has_a_docstring():
    for name, module in ss._PLACES.items():
        found = getattr(ss, name)
        assert found is getattr(importlib.import_module(module), name)
        assert found.__doc__
    assert set(dir(ss)) == {"__version__", *ss._PLACES}


def test_no_name_of_the_door_is_that_of_a_module_beside_it():
    beside = {path.stem for path in Path(ss.__file__).parent.iterdir()}
    assert not beside & set(ss._PLACES)  # importing the module would bind its name in place of the object


def test_a_name_that_is_none_says_where_to_look():
    with pytest.raises(AttributeError, match=r"has no 'nothing_of_the_kind'; dir\(stablespike\) lists"):
        ss.nothing_of_the_kind


def processor_time(code):
    """Seconds of processor time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_importing_is_quick_and_loads_no_jax():
    code = "import sys; import stablespike; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert min(processor_time(code) - processor_time("pass") for _ in range(5)) < 0.1
