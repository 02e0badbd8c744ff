"""The pages of the documentation site that are made from the repository: one for each question, one for each room.

    python -m workflow.site FOLDER

copies `docs/pages` to FOLDER/pages, adds what is made, with executed notebooks, figures and manuscripts, and writes
FOLDER/mkdocs.yml, from which mkdocs builds the site. It needs nothing but the standard library and latex2mathml, and
runs nothing: what has no result yet is named as that.
"""

import json
import pathlib
import re
import shutil
import sys
from collections.abc import Iterator
from typing import NamedTuple

from workflow.mathematics import mathml

ROOT = pathlib.Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<question>.+?) \| \[`(?P<name>[a-z-]+)`\]\((?P<path>notebooks/[a-z-]+\.py)\)", re.MULTILINE)
FORMULA = re.compile(r"(?<![\\$])\$([^$]+)\$")
LINES = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
PRODUCTS = ("figure.pdf", "table.csv", "numbers.json", "provenance.json")
SCALES = ("quick", "paper")


class Question(NamedTuple):
    """A question of the README and what its notebook says of it, in Markdown; `caption` is empty without a figure."""

    name: str
    asked: str
    title: str
    introduction: str
    caption: str
    reading: str


def questions(root: pathlib.Path = ROOT) -> list[Question]:
    """All questions, in the README's order."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    return [_question(found["name"], found["question"], root / found["path"]) for found in ROW.finditer(readme)]


def _question(name: str, asked: str, path: pathlib.Path) -> Question:
    cells = list(_texts(path.read_text(encoding="utf-8")))
    title, _, rest = cells[0].partition("\n")
    whole = "\n\n".join(cells)
    reading = whole.partition("## Reading\n")[2].partition("\n## ")[0]
    last = next((cell for cell in cells if "## Reading" in cell), "")
    caption = last.partition("## Reading")[0].strip()
    return Question(name, asked, title.removeprefix("# ").strip(), rest.strip(), caption, reading.strip())


def _texts(notebook: str) -> Iterator[str]:
    """The Markdown cells of a notebook in percent format."""
    for cell in re.split(r"^# %%", notebook, flags=re.MULTILINE)[1:]:
        if cell.startswith(" [markdown]"):
            lines = cell.splitlines()[1:]
            yield "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines).strip()


def with_formulas(text: str) -> str:
    """Markdown with its LaTeX as MathML, which browsers draw without a script."""
    text = LINES.sub(lambda found: mathml(found[1], "block"), text)
    return FORMULA.sub(lambda found: mathml(found[1]), text)


def page_of(question: Question, made: dict[str, list[str]]) -> str:
    """The page of a question; `made` are the products of each scale that there are, which lie in `name/scale/`."""
    parts = [f"# {question.title}", question.introduction]
    shown = next((scale for scale in SCALES if "figure.png" in made.get(scale, [])), None)
    if shown:
        link = f"{question.name}/{shown}/notebook.html"
        parts += [f"[![{question.title}]({question.name}/{shown}/figure.png)]({link})", question.caption]
    parts += [f"## Reading\n\n{question.reading}" if question.reading else "", "## Behind it", _sources(question, made)]
    return with_formulas("\n\n".join(part for part in parts if part)) + "\n"


def _sources(question: Question, made: dict[str, list[str]]) -> str:
    lines = [f"- source: [`notebooks/{question.name}.py`]({question.name}/{question.name}.py)"]
    for scale in SCALES:
        files = made.get(scale, [])
        if "notebook.html" not in files:
            lines.append(f"- scale `{scale}`: not run")
            continue
        others = [f"[{name}]({question.name}/{scale}/{name})" for name in PRODUCTS if name in files]
        lines.append(
            f"- scale `{scale}`: [executed notebook]({question.name}/{scale}/notebook.html), {', '.join(others)}"
        )
    return "\n".join(lines)


def list_of(asked: list[Question], made: dict[str, dict[str, list[str]]]) -> str:
    """The page with all questions, a picture each where there is one."""
    lines = ["# Questions", "Every figure, table and number comes from one of these notebooks, executed.", ""]
    for one in asked:
        lines.append(f"## [{one.asked}]({one.name}.md)\n")
        shown = next((scale for scale in SCALES if "figure.png" in made[one.name].get(scale, [])), None)
        if shown:
            picture = f"{one.name}/{shown}/figure.png"
            lines.append(f'[![{one.title}]({picture}){{ width="480" loading=lazy }}]({one.name}.md)\n')
    return "\n".join(lines) + "\n"


def door(root: pathlib.Path = ROOT) -> dict[str, dict[str, str]]:
    """What `import stablespike as ss` offers, by the headings of its table: name and module."""
    text = (root / "src/stablespike/__init__.py").read_text(encoding="utf-8")
    groups: dict[str, dict[str, str]] = {}
    for line in text.partition("_PLACES = {")[2].partition("\n}")[0].splitlines():
        if found := re.match(r"\s*# (.+)", line):
            groups[found[1]] = {}
        elif found := re.match(r'\s*"(\w+)": "([\w.]+)"', line):
            groups[next(reversed(groups))][found[1]] = found[2]
    return groups


def page_of_group(heading: str, names: dict[str, str]) -> str:
    """The reference of some names of the door, from their docstrings."""
    parts = [f"# {heading[0].upper()}{heading[1:]}", "All of these are attributes of `stablespike` (`ss`)."]
    for name, module in names.items():
        parts.append(f"## ss.{name}\n\n::: {module}.{name}\n    options:\n      show_root_heading: false")
    return "\n\n".join(parts) + "\n"


def settings(root: pathlib.Path, groups: dict[str, dict[str, str]], asked: list[Question]) -> dict:
    """What mkdocs is told: `docs/mkdocs.json`, with the pages that were made at their places."""
    told = json.loads((root / "docs/mkdocs.json").read_text(encoding="utf-8"))
    made = {
        "questions": ["questions/index.md", *({one.title: f"questions/{one.name}.md"} for one in asked)],
        "reference": [{heading.capitalize(): f"reference/{_slug(heading)}.md"} for heading in groups],
    }
    told["nav"] = [
        {name: made[place] if isinstance(place, str) and place in made else place}
        for name, place in told["nav"].items()
    ]
    return told | {"docs_dir": "pages"}


def _slug(heading: str) -> str:
    return re.sub(r"\W+", "-", heading)


def write_site(folder: pathlib.Path, root: pathlib.Path = ROOT) -> None:
    """All that mkdocs needs, in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    shutil.copytree(root / "docs/pages", pages)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        (pages / name.lower()).write_text(re.sub(r"\[([^]]+)\]\((?!http)[^)]+\)", r"\1", text), encoding="utf-8")
    asked, groups = questions(root), door(root)
    made = {one.name: _copied(one.name, pages / "questions" / one.name, root) for one in asked}
    for one in asked:
        (pages / f"questions/{one.name}.md").write_text(page_of(one, made[one.name]), encoding="utf-8")
    (pages / "questions/index.md").write_text(list_of(asked, made), encoding="utf-8")
    (pages / "reference").mkdir()
    for heading, names in groups.items():
        (pages / f"reference/{_slug(heading)}.md").write_text(page_of_group(heading, names), encoding="utf-8")
    for scale in SCALES:
        if (manuscript := root / "results" / scale / "manuscript.pdf").exists():
            shutil.copy(manuscript, pages / f"manuscript-{scale}.pdf")
    told = settings(root, groups, asked)
    told["plugins"][-1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(root / "src")]
    (folder / "mkdocs.yml").write_text(json.dumps(told, indent=1), encoding="utf-8")  # JSON is YAML


def _copied(name: str, to: pathlib.Path, root: pathlib.Path) -> dict[str, list[str]]:
    """The products of a question by scale, after they were copied with its source."""
    to.mkdir(parents=True)
    shutil.copy(root / f"notebooks/{name}.py", to / f"{name}.py")
    found = {}
    for scale in SCALES:
        there = root / "results" / scale / name
        found[scale] = [one for one in ("notebook.html", "figure.png", *PRODUCTS) if (there / one).exists()]
        if found[scale]:
            (to / scale).mkdir()
        for one in found[scale]:
            shutil.copy(there / one, to / scale / one)
    return found


if __name__ == "__main__":
    write_site(pathlib.Path(sys.argv[1]))
