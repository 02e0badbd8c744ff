import json

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import bound_of, save_figure, save_numbers, save_table
from stablespike.figures.style import letter_panels, new_figure


def drawn():
    figure = new_figure(3.1, 2.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=r"$\partial t / \partial w$")
    axes.fill_between([0, 1], [0, 0.5], [0.5, 1], alpha=0.3)
    axes.legend()
    letter_panels([axes])
    return figure


def test_a_figure_has_the_same_bytes_every_time(tmp_path):
    for folder in ("first", "second"):
        assert save_figure(drawn(), tmp_path / folder) == tmp_path / folder / "figure.png"
    for name in ("figure.pdf", "figure.svg", "figure.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_files_carry_their_fonts_and_no_dates(tmp_path):
    save_figure(drawn(), tmp_path)
    pdf, svg = (tmp_path / "figure.pdf").read_bytes(), (tmp_path / "figure.svg").read_text()
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf
    assert "dc:date" not in svg
    assert "<text" not in svg


def test_a_table_is_exact_in_csv_and_rounded_in_latex(tmp_path):
    columns = {"neuron_kind": ["LIF", "100 %"], "value": [1 / 3, 1.5e-7], "count": [3, 4], "time": [np.inf, np.nan]}
    frame = pd.DataFrame(columns)
    save_table(frame, tmp_path)
    back = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    text = (tmp_path / "table.tex").read_text()
    assert r"\begin{tabular}{lrrr}" in text
    assert r"neuron kind & value & count & time \\" in text
    assert r"LIF & $0.333$ & 3 & $\infty$ \\" in text
    assert r"100 \% & $1.5 \times 10^{-7}$ & 4 &  \\" in text


def test_numbers_are_exact_sorted_and_plain(tmp_path):
    numbers = {"b": np.float64(1 / 3), "a": {"seeds": np.arange(3), "well": np.bool_(True)}, "c": (1, 2.5), "d": "text"}
    save_numbers(numbers, tmp_path)
    text = (tmp_path / "numbers.json").read_text()
    assert json.loads(text) == {"a": {"seeds": [0, 1, 2], "well": True}, "b": 1 / 3, "c": [1, 2.5], "d": "text"}
    assert text.index('"a"') < text.index('"b"') < text.index('"c"')
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [np.nan, np.inf, np.float32(-np.inf)])
def test_a_number_that_is_not_finite_is_named(tmp_path, value):
    with pytest.raises(ValueError, match=r"accuracy\.seeds\[1\] is -?(nan|inf): only finite"):
        save_numbers({"accuracy": {"seeds": [0.5, value]}}, tmp_path)
    assert not (tmp_path / "numbers.json").exists()


def test_a_value_that_is_no_number_is_named(tmp_path):
    with pytest.raises(TypeError, match="value of model is a object"):
        save_numbers({"model": object()}, tmp_path)


@pytest.mark.parametrize(
    ("deviation", "bound"), [(0.0, 0.0), (4.5e-12, 1e-10), (5.8e-12, 1e-10), (6.7e-15, 1e-13), (3.3e-15, 1e-14)]
)
def test_a_bound_holds_for_what_another_processor_rounds_otherwise(deviation, bound):
    assert bound_of(deviation) == pytest.approx(bound, rel=1e-12)
    assert bound_of(deviation) >= 3 * deviation
