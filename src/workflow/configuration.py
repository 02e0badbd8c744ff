"""A scale's configuration, checked against its schema and against the notebooks before anything runs.

`python -m workflow.configuration FILE ...` says whether files can be read at all; `./reproduce` asks before Snakemake
reads them, which answers many by a traceback.
"""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import fastjsonschema
import yaml

from workflow.faults import Fault, did_you_mean
from workflow.notebook import PATHS, Notebook

SCHEMA = Path("config/config.schema.yaml")
TRAINING = "-training"
SECTIONS = ("kept", "confirm")
ANSWER = re.compile(r"[\w-]+/[\w-]+")  # scale and question


@dataclass(frozen=True)
class Question:
    """One notebook at one scale: `notebooks/<name>.py` and its products in `results/<scale>/<name>/`."""

    name: str
    scale: str
    parameters: Mapping[str, Any]
    training: str | None
    place: Path | None = None  # of the products, where it is not that of the scale

    @property
    def notebook(self) -> Notebook:
        """The notebook that asks the question."""
        return Notebook(Path("notebooks", f"{self.name}.py"))

    @property
    def folder(self) -> Path:
        """The folder of the question's products."""
        return self.place or Path("results", self.scale, self.name)

    @property
    def trains(self) -> bool:
        """Whether this is the training notebook of another question."""
        return self.name.endswith(TRAINING)

    def effective_parameters(self) -> dict[str, Any]:
        """The notebook's own plain defaults, overridden by the configuration."""
        return self.notebook.literal_defaults() | dict(self.parameters)

    def datasets(self) -> list[str]:
        """The sets that the parameters `dataset` or `datasets` name."""
        parameters = self.effective_parameters()
        several = parameters.get("datasets")
        named = [parameters.get("dataset"), *(several if isinstance(several, (list, tuple)) else [])]
        return [name for name in named if isinstance(name, str)]

    def answers(self) -> dict[str, Path]:
        """The folders of other questions' products that the parameter `answers` names, as `scale/question`."""
        return {one: Path("results", one) for one in self.effective_parameters().get("answers") or ()}


@dataclass(frozen=True)
class Configuration:
    """A scale: its questions with their parameters, the folder of the datasets, what is kept and what confirms.

    All questions but those that are named in `alone` run two at a time; None: none do.
    """

    scale: str
    data_folder: Path
    questions: Mapping[str, Question]
    kept: Mapping[str, list[str]] = field(default_factory=dict)
    confirm: Mapping[str, Any] = field(default_factory=dict)
    alone: frozenset[str] | None = None


def load_configuration(file: Path) -> Configuration:
    """Read and check one scale's file."""
    return check_configuration(read_yaml(file), str(file))


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file, or of a JSON file: YAML would take JSON's number 1e-05 for a text."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = (path.as_posix() for path in file.parent.glob("*.yaml") if path != SCHEMA)
        raise Fault(f"{file} does not exist; {did_you_mean(file.as_posix(), known)}") from error
    except UnicodeDecodeError as error:
        raise Fault(f"{file} is not UTF-8 (at byte {error.start}): save it as UTF-8.") from error
    except OSError as error:
        raise Fault(f"{file} cannot be read: {error.strerror}.") from error
    return parsed(text, str(file), is_json=file.suffix == ".json")


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key that comes twice is a mistake, where plain YAML would drop the first in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping without repeated keys; those that a merge (`<<`) brings may be overridden."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := [key for key in keys if isinstance(key, str) and keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parsed(text: str, origin: str, *, is_json: bool = False) -> Any:
    """Return the content of a YAML or JSON text; `origin` says in a complaint where it comes from."""
    try:
        return json.loads(text) if is_json else yaml.load(text, StrictLoader)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: no JSON, no such date, a number of too many digits
        kind = "JSON" if is_json else "YAML"
        raise Fault(f"{origin} is not {kind}: {' '.join(str(error).split()).rstrip('.')}.") from error
    except RecursionError as error:
        raise Fault(f"{origin} nests too deep.") from error


def check_configuration(content: object, file: str) -> Configuration:
    """Return the configuration, or raise a Fault that names the first wrong key and the file."""
    try:
        check_values(content, file)
    except RecursionError as error:
        raise Fault(f"{file} nests too deep, or an entry contains itself.") from error
    check_schema(content, file)
    assert isinstance(content, dict)
    entries = content["questions"]
    questions = {
        name: Question(
            name, content["scale"], parameters or {}, name + TRAINING if name + TRAINING in entries else None
        )
        for name, parameters in entries.items()
    }
    for question in questions.values():
        check_parameters(question, file)
    check_order(questions, file)
    folder = os.environ.get("STABLESPIKE_DATA") or content.get("data_folder", "data")
    check_sections(content, questions, file)
    kept, confirm = (content.get(name) or {} for name in SECTIONS)
    alone = None if content.get("alone") is None else frozenset(content["alone"])
    return Configuration(content["scale"], Path(folder), questions, kept, confirm, alone)


def check_sections(content: Mapping[str, Any], questions: Mapping[str, Question], file: str) -> None:
    """Check that what is said beside the questions is about one of them, and names parameters that it has."""
    for name in content.get("alone") or ():
        if name not in questions:
            raise Fault(f"{file}: alone.{name} is not among the questions; {did_you_mean(name, questions)}")
    for section in SECTIONS:
        for name, entry in (content.get(section) or {}).items():
            if name not in questions:
                raise Fault(f"{file}: {section}.{name} is not among the questions; {did_you_mean(name, questions)}")
            if section == "confirm":
                part = replace(questions[name], parameters={**questions[name].parameters, **entry["parameters"]})
                for complaint in parameter_complaints(part):
                    raise Fault(f"{file}: confirm.{name}.parameters.{complaint}")


def check_values(content: object, file: str, place: str = "") -> None:
    """Refuse what JSON, in which jobs get their part of the configuration, cannot carry unchanged."""
    where = f"{file}: {place}" if place else file
    if isinstance(content, Mapping):
        for key, value in content.items():
            if not isinstance(key, str):
                raise Fault(f"{where} has the key {key!r}, which is not text: put it in quotes if it is meant.")
            check_values(value, file, f"{place}.{key}".lstrip("."))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            check_values(value, file, f"{place}[{number}]")
    elif isinstance(content, str):
        if not is_writable_text(content):
            raise Fault(f"{where} holds a character that no file can hold: {content!r}.")
    elif isinstance(content, int) and not -(2**63) <= content < 2**63:
        raise Fault(f"{where} does not fit 64 bits.")
    elif isinstance(content, float) and not math.isfinite(content):
        raise Fault(f"{where} is {content!r}, and a parameter has to be finite.")
    elif not isinstance(content, (bool, int, float, type(None))):
        raise Fault(f"{where} is {content!r}, neither number nor text nor list: put it in quotes if it is a text.")


def is_writable_text(text: str) -> bool:
    """Return whether a text can be written to a file and be part of a path."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def check_schema(content: object, file: str) -> None:
    """Check the structure of a configuration."""
    try:
        validator(SCHEMA.read_text(encoding="utf-8"))(content)
    except fastjsonschema.JsonSchemaValueException as error:
        key = ".".join(error.path[1:]) or "the file"
        if error.rule == "additionalProperties":
            known = error.definition["properties"]
            unknown = next(name for name in error.value if name not in known)
            where = f"{key}.{unknown}" if error.path[1:] else str(unknown)
            raise Fault(f"{file}: unknown key {where}; {did_you_mean(str(unknown), known)}") from error
        if error.rule == "required":
            missing = next(name for name in error.rule_definition if name not in error.value)
            unknown = [str(name) for name in error.value if name not in error.definition["properties"]]
            hint = f", and the key {unknown[0]} is unknown" if unknown else ""
            raise Fault(f"{file}: the key {missing} is missing{hint}.") from error
        complaint = error.message.removeprefix(str(error.name)).strip()
        raise Fault(f"{file}: {key} {complaint}, not {shortened(error.value)}.") from error


@cache
def validator(schema: str) -> Callable[[object], object]:
    """Return the function that checks a content against a schema in YAML."""
    checks: Callable[[object], object] = fastjsonschema.compile(yaml.safe_load(schema), use_default=False)
    return checks


def check_parameters(question: Question, file: str) -> None:
    """Check a question's parameters against those that its notebook defines."""
    notebook = question.notebook
    if not notebook.path.is_file():
        known = (path.stem for path in notebook.path.parent.glob("*.py"))
        raise Fault(
            f"{file}: questions.{question.name} has no notebook {notebook.path}; {did_you_mean(question.name, known)}"
        )
    if "results_folder" not in notebook.defaults:
        raise Fault(
            f"{notebook.path}: the parameters cell has no results_folder, where the workflow asks for products."
        )
    if "training_folder" in notebook.defaults and question.training is None:
        raise Fault(f"{file}: questions.{question.name} reads a training: add questions.{question.name}{TRAINING}.")
    for complaint in (*parameter_complaints(question), *answer_complaints(question)):
        raise Fault(f"{file}: questions.{question.name}.{complaint}")


def answer_complaints(question: Question) -> Iterator[str]:
    """Yield what is wrong with the names of the answers that a question reads: it is made anew where they change."""
    notebook = question.notebook
    named = question.effective_parameters().get("answers", [])
    if "answers" in notebook.defaults and "answers" not in question.effective_parameters():
        yield f"answers is no plain list of texts in {notebook.path}, so that nobody can tell which they are."
    elif not isinstance(named, (list, tuple)):
        yield f"answers should be a list of texts scale/question, not {shortened(named)}."
    for one in named if isinstance(named, (list, tuple)) else ():
        if not isinstance(one, str) or not ANSWER.fullmatch(one):
            yield f"answers holds {shortened(one)}, which is not of the form scale/question."
        elif not notebook.path.with_stem(one.partition("/")[2]).is_file():
            known = (f"{one.partition('/')[0]}/{path.stem}" for path in notebook.path.parent.glob("*.py"))
            yield f"answers holds {one}, which no notebook gives; {did_you_mean(one, known)}"


def check_order(questions: Mapping[str, Question], file: str) -> None:
    """Check that no question waits for itself, by the answers that it reads and by its training."""
    folders = {question.folder: name for name, question in questions.items()}
    before = {
        name: [folders[one] for one in question.answers().values() if one in folders]
        + ([question.training] if question.training else [])
        for name, question in questions.items()
    }
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        raise Fault(f"{file}: these questions read each other's answers: {' <- '.join(error.args[1])}.") from error


def parameter_complaints(question: Question) -> Iterator[str]:
    """Yield what is wrong with each parameter: a name or a type that the notebook does not have."""
    notebook, defaults = question.notebook, question.notebook.literal_defaults()
    for name, value in question.parameters.items():
        if name in PATHS:
            yield f"{name} is a path, which the workflow supplies."
        elif name not in notebook.defaults:
            known = set(notebook.defaults) - set(PATHS)
            yield f"{name} is not a parameter of {notebook.path}; {did_you_mean(name, known)}"
        elif name in defaults and not same_kind(value, defaults[name]):
            hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if is_number_as_text(value) else ""
            kind = type(defaults[name]).__name__
            yield f"{name} should be of type {kind} as in {notebook.path}, not {shortened(value)}{hint}."


def shortened(value: object) -> str:
    """Return a value as Python writes it, or the beginning of it."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def same_kind(value: object, default: object) -> bool:
    """Return whether a value can stand for a default: the same type, or an integer for a float."""
    if default is None:
        return True
    if isinstance(default, (list, tuple)):
        return isinstance(value, list) and (not default or all(same_kind(item, default[0]) for item in value))
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)


def is_number_as_text(value: object) -> bool:
    """Return whether a text would have been a number to anything but YAML 1.1."""
    try:
        return isinstance(value, str) and "e" in value and bool(float(value) or True)
    except ValueError:
        return False


def main() -> None:
    """Say of each file in one sentence why it is no configuration, if it is none; its content is checked later."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    try:
        for file in parser.parse_args().files:
            if not isinstance(content := read_yaml(file), dict):
                raise Fault(f"{file} holds no keys such as scale and questions, but {content!r:.60}.")
            check_values(content, str(file))
    except RecursionError:
        sys.exit(f"{file} nests too deep, or an entry contains itself.")
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
