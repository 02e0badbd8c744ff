"""The reading copy needs no network, and draws every formula or says which one it cannot."""

import re

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workflow.execution import read_source
from workflow.faults import Fault
from workflow.mathematics import mathml
from workflow.reading_copy import reading_copy

PROSE = r"""# Does it *spike*?

Inline $a_1 > b_{ij}$ and $c$, price 5\$, `code $x$`.

$$\tau_\mathrm{m} \dot V = -V + I$$

\begin{align} x &= 1 \\ y &= \frac{1}{2} \end{align}
"""


@pytest.fixture
def page():
    image = new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "figure"})
    cells = [new_markdown_cell(PROSE), new_code_cell("print(1)", outputs=[new_output("stream", text="1\n"), image])]
    return reading_copy(new_notebook(cells=cells), "Executed from notebooks/<x>.py.")


def test_loads_nothing_from_elsewhere(page):
    assert not re.findall(r"<script|<link|@import|url\(|src=\"(?!data:)", page)
    assert 'src="data:image/png;base64,' in page


def test_formulas_are_mathml(page):
    assert page.count("<math") == 4
    assert r"\frac" not in page
    assert "<code>code $x$</code>" in page
    assert "price 5$," in page


def test_says_title_and_origin(page):
    assert "<title>Does it *spike*?</title>" in page
    assert "Executed from notebooks/&lt;x&gt;.py." in page


def test_single_upright_letters_stay_upright():
    assert "<mtext>m</mtext>" in mathml(r"\tau_\mathrm{m}")


@pytest.mark.parametrize("formula", [r"\nonsense{x}", r"\begin{nonsense} a & b \end{nonsense}"])
def test_refuses_what_it_cannot_draw(formula):
    with pytest.raises(Fault, match="cannot be converted"):
        mathml(formula)


def test_a_formula_that_cannot_be_drawn_stops_the_notebook_before_it_runs(tmp_path):
    notebook = tmp_path / "line.py"
    notebook.write_text("# %% [markdown]\n# Here $\\nonsense{x}$.\n")
    with pytest.raises(Fault, match=r"line\.py: the formula"):
        read_source(notebook)


SCRIPT = "<script>alert(1)</script>"


def shown(**data):
    """The page of a notebook with one output."""
    kinds = {kind.replace("_", "/"): content for kind, content in data.items()}
    cell = new_code_cell("show", outputs=[new_output("display_data", data=kinds)])
    notebook = new_notebook(cells=[cell])
    page = reading_copy(notebook, "here")
    assert notebook.cells[0].outputs[0].data == kinds, "the notebook itself was changed"
    return page.partition("<main>")[2]


@pytest.mark.parametrize("kind", ["text_html", "text_markdown", "text_latex", "text_plain"])
@pytest.mark.parametrize(
    "raw",
    [SCRIPT, '<img src="https://x/y.png" onerror="f()">', '<iframe src="//x"></iframe>', '<b onclick="f()">x</b>'],
)
def test_raw_html_of_an_output_does_nothing(kind, raw):
    page = shown(**{kind: raw})
    assert not re.findall(r"<script|<img|<iframe|<[^>]*onclick", page)


def test_raw_html_that_is_not_let_through_is_shown_as_text():
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown(text_html=f"before {SCRIPT}")


def test_programs_and_drawings_of_an_output_are_left_out():
    page = shown(
        **{"application_javascript": "alert(1)", "image_svg+xml": f"<svg>{SCRIPT}</svg>", "text_plain": "words"}
    )
    assert "alert" not in page
    assert "words" in page


def test_text_of_a_program_is_no_html():
    cell = new_code_cell("print(1)", outputs=[new_output("stream", text=SCRIPT)])
    assert "<script" not in reading_copy(new_notebook(cells=[cell]), "here")


def test_tables_stay_tables_in_the_style_of_the_page():
    table = pd.DataFrame({"x": [1.5], "y": ["<i>a</i> & b"]}).to_html()
    page = shown(text_html=f"<div><style scoped>p {{ }}</style>{table}</div>")
    assert "<style" not in page
    assert "p { }" not in page
    assert "<td>1.5</td>" in page
    assert "<td>&lt;i&gt;a&lt;/i&gt; &amp; b</td>" in page
    assert 'class="dataframe"' in page
