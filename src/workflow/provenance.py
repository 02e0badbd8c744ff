"""What every result says about itself, and whether that still holds."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow.configuration import Configuration, Question
from workflow.fingerprint import NOTEBOOK, identity
from workflow.hashing import digest, file_digest
from workflow.kept import MANIFEST
from workflow.machine import code_version, lock_hash, lock_in_use

RECORD = "provenance.json"
ANSWER = (
    "notebook.ipynb",
    "notebook.html",
    "figure.pdf",
    "figure.svg",
    "figure.png",
    "table.csv",
    "table.tex",
    "numbers.json",
)
TRAINED = ("notebook.ipynb", "notebook.html", "numbers.json")
FULL_STUDY = "paper"  # the scale
NAMED = 6  # names in a list of changed definitions


def products(question: Question) -> tuple[str, ...]:
    """Return the names of the files that a question has to write into its folder."""
    return TRAINED if question.trains else ANSWER


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the provenance in a product folder, or nothing where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def new_record(question: Question, configuration: Configuration, session: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run that just ended, the hashes of its files aside.

    Only in the full study it says how long the run took: elsewhere two runs write the same bytes.
    """
    effective = question.effective_parameters()
    timed = question.scale == FULL_STUDY
    return {
        "identity": identity(question, configuration),
        "code_version": code_version(),
        "lock": lock_in_use(),
        "prose": prose_hash(question),
        "seeds": {name: value for name, value in effective.items() if name.startswith("seed")},
        "session": {name: value for name, value in session.items() if timed or name != "processor_seconds"},
        "training_data": raw_hash(configuration.questions[question.training]) if question.training else None,
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the provenance of the files that are in a folder now."""
    write_json(folder / RECORD, {**record, "products": product_hashes(folder)})


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in the same bytes for the same content."""
    file.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def prose_hash(question: Question) -> str:
    """Return the hash of a notebook's whole text, comments and prose included, Jupyter's header aside."""
    return digest(question.notebook.text)


def has_old_prose(question: Question) -> bool:
    """Return whether the executed copy shows another text than the notebook has now."""
    record = read_record(question.folder)
    return record is not None and record.get("prose") != prose_hash(question)


def raw_hash(question: Question) -> str | None:
    """Return the hash of what a training left behind, if it is still there."""
    manifest = question.folder / MANIFEST
    return file_digest(manifest) if manifest.is_file() else None


def product_hashes(folder: Path) -> dict[str, str]:
    """Return the hashes of the files in a product folder, raw arrays and the provenance itself aside."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name != RECORD)
    return {path.name: file_digest(path) for path in files}


def why_stale(question: Question, configuration: Configuration) -> list[str]:
    """Return why a question's products do not match code and configuration; an empty list if they do."""
    record = read_record(question.folder)
    if record is None:
        return ["missing" if not question.folder.is_dir() else f"{RECORD} is missing"]
    try:
        now = identity(question, configuration)
        is_of_now = record["identity"] == now and record["lock"]["hash"] == lock_hash(record["lock"]["name"])
        old = record if is_of_now else as_confirmed(record)
        return [*differences(old["identity"], now), *losses(question, old)]
    except (KeyError, TypeError, AttributeError):
        return [f"{RECORD} cannot be read"]


def as_confirmed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record with the code and the lock of the replay that confirmed it last, if there was one."""
    stamp = record.get("confirmed")
    return {**record, "identity": stamp["identity"], "lock": stamp["lock"]} if stamp else record


def confirmation(question: Question, configuration: Configuration) -> dict[str, Any] | None:
    """Return by what a question is confirmed whose products another code made; nothing where it is current or stale."""
    record = read_record(question.folder) or {}
    if "confirmed" not in record or why_stale(question, configuration):
        return None
    stamp: dict[str, Any] = record["confirmed"]
    is_needed = record["identity"] != identity(question, configuration) or record["lock"] != stamp["lock"]
    return {name: stamp[name] for name in ("parameters", "rows", "when", "code_version")} if is_needed else None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield which code, parameters, data and training a product was not made from."""
    if old["code"] != new["code"]:
        yield f"code: {'; '.join(changed_code(old['code'], new['code']))}"
    for part in ("parameters", "data", "answers"):
        before, now = old.get(part, {}), new.get(part, {})
        if changed := [name for name in sorted(before | now) if before.get(name) != now.get(name)]:
            yield f"{part}: {', '.join(changed)}"
    for part in ("scale", "training"):
        if old[part] != new[part]:
            yield f"{part} changed"


def changed_code(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield which definitions are not what they were, which are new and which are gone, by name."""
    if NOTEBOOK not in old:
        yield "recorded file by file, as was done before single definitions were"
        return
    before, now = definition_hashes(old), definition_hashes(new)
    kept = before.keys() & now.keys()
    groups = {
        "changed": [name for name in kept if before[name] != now[name]],
        "new": now.keys() - kept,
        "gone": before.keys() - kept,
    }
    yield from (f"{listed(sorted(names))} {what}" for what, names in groups.items() if names)


def listed(names: list[str]) -> str:
    """Return names as a list, the first of many."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def definition_hashes(code: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of definitions by their names in full."""
    modules = ((module, names) for module, names in code.items() if module != NOTEBOOK)
    return {f"{module}.{name}": sha for module, names in modules for name, sha in names.items()} | {
        NOTEBOOK: code[NOTEBOOK]
    }


def losses(question: Question, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield which lock, trained data and product files are no longer what they were."""
    lock = record["lock"]
    if lock_hash(lock["name"]) != lock["hash"]:
        yield f"lock: {lock['name']}"
    if question.training:
        training = read_record(question.folder.with_name(question.training)) or {}
        if training.get("raw") not in (None, record["training_data"]):
            yield "training ran again"
    for name in sorted({*products(question), *record["products"]}):
        file = question.folder / name
        if not file.is_file():
            yield f"{name} is missing"
        elif file_digest(file) != record["products"].get(name):
            yield f"{name} was altered"
