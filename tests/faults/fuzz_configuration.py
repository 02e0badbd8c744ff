"""Configurations that nobody meant, from the file to what a job reads.

`python -m tests.faults.fuzz_configuration 2000` counts what becomes of them.
A sound configuration of this repository is damaged once to three times: a parameter gets an odd value, a key another
name or type, an entry goes, bytes of the file turn. Whatever is accepted must be handed on to the jobs unchanged.
"""

import argparse
import copy
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.faults.outcomes import Outcome, counted, table

from workflow.configuration import SECTIONS, Configuration, check_configuration, load_configuration, read_yaml
from workflow.faults import Fault
from workflow.notebook import Notebook

NUMBERS = [0, -1, 1, 10**6, 2**63, -0.0, 1.0e-5, 2.5e-7, 1e16, 1e300, 5e-324, math.nan, math.inf, -math.inf]
TEXTS = ["", "x", "1e-3", "nan", "é\u202e", "../../etc", "'; rm -rf x", "a" * 3000, "\ud800", "a\0b", "a\nb"]
LISTS = [[], [[]], [1, "a"], [None], [math.nan], [1e-6], [[1, 2], 3], {}, {"a": 1}, {1: 2}]
ODD: list[Any] = [None, True, *NUMBERS, *TEXTS, *LISTS, b"\x00\xff"]
KEYS: list[Any] = [
    "",
    "scal",
    "seeds",
    "results_folder",
    "data_folder",
    "__class__",
    "a/b",
    "../x",
    "-n",
    5,
    2.5,
    None,
    True,
]
FILES = [b"", b"[]", b"5", b"\xff\xfe", b"a: [", b"a: &a [*a]", b"\tscale: quick", b"a: " + b"[" * 3000, b"- - -"]
FILES += [b"scale: quick\nscale: quick", b"!!python/object/apply:os.system ['true']", b"? [a]\n: b", b"a: 2024-13-01"]


@cache
def sound() -> list[Any]:
    """The repository's configurations, as they are meant."""
    return [yaml.safe_load(Path("config", f"{scale}.yaml").read_text(encoding="utf-8")) for scale in ("quick", "paper")]


@cache
def parameters(question: str) -> dict[str, Any]:
    """A question's parameters with their defaults."""
    return Notebook(Path("notebooks", f"{question}.py")).literal_defaults()


def of_the_same_kind(chance: random.Random, default: Any) -> Any:
    """A value that can stand for a default, more often than not."""
    if isinstance(default, list) and default:
        return [of_the_same_kind(chance, default[0]) for _ in range(chance.randint(0, 3))]
    if isinstance(default, float):
        return chance.choice([chance.uniform(-9, 9), 10.0 ** chance.randint(-320, 308), chance.choice(NUMBERS)])
    return chance.randint(-(2**63), 2**64) if type(default) is int else default


def a_few_questions(chance: random.Random) -> dict[str, Any]:
    """A sound configuration of two questions, with their trainings."""
    content = copy.deepcopy(chance.choice(sound()))
    chosen = chance.sample(sorted(content["questions"]), 2)
    chosen += [f"{name}-training" for name in chosen if f"{name}-training" in content["questions"]]
    for section in content.keys() & {"questions", *SECTIONS}:
        content[section] = {name: entry for name, entry in content[section].items() if name in chosen}
    return content


def damage(chance: random.Random, content: dict[Any, Any]) -> None:
    """Change one thing in a configuration, in place."""
    questions = content.get("questions")
    how = chance.choice(["parameter"] * 6 + ["new parameter", "entry", "new entry", "key", "drop", "value"])
    value, key = chance.choice(ODD), chance.choice(KEYS)
    if how == "drop":
        content.pop(chance.choice(["scale", "questions"]), None)
    elif how in ("key", "value") or not isinstance(questions, dict) or not questions:
        content[key if how == "key" else chance.choice(["scale", "questions", "data_folder"])] = value
    elif how == "new entry":
        questions[key] = chance.choice([{}, value])
    elif how == "entry":
        questions[chance.choice(list(questions))] = value
    else:
        question = chance.choice(list(questions))
        known = parameters(question) if how == "parameter" and question in sound()[1]["questions"] else {}
        entry = questions[question] if isinstance(questions[question], dict) else {}
        if known:
            key = chance.choice(sorted(known))
            value = chance.choice([value, of_the_same_kind(chance, known[key])])
        questions[question] = {**entry, key: value}


def written(chance: random.Random, content: dict[Any, Any]) -> bytes:
    """A configuration as a file, now and then with bytes turned, cut off, or another file altogether."""
    text = yaml.dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")
    how = chance.choice(["whole"] * 6 + ["turned", "turned", "cut", "other"])
    if how == "turned":
        turned = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            turned[chance.randrange(len(turned))] = chance.randrange(256)
        return bytes(turned)
    return {"cut": text[: chance.randrange(len(text))], "other": chance.choice(FILES)}.get(how, text)


def case(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """One configuration: what it is, and the call that reads, checks and hands it on."""
    content = a_few_questions(chance)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        damage(chance, content)
    text = written(chance, content) if chance.random() < 0.6 else None
    return repr(content if text is None else text), lambda: accepted_wrongly(content, text)


def parameter(chance: random.Random) -> tuple[str, Callable[[], str | None]]:
    """One notebook with an odd value for one to three of its parameters."""
    content = a_few_questions(chance)
    question = chance.choice(sorted(content["questions"]))
    known, entry = parameters(question), content["questions"][question]
    for name in chance.sample(sorted(known), min(len(known), chance.choice([1, 1, 2, 3]))):
        entry[name] = chance.choice(
            [of_the_same_kind(chance, known[name]), of_the_same_kind(chance, known[name]), chance.choice(ODD)]
        )
    text = yaml.dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")
    return f"{question}: {entry}", lambda: accepted_wrongly(content, text)


def accepted_wrongly(content: Any, text: bytes | None) -> str | None:
    """Check a configuration, and return how what the jobs read differs from what was accepted, if it does."""
    with tempfile.TemporaryDirectory() as folder:
        if text is not None:
            file = Path(folder, "odd.yaml")
            file.write_bytes(text)
            content = read_yaml(file)
        configuration = check_configuration(content, "odd.yaml")
        return changed_on_the_way(configuration, Path(folder, "part.json"))


def changed_on_the_way(configuration: Configuration, file: Path) -> str | None:
    """Return how the configuration that a job reads differs, if it does."""
    entries = {name: dict(question.parameters) for name, question in configuration.questions.items()}
    file.write_text(json.dumps({"scale": configuration.scale, "questions": entries}), encoding="utf-8")
    try:
        read = load_configuration(file)
    except Fault as fault:
        return f"accepted, then refused: {fault}"
    found = {name: dict(question.parameters) for name, question in read.questions.items()}
    return None if repr(found) == repr(entries) else f"{entries} became {found}"


KINDS = {"configuration": case, "parameters": parameter}


def fuzz(count: int, seed: int, kind: str = "configuration") -> list[Outcome]:
    """Run `count` cases in the repository's root."""
    return counted(KINDS[kind], count, seed, (Fault,))


def main() -> None:
    """Print what became of the cases; the exit status says whether there was anything but results and sentences."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = {kind: fuzz(chosen.count // len(KINDS), chosen.seed, kind) for kind in KINDS}
    print(*(table(kind, outcomes) for kind, outcomes in found.items()), sep="\n")
    sys.exit(any(one.kind not in ("result", "sentence") for outcomes in found.values() for one in outcomes))


if __name__ == "__main__":
    main()
