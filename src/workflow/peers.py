"""Other packages on the same workloads: each in an environment of its own, made from its lock in envs/peers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PEERS, ENVIRONMENTS = Path("envs/peers"), Path(".cache/peers")


def peers(root: Path) -> list[str]:
    """Names of the packages that there is a request for, whether they can run or not."""
    return sorted(path.stem for path in (root / PEERS).glob("*.in"))


def measure_peers(
    root: Path, workloads: Path, repeats: int, *, progress: Callable[[Iterable[str]], Iterable[str]] = iter
) -> list[dict[str, Any]]:
    """Rows of all packages: what their scripts print, or `peer` and `failed`, the reason in a sentence."""
    rows: list[dict[str, Any]] = []
    for peer in progress(peers(root)):
        try:
            rows += run_peer(root, peer, workloads, repeats)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            rows.append({"peer": peer, "failed": reason(error)})
    return rows


def run_peer(root: Path, peer: str, workloads: Path, repeats: int) -> list[dict[str, Any]]:
    """One package's rows."""
    script = root / PEERS / f"on_{peer}.py"
    if not script.is_file():
        raise ValueError(f"there is no script for {peer}: see envs/peers/{peer}.in")
    python = environment(root, peer)
    variables = os.environ | {"MPLBACKEND": "agg"}  # that of a notebook is not known in there
    done = subprocess.run(
        [python, script, workloads, str(repeats)],
        capture_output=True,
        text=True,
        check=True,
        cwd=script.parent,
        env=variables,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def environment(root: Path, peer: str) -> Path:
    """The Python of a package's environment, which is made unless it is there and of the present lock."""
    folder, lock = root / ENVIRONMENTS / peer, root / PEERS / f"{peer}.lock.txt"
    stamp = folder / "lock.txt"
    python = folder / "bin" / "python"
    if not (stamp.is_file() and stamp.read_bytes() == lock.read_bytes()):
        version = lock.read_text(encoding="utf-8").splitlines()[0].removeprefix("# Python ").strip()
        subprocess.run([interpreter(version), "-m", "venv", "--clear", folder], capture_output=True, check=True)
        command = [str(python), "-m", "pip", "install", "--no-deps", "--require-hashes", "-r", str(lock)]
        subprocess.run(command, capture_output=True, text=True, check=True)
        shutil.copyfile(lock, stamp)
    return python


def interpreter(version: str) -> str:
    """A Python of the version, e.g. 3.12; `ValueError` if there is none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    if found := shutil.which(f"python{version}"):
        return found
    raise ValueError(f"needs Python {version}, and there is no python{version} on the PATH")


def reason(error: Exception) -> str:
    """The last line of what a command said, or the error itself."""
    said = str(getattr(error, "stderr", "") or "").strip().splitlines()
    return said[-1] if said else str(error)
