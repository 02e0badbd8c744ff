"""The manuscript shows what there is, marks what is stale, says what is missing, and has the same bytes each time."""

import json
import shutil
from pathlib import Path

import pytest
import typst
from tests.workflow.miniature import edit

from workflow.configuration import load_configuration
from workflow.faults import Fault
from workflow.fingerprint import identity
from workflow.machine import lock_in_use
from workflow.manuscript import PAPER, compile_manuscript, manuscript_inputs, why_manuscript_stale
from workflow.origins import notes, origins
from workflow.provenance import ANSWER, new_record, product_hashes

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'


@pytest.fixture
def configuration(miniature):
    """The miniature with products for its first question."""
    configuration = load_configuration(Path("config/quick.yaml"))
    folder = configuration.questions["line"].folder
    folder.mkdir(parents=True)
    content = {"numbers.json": '{"rise": 10.0}', "table.csv": "x,y\n1,2\n", "figure.svg": SQUARE}
    for name in ANSWER:
        (folder / name).write_text(content.get(name, ""))
    record = new_record(configuration.questions["line"], configuration, {}) | {"products": product_hashes(folder)}
    (folder / "provenance.json").write_text(json.dumps(record))
    return configuration


def captions(configuration):
    """The captions of the manuscript's figures and tables."""
    return [words(figure["caption"]["body"]) for figure in query(PAPER, "figure", configuration)]


def words(content):
    """The plain text of typst's content."""
    if isinstance(content, list):
        return "".join(map(words, content))
    if not isinstance(content, dict):
        return ""
    inner = "".join(words(content.get(part)) for part in ("children", "body", "child", "value"))
    return " " if content.get("func") == "space" else content.get("text", "") + inner


def query(file, selector, configuration):
    """What typst finds in a document."""
    return json.loads(typst.query(str(file), selector, root=".", sys_inputs=manuscript_inputs(configuration)))


def test_same_sources_same_bytes(configuration):
    target = compile_manuscript(configuration)
    first = target.read_bytes()
    assert compile_manuscript(configuration).read_bytes() == first
    assert first.startswith(b"%PDF")
    assert why_manuscript_stale(configuration) == []
    edit(PAPER, "[Short.]", "[Shorter.]")
    assert why_manuscript_stale(configuration) == ["sources changed"]


def test_every_figure_names_its_notebook(configuration):
    line, walk, table = captions(configuration)
    assert "notebooks/line.py" in line
    assert "notebooks/walk.py" in walk
    assert "stale" not in line + table


def test_a_stale_figure_is_marked(configuration):
    edit(Path("config/quick.yaml"), "slope: 2.0", "slope: 3.0")
    line, _, table = captions(load_configuration(Path("config/quick.yaml")))
    assert "stale: parameters: slope" in line
    assert "stale: parameters: slope" in table


def test_numbers_come_from_the_results(configuration):
    document = PAPER.with_name("numbers.typ")
    document.write_text('#import "products.typ": *\n#metadata(number("line", "rise", digits: 3)) <value>\n')
    assert "10.000" in words(query(document, "<value>", configuration))
    document.write_text('#import "products.typ": *\n#metadata(number("walk", "place")) <value>\n')
    assert "walk is missing" in words(query(document, "<value>", configuration))


def test_a_mistake_in_the_prose_is_one_sentence(configuration):
    edit(PAPER, "[Short.]", "[#short]")
    with pytest.raises(
        Fault, match=r"manuscript/paper\.typ does not compile: unknown variable: short \(.*paper\.typ:2"
    ):
        compile_manuscript(configuration)


@pytest.fixture
def study(configuration):
    """The same products as those of the full study."""
    Path("config/paper.yaml").write_text(Path("config/quick.yaml").read_text().replace("scale: quick", "scale: paper"))
    shutil.copytree("results/quick/line", "results/paper/line")
    record = json.loads(Path("results/paper/line/provenance.json").read_text())
    record["identity"]["scale"] = "paper"
    Path("results/paper/line/provenance.json").write_text(json.dumps(record))


def full():
    """The configuration of the full study as it is now."""
    return load_configuration(Path("config/paper.yaml"))


def rise(configuration):
    """How the manuscript of a scale shows the number of its first question."""
    document = PAPER.with_name("numbers.typ")
    document.write_text('#import "products.typ": *\n#metadata(number("line", "rise")) <value>\n')
    return words(query(document, "<value>", configuration))


def test_what_earlier_code_made_of_the_full_study_is_marked(study):
    assert origins(full())["line"]["state"] == "current"
    assert "earlier" not in captions(full())[0]
    assert rise(full()) == "10.00"
    edit(Path("src/stablespike/drawing.py"), "value {", "the value {")
    assert [one["state"] for one in origins(full()).values()] == ["older", "missing", "missing"]
    assert captions(full())[0].endswith("Full study (scale paper), made by earlier code.")
    assert rise(full()) == "10.00\N{WORD JOINER}‡"
    assert [figure["body"] for figure in query(PAPER, "figure", full())]


def test_other_parameters_are_named_and_other_losses_are_stale(study):
    edit(Path("config/paper.yaml"), "slope: 2.0", "slope: 3.0")
    assert origins(full())["line"]["parameters"] == "slope"
    assert "made by earlier code with other parameters (slope)" in captions(full())[0]
    edit(Path("results/paper/line/numbers.json"), "10.0", "11.0")
    assert origins(full())["line"]["state"] == "parameters: slope; numbers.json was altered"
    assert "stale: parameters: slope; numbers.json was altered" in captions(full())[0]
    assert rise(full()) == "11.00†"


def test_a_confirmed_result_says_so(study):
    edit(Path("src/stablespike/drawing.py"), "value {", "the value {")
    file = Path("results/paper/line/provenance.json")
    now = identity(full().questions["line"], full())
    stamp = {
        "identity": now,
        "lock": lock_in_use(),
        "rows": {"table.csv": 2},
        "parameters": {},
        "when": "",
        "code_version": "",
    }
    file.write_text(json.dumps(json.loads(file.read_text()) | {"confirmed": stamp}))
    assert origins(full())["line"]["state"] == "confirmed"
    assert captions(full())[0].endswith("made by earlier code and confirmed by a replay.")
    assert rise(full()) == "10.00"


def test_where_nothing_is_there_a_part_of_the_text_says_so_once(study):
    document = PAPER.with_name("numbers.typ")
    document.write_text(
        '#import "products.typ": *\n#metadata(about("walk")[The place is #number("walk", "place").]) <value>\n'
    )
    assert words(query(document, "<value>", full())).count("walk") == 1
    assert "no products at scale paper" in words(query(document, "<value>", full()))


def test_notes_of_a_configuration_say_how_long_runs_take(miniature):
    file = Path("config/noted.yaml")
    file.write_text(
        "questions:\n  line: {} # about an hour of one core; more\n  walk: {} # timings\n  far:\n    x: 1 # a minute\n"
    )
    assert notes(file) == {"line": "about an hour of one core"}
