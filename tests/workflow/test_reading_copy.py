"""The reading copy needs no network, and draws every formula or says which one it cannot."""

import re

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
