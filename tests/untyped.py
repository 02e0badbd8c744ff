"""What is said where something is refused, in a process without the type checks of the tests, which come before it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def said(refused: Mapping[str, tuple[Callable, str]]) -> dict[str, str]:
    """The errors of everything that is refused."""
    found = {}
    for what, (act, _) in refused.items():
        try:
            act()
        except Exception as error:
            found[what] = f"{type(error).__name__}: {error}"
    return found


def said_by(module: str) -> dict[str, str]:
    """The errors of all that a test module lists as `REFUSED`, in a process of its own."""
    code = (
        f"import json; from tests.untyped import said; from {module} import REFUSED; print(json.dumps(said(REFUSED)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_X64": "1"},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])
