"""The prose keeps its promises: equations have tests, results have no number typed by hand, sources can be found."""

import re
from pathlib import Path

import pytest
from tests.workflow.typst_text import Markup, words

ROOT = Path(__file__).parents[2]
PAPER = (ROOT / "manuscript/paper.typ").read_text(encoding="utf-8")
RESULTS = PAPER[PAPER.index("= Results <") : PAPER.index("= Discussion <")]
ENTRIES = re.findall(r"@\w+\{([\w-]+),(.*?)\n\}", (ROOT / "manuscript/references.bib").read_text("utf-8"), re.DOTALL)
READINGS = sorted(path for path in (ROOT / "notebooks").glob("*.py") if "## Reading" in path.read_text("utf-8"))


def test_every_equation_that_is_computed_with_has_a_test_and_every_test_its_equation():
    formulas = re.findall(r"\$ (?:[^$]|\\\$)+? \$ <(\w+)>", PAPER)
    tests = {file.stem.removeprefix("test_") for file in (ROOT / "tests/equations").glob("test_*.py")}
    assert len(formulas) == len(set(formulas))
    assert set(formulas) == tests


def test_the_reader_of_markup_leaves_code_formulas_and_references_out():
    source = (
        '#let a(x) = [one #x 1 $2$]\nIn @fig-3 #of("k4", digits: 5) and #if b > 6 [six 7] else [$8.5$ <l9> `10`] 11'
    )
    found = Markup(source + " // 12\n#answer(n)[*Cap* 13] \\#14 #box[#a(15) $16$]")
    assert re.findall(r"\d+", "".join(found.words)) == ["1", "7", "11", "13", "14"]
    assert found.formulas == ["2", "8.5", "16"]


def test_no_number_of_the_results_is_typed_by_hand():
    """Numbers come from numbers.json, tables and parameters: what is typed outside of a formula goes stale unseen."""
    typed = [line.strip() for line in words(RESULTS).splitlines() if re.search(r"\d", line)]
    assert typed == []
    assert [formula for formula in Markup(RESULTS).formulas if re.search(r"\d\.\d", formula)] == []


def reading(notebook):
    """What a notebook says about its results: from its heading to the next code cell or heading."""
    text = notebook.read_text(encoding="utf-8")
    return re.split(r"\n# %% *(?!\[)|\n# ## ", text[text.index("## Reading") :])[0]


@pytest.mark.parametrize("notebook", READINGS, ids=lambda path: path.stem)
def test_no_number_is_typed_into_a_reading(notebook):
    """One notebook is executed at several scales: what it says of its numbers has to hold at each, or name none."""
    text = re.sub(r"\$[^$]+\$|`[^`]+`|\(\*[a-z](-[a-z])?\*[^)]*\)", "", reading(notebook))
    assert [line for line in text.splitlines() if re.search(r"\d", line)] == []


def test_every_source_can_be_found_and_is_cited():
    for name, entry in ENTRIES:
        assert "others" not in entry, f"{name} does not name its authors"
        assert re.search(r"\b(doi|url) *=", entry), f"{name} has no identifier"
    values = (ROOT / "src/studies/published_values.py").read_text(encoding="utf-8")
    names = {name for name, _ in ENTRIES}
    cited = set(re.findall(r"@([a-z]+\d{4}\w*)", PAPER)) | {name for name in names if f'"{name}"' in values}
    assert names == cited


def swallowed(source):
    """Semicolons right behind an expression of code: typst takes them for its end and does not print them."""
    call = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
    return re.findall(rf"#[a-z][\w-]*(?:\.[a-z][\w-]*)*(?:{call})*;", source)


def test_no_semicolon_is_swallowed_by_code():
    assert swallowed(r"in #level; and #of(a(b), c: (d)); but not #level\; nor #if x [y] z; nor #level and;") == [
        "#level;",
        "#of(a(b), c: (d));",
    ]
    for source in (ROOT / "manuscript").glob("*.typ"):
        assert swallowed(source.read_text(encoding="utf-8")) == [], source.name
