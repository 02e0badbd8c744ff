"""The manuscript of a scale: typst prose with figures, tables and numbers out of `results/<scale>/`.

Questions that the scale does not have are quoted from the full study, as they were answered there, with their state.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typst

from workflow.configuration import Configuration, Question, load_configuration
from workflow.faults import Fault
from workflow.hashing import digest, file_digest
from workflow.machine import code_version
from workflow.origins import CONFIRMED, CURRENT, origins
from workflow.provenance import FULL_STUDY, RECORD, confirmation, read_record, why_stale
from workflow.supplement import code_index, defaults, settings

MANUSCRIPT = "manuscript"
FULL = Path(f"config/{FULL_STUDY}.yaml")
SOURCES = Path("manuscript")
PAPER = SOURCES / "paper.typ"


def compile_manuscript(configuration: Configuration) -> Path:
    """Write `manuscript.pdf` and the record of what it was compiled from; the same sources give the same bytes."""
    target = Path("results", configuration.scale, f"{MANUSCRIPT}.pdf")
    target.parent.mkdir(parents=True, exist_ok=True)
    inputs = manuscript_inputs(configuration)
    try:
        content = typst.compile(str(PAPER), root=".", ignore_system_fonts=True, sys_inputs=inputs, timestamp=0)
    except typst.TypstError as error:
        raise Fault(f"{PAPER} does not compile: {error.message}{place(error)}.") from error
    target.write_bytes(content)
    states = json.loads(inputs["states"])
    record = {"hash": file_digest(target), "identity": manuscript_identity(configuration, states)}
    text = json.dumps(record | {"version": inputs["version"]}, indent=1, sort_keys=True)
    target.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
    return target


def manuscript_inputs(configuration: Configuration) -> dict[str, str]:
    """Return what the prose is told: the scale, the version of the code, and the state of every question."""
    found = full_origins(configuration)
    quoted = quotations(configuration, found)
    parts = {"states": product_states(configuration), "confirmed": confirmations(configuration)}
    parts |= {"quoted": {name: state for name, (_, state) in quoted.items()}} | supplement(configuration, quoted)
    parts |= {"origins": found}
    told = {name: json.dumps(part, ensure_ascii=False) for name, part in parts.items()}
    return {"scale": configuration.scale, "version": code_version(), **told}


def place(error: typst.TypstError) -> str:
    """Return where typst stopped, as a clause."""
    found = re.search(r"┌─ (\S+)", error.diagnostic or "")
    return f" ({found[1]})" if found else ""


def product_states(configuration: Configuration) -> dict[str, str]:
    """Return for each question whether its products are current, missing, or why they are stale."""
    reasons = {name: why_stale(question, configuration) for name, question in configuration.questions.items()}
    return {name: "; ".join(map(in_brief, why)) or "current" for name, why in reasons.items()}


def in_brief(reason: str) -> str:
    """Return why a product is stale without the list of definitions, which `workflow.stale` gives."""
    return "code" if reason.startswith("code:") else reason


def quotations(configuration: Configuration, found: Mapping[str, Any]) -> dict[str, tuple[Question, str]]:
    """Return the questions of the full study that are answered, with their state; none where this is the full study.

    The state, of their origins, is `current` or `older`: made by code that has changed since.
    """
    if configuration.scale == FULL.stem or not FULL.is_file():
        return {}
    full = load_configuration(FULL)
    there = {name: one for name, one in full.questions.items() if (one.folder / RECORD).is_file()}
    return {name: (one, current_or_older(found[name]["state"])) for name, one in there.items()}


def current_or_older(state: str) -> str:
    """Return `current` for what is of this code or was confirmed for it, `older` for all else."""
    return "current" if state in (CURRENT, CONFIRMED) else "older"


def full_origins(configuration: Configuration) -> dict[str, Any]:
    """Return where each result of the full study comes from; none where there is no full study."""
    if configuration.scale == FULL.stem:
        return origins(configuration)
    return origins(load_configuration(FULL)) if FULL.is_file() else {}


def supplement(configuration: Configuration, quoted: Mapping[str, tuple[Question, str]]) -> dict[str, Any]:
    """Return the parameters and defaults of all questions, as they are here and in the full study, and their code."""
    others = [question for name, (question, _) in quoted.items() if name not in configuration.questions]
    both = {name: question for name, (question, _) in quoted.items() if name in configuration.questions}
    questions = [*configuration.questions.values(), *others]
    return {"settings": settings(questions, both), "defaults": defaults(questions), "index": code_index(questions)}


def confirmations(configuration: Configuration) -> dict[str, Any]:
    """Return what was replayed of each question that is current by confirmation, when, and by which code."""
    found = {name: confirmation(question, configuration) for name, question in configuration.questions.items()}
    return {name: stamp for name, stamp in found.items() if stamp}


def prose() -> list[Path]:
    """Return the files that the manuscript is written in."""
    return sorted(path for kind in ("*.typ", "*.bib", "*.json") for path in SOURCES.glob(kind))


def manuscript_identity(configuration: Configuration, states: dict[str, str]) -> dict[str, Any]:
    """Return all that decides the manuscript's bytes, the version that it states aside."""
    records = {name: read_record(question.folder) or {} for name, question in configuration.questions.items()}
    confirmed, found = confirmations(configuration), full_origins(configuration)
    quoted = quotations(configuration, found)
    shown = {name: [state, (read_record(one.folder) or {}).get("products")] for name, (one, state) in quoted.items()}
    return {
        **({"quoted": shown} if shown else {}),
        "supplement": digest([supplement(configuration, quoted), found]),
        **({"confirmed": confirmed} if confirmed else {}),
        "sources": {path.as_posix(): file_digest(path) for path in prose()},
        "products": {name: record.get("products") for name, record in records.items()},
        "states": states,
        "typst": version("typst"),
    }


def why_manuscript_stale(configuration: Configuration) -> list[str]:
    """Return why the compiled manuscript does not match its text and products; an empty list if it does."""
    target = Path("results", configuration.scale, f"{MANUSCRIPT}.pdf")
    try:
        record = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
        if file_digest(target) != record["hash"]:
            return [f"{target.name} was altered"]
        old, new = record["identity"], manuscript_identity(configuration, product_states(configuration))
    except (OSError, ValueError, KeyError):
        return ["missing"]
    return [f"{part} changed" for part in sorted(old | new) if old.get(part) != new.get(part)]


def main() -> None:
    """Compile the manuscript of one configuration from the products that are there."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("configuration", type=Path, help="config/<scale>.yaml")
    try:
        compile_manuscript(load_configuration(parser.parse_args().configuration))
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
