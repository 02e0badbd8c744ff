"""The plan of each job: a file whose age tells Snakemake whether a question has to be answered again.

Modification times mean nothing after a clone, so they are set from content: the plan of a question whose products
match code and configuration is made older than any product, every other plan is made new.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow.configuration import Configuration, check_configuration, parsed, read_yaml
from workflow.data import DATASETS
from workflow.fingerprint import sources
from workflow.hashing import digest
from workflow.kept import KEPT, MANIFEST, kept_names
from workflow.manuscript import MANUSCRIPT, why_manuscript_stale
from workflow.provenance import RECORD, has_old_prose, why_stale
from workflow.spikes import MADE, cache_folder

PLANS = Path(".cache/plans")
DEFAULT = "config/quick.yaml"
PROSE = "prose"
LONG_AGO = 946_684_800  # 2000-01-01


@dataclass(frozen=True)
class Plan:
    """A checked configuration, why which job has to run, and what the rules ask of a question."""

    configuration: Configuration
    reasons: Mapping[str, list[str]]

    def age(self, name: str) -> str:
        """Return the file that is new exactly if the job has to run."""
        return str(age_file(self.configuration.scale, name))

    def handed_on(self, name: str) -> str:
        """Return the file with the part of the configuration that the job needs."""
        return str(configuration_file(part(self.configuration, name)))

    def code(self, name: str) -> list[str]:
        """Return the notebook and the files of the definitions that it reaches."""
        notebook = self.configuration.questions[name].notebook
        return [str(notebook.path), *map(str, sources(notebook))]

    def receipts(self, name: str) -> list[str]:
        """Return the receipts of the datasets that have to be there before a notebook runs."""
        names = self.configuration.questions[name].datasets()
        published = [receipt for dataset in names for receipt in self.published(dataset)]
        return published + [str(cache_folder() / f"{dataset}.txt") for dataset in names if dataset in MADE]

    def published(self, dataset: str) -> list[str]:
        """Return the receipt of what a converted set is made from; none for one that is spoken here."""
        return [f".cache/data/{dataset}.sha256"] if dataset in DATASETS else []

    def training(self, name: str) -> list[str]:
        """Return what the training notebook of a question leaves for it."""
        training = self.configuration.questions[name].training
        if not training:
            return []
        folder = self.configuration.questions[training].folder
        return [str(folder / (KEPT if kept_names(folder) else MANIFEST))]  # too large to be kept: only where it ran

    def answers(self, name: str) -> list[str]:
        """Return the records of the questions of this scale whose answers a question reads, so that they come first."""
        folders = self.configuration.questions[name].answers().values()
        here = {question.folder for question in self.configuration.questions.values()}
        return [str(folder / RECORD) for folder in folders if folder in here]

    def cores(self, name: str, all_cores: int) -> int:
        """Return how many of the cores a question gets: half, where another may run beside it."""
        alone = self.configuration.alone
        return all_cores if alone is None or name in alone else max(1, all_cores // 2)

    def studies(self) -> str:
        """Return a pattern of the questions that are not trainings."""
        questions = self.configuration.questions.values()
        return "|".join(re.escape(question.name) for question in questions if not question.trains) or "(?!)"


def prepare(config: Mapping[str, Any], files: Sequence[str | Path], decides: bool = True) -> Plan:
    """Check the configuration and set the age of every job; called whenever the Snakefile is read.

    A job on a cluster reads it too, and decides nothing: at its side others may be writing what ages depend on.
    """
    named = [os.path.relpath(file) for file in files] or [DEFAULT]
    content = dict(config) if files else merged(read_yaml(Path(DEFAULT)), config)
    configuration = check_configuration(content, named[-1])
    return decide(configuration) if decides else Plan(configuration, {})


def decide(configuration: Configuration) -> Plan:
    """Set the age of every job and write what is handed on to it."""
    reasons = {name: why_stale(question, configuration) for name, question in configuration.questions.items()}
    for name, question in configuration.questions.items():
        for file in (question.folder / RECORD, question.folder / KEPT):
            if not reasons[name] and file.is_file():
                os.utime(file, (LONG_AGO, LONG_AGO))
    reasons[PROSE] = [name for name, question in configuration.questions.items() if has_old_prose(question)]
    reasons[MANUSCRIPT] = why_manuscript_stale(configuration)
    for name, why in reasons.items():
        set_age(age_file(configuration.scale, name), why)
        content = part(configuration, name)
        replace_text(configuration_file(content), json.dumps(content, indent=1))
    return Plan(configuration, reasons)


def merged(content: Any, options: Mapping[str, Any]) -> Any:
    """Return a configuration with the entries of `--config`, which arrive as texts, in place of its own."""
    if not isinstance(content, dict):
        return content
    new = {name: parsed(v, f"--config {name}") if isinstance(v, str) else v for name, v in options.items()}
    deep = {name: merged(content.get(name) or {}, value) for name, value in new.items() if isinstance(value, Mapping)}
    return content | new | deep


def part(configuration: Configuration, name: str) -> dict[str, Any]:
    """Return the part of a configuration on which a job depends: a question with its training, or everything."""
    question = configuration.questions.get(name)
    names = [name, *([question.training] if question.training else [])] if question else configuration.questions
    parameters = {name: dict(configuration.questions[name].parameters) for name in names}
    kept = {name: configuration.kept[name] for name in names if name in configuration.kept}
    return {
        "scale": configuration.scale,
        "data_folder": str(configuration.data_folder),
        "questions": parameters,
        **({"kept": kept} if kept else {}),
    }


def configuration_file(content: Mapping[str, Any]) -> Path:
    """Return where a part of a configuration lies, under a name that says its content."""
    return PLANS / f"{digest(content)[:16]}.json"


def age_file(scale: str, name: str) -> Path:
    """Return where a job's age lies."""
    return PLANS / scale / f"{name}.json"


def set_age(file: Path, reasons: list[str]) -> None:
    """Write why a job has to run and make the file new, or make it old where there is no reason.

    The moment is part of the content because Snakemake ignores an input that is newer but has the same bytes.
    """
    content = {"reasons": reasons, "moment": time.time_ns()} if reasons else {"reasons": []}
    replace_text(file, json.dumps(content, indent=1))
    if not reasons:
        os.utime(file, (LONG_AGO, LONG_AGO))


def replace_text(file: Path, text: str) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
