"""Checkpoints of a training: a file, whole or not there, that knows its run, and whether a bit has flipped."""

import hashlib
import io
import json
import os
import pathlib
import re
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax

if TYPE_CHECKING:
    from stablespike.learning.training import TrainingState


def checkpoint_file(checkpoint: pathlib.Path | str) -> pathlib.Path:
    """The file of the checkpoints, in a folder that is there, before hours of training find that it cannot be."""
    path = pathlib.Path(checkpoint)
    if path.is_dir():
        raise ValueError(f"The checkpoint {path} is a folder: give a file, such as {path / 'checkpoint.eqx'}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The checkpoint {path} cannot be in {path.parent} ({error.strerror}).") from error
    return path


def save(path: pathlib.Path | None, identity: str, state: "TrainingState", history: list[dict[str, Any]]) -> None:
    """Write to a file beside and rename it, so that a kill leaves the old checkpoint or the new one.

    The first line is the hash of all that follows: header, a line of JSON, and the leaves of the state.
    """
    if path is None:
        return
    content = io.BytesIO()
    header = {"identity": identity, "arrays": _arrays(state), "history": history}
    content.write((json.dumps(header) + "\n").encode())
    eqx.tree_serialise_leaves(content, _without_key(state))
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(_checksum(content.getbuffer()))
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _checksum(content: memoryview) -> bytes:
    """The line that a checkpoint begins with: a flipped bit would otherwise be trained on in silence."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def restored(
    path: pathlib.Path | None, identity: str, state: "TrainingState"
) -> tuple["TrainingState", list[dict[str, Any]]]:
    """State and history of the checkpoint if there is one of this run, else the given state and no history."""
    if path is None or not path.exists():
        return state, []
    checksum, _, content = path.read_bytes().partition(b"\n")
    file = io.BytesIO(content)
    try:
        if checksum + b"\n" != _checksum(file.getbuffer()):
            raise ValueError("the checksum is another")
        header = json.loads(file.readline())
        own = header["identity"] == identity and header["arrays"] == _arrays(state)
        found = eqx.tree_deserialise_leaves(file, _without_key(state)) if own else None
    except (ValueError, TypeError, KeyError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint of `fit`: delete it to start anew, or give another file."
        ) from error
    if found is None:
        raise ValueError(_of_another_run(path, header, identity, _arrays(state)))
    return eqx.tree_at(lambda s: s.key, found, jax.random.wrap_key_data(found.key)), header["history"]


def _arrays(state: "TrainingState") -> dict[str, str]:
    """Name of every part of a state, with type and shape, or its value where it is a plain number; and its build."""
    parts, build = jax.tree_util.tree_flatten_with_path(_without_key(state))
    names = {jax.tree_util.keystr(place): _description(leaf) for place, leaf in parts}
    text = re.sub(r" at 0x[0-9a-f]+", "", str(build))  # functions print their address
    return names | {"build": hashlib.sha256(text.encode()).hexdigest()[:12]}


def _description(leaf: Any) -> str:
    if eqx.is_array(leaf):
        return f"{leaf.dtype}{list(leaf.shape)}"
    return repr(leaf) if isinstance(leaf, bool | int | float | complex | str) else type(leaf).__qualname__


def _of_another_run(path: pathlib.Path, header: dict[str, Any], identity: str, arrays: dict[str, str]) -> str:
    """The sentence about a checkpoint that does not belong to this run."""
    then, now = f"identity {header['identity']!r}", f"identity {identity!r}"
    if header["arrays"] != arrays:
        names = [*(name for name in arrays | header["arrays"] if name != "build"), "build"]  # it says the least
        name = next(name for name in names if header["arrays"].get(name) != arrays.get(name))
        then, now = (f"{name} {kept.get(name, 'absent')}" for kept in (header["arrays"], arrays))
    return f"The checkpoint {path} is of another run ({then}, here {now}): delete it, or give another file."


def _without_key(state: "TrainingState") -> "TrainingState":
    return eqx.tree_at(lambda s: s.key, state, jax.random.key_data(state.key))
