"""Where each result comes from: its state, the code, processor and processor time that made it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow.configuration import Configuration, Question
from workflow.provenance import RECORD, confirmation, read_record, why_stale

CURRENT, CONFIRMED, OLDER, OTHER, MISSING = "current", "confirmed", "older", "other parameters", "missing"
OF_OLDER_CODE = ("code: ", "training ", "lock: ")
PARAMETERS = "parameters: "
NOTED = re.compile(r"\b(hours?|minutes?)\b")


def state(question: Question, configuration: Configuration, why: Sequence[str]) -> str:
    """Return in one word what a question's products are: of this code, confirmed by a replay, or of older code.

    `why` is why they are stale. `other parameters` are products of older code that also ran with other parameters than
    are stated now. A result that was altered, or whose data are others, is none of these; its reasons are returned.
    """
    if not (question.folder / RECORD).is_file():
        return MISSING
    if not why:
        return CONFIRMED if confirmation(question, configuration) else CURRENT
    if all(reason.startswith(OF_OLDER_CODE) for reason in why):
        return OLDER
    if all(reason.startswith((*OF_OLDER_CODE, PARAMETERS)) for reason in why):
        return OTHER
    return "; ".join(why)


def origins(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """Return for each question its state, the version of the code, the processor and the processor time of its run.

    `seconds` are of the notebook's process with its children, none where the run did not record them; `noted` is what
    the configuration says of the time instead.
    """
    noted = notes(Path("config", f"{configuration.scale}.yaml"))
    return {name: origin(one, configuration, noted.get(name)) for name, one in configuration.questions.items()}


def origin(question: Question, configuration: Configuration, noted: str | None) -> dict[str, Any]:
    """Return where the products of one question come from."""
    record = read_record(question.folder) or {}
    session: Mapping[str, Any] = record.get("session", {})
    why = why_stale(question, configuration)
    found = {"state": state(question, configuration, why), "version": record.get("code_version")}
    found |= {"processor": session.get("processor"), "seconds": session.get("processor_seconds"), "noted": noted}
    others = [reason for reason in why if reason.startswith(PARAMETERS)]
    return found | {"parameters": others[0].removeprefix(PARAMETERS) if others else None}


def notes(file: Path) -> dict[str, str]:
    """Return what a configuration's comments say of how long questions take, where they say it."""
    if not file.is_file():
        return {}
    lines = re.findall(r"^  ([\w-]+):[^#\n]*# (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: re.split(r"[;,]", text)[0] for name, text in lines if NOTED.search(text)}
