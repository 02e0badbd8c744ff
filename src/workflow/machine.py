"""What a result was computed with: hardware, software, lock and version of the code."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workflow.hashing import digest

CODE = ("Snakefile", "config", "envs", "manuscript", "notebooks", "pyproject.toml", "src")
HELD = "STABLESPIKE_PROCESSOR"  # the kind of processor that the reader wants jobs to be held to
LIBRARIES = ("jax", "jaxlib", "equinox", "numpy", "numba", "scikit-learn", "matplotlib", "stablespike")


def describe_session() -> dict[str, Any]:
    """Describe the process that this is called in; JAX is asked only where the process uses it."""
    description: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := installed(name))},
    }
    if held := os.environ.get(HELD):
        description["held_to"] = held
    if jax := sys.modules.get("jax"):
        description["jax"] = {
            "devices": [device.device_kind for device in jax.devices()],
            "backend": jax.default_backend(),
            "x64": bool(jax.config.jax_enable_x64),
        }
    return description


def processor_seconds() -> float:
    """Return the time that processors worked for this process and for its children that have ended."""
    spent = os.times()
    return round(spent.user + spent.system + spent.children_user + spent.children_system, 1)


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def installed(package: str) -> str | None:
    """Return a package's version where it is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cuda_plugin() -> str | None:
    """Return the CUDA version, `cuda12` or `cuda13`, that the installed JAX was built for."""
    return next((name for name in ("cuda13", "cuda12") if installed(f"jax-{name}-plugin")), None)


def gpu_is_visible() -> bool:
    """Return whether JAX can hope for a GPU: its CUDA plugin is installed and a device node is there."""
    return cuda_plugin() is not None and Path("/dev/nvidiactl").exists()


def lock_in_use() -> dict[str, str]:
    """Return name and hash of the lock that the environment was installed from."""
    name = cuda_plugin() or "cpu"
    return {"name": name, "hash": lock_hash(name)}


def lock_hash(name: str) -> str:
    """Return the hash of a lock's requirements, without its comments."""
    file = Path("envs", f"{name}.lock.txt")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return digest([line for line in map(str.strip, lines) if line and not line.startswith("#")])


def code_version() -> str:
    """Return the package's version and the last commit that changed code, prose or configuration.

    A commit that only adds results leaves it as it is, so that results can be committed beside the code that made them.
    """
    release = installed("stablespike") or "unknown version"
    commit = git("log", "-1", "--format=%h", "--abbrev=10", "--", *CODE)
    if not commit:
        return f"{release}, not under version control"
    changed = git("status", "--porcelain", "--", *CODE)
    return f"{release}, commit {commit}{' with uncommitted changes' if changed else ''}"


def git(*arguments: str) -> str:
    """Return what git answers, or nothing where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip()
