"""What all tests share: float64, strict dtype promotion, and caches of compiled code that outlive a run.

The package is not imported here: pytest loads this file before jaxtyping's hook, which adds the shape checks on import.
"""

import ctypes
import gc
import os
import resource
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)  # programs that run once or twice: compiling is what costs


LIBRARY = ctypes.CDLL(None)
SLOW = Path(__file__).with_name("slow.txt")
MAPPINGS, PAGES = Path("/proc/self/maps"), Path("/proc/self/statm")
MOST_MAPPINGS = 15_000  # Linux ends a process with more than 65 530, in the midst of a compilation
MOST_RESIDENT, MOST_NEW = 5 * 2**29, 2**30  # bytes, and those beyond what was left the last time
LEFT = [0]


def resident():
    """Bytes of memory that this process holds."""
    return int(PAGES.read_text().split()[1]) * resource.getpagesize()


def hoards():
    """Whether this process holds many mappings of memory, of which each program takes a few, or much memory."""
    if not MAPPINGS.exists():
        return False
    if resident() > max(MOST_RESIDENT, LEFT[0] + MOST_NEW):
        return True
    return MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS


@pytest.fixture
def as_users_compile():
    """Programs with all optimisations: for figures that are documented to the last roundings."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True, scope="module")
def no_hoard_of_programs():
    """Compiled programs of thousands of tests are a worker's end: they go when they have become many."""
    yield
    if hoards():
        jax.clear_caches()
        gc.collect()
        if hasattr(LIBRARY, "malloc_trim"):
            LIBRARY.malloc_trim(0)  # what was freed goes back to the machine
        LEFT[0] = resident()


def pytest_sessionfinish(session):
    """A worker tells the run that began it how much memory it took at most."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


PEAKS = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    PEAKS.append(getattr(node, "workeroutput", {}).get("peak", 0))


def pytest_terminal_summary(terminalreporter):
    peaks = PEAKS or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
    terminalreporter.write_line(f"largest resident memory: {', '.join(f'{peak / 2**20:.1f}' for peak in peaks)} GiB")


def pytest_addoption(parser):
    parser.addoption("--fast", action="store_true", help="leave out the tests that are named in tests/slow.txt")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--fast"):
        slow = {line for line in SLOW.read_text().splitlines() if line and not line.startswith("#")}
        left_out = [item for item in items if item.nodeid.split("[")[0] in slow]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    if not any(item.get_closest_marker("gpu") for item in items) or jax.default_backend() == "gpu":
        return
    skip = pytest.mark.skip(reason="needs a GPU")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
