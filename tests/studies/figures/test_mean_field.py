"""Figures of mean field show what they are given: agreement on the diagonal, one line a condition, means as bars."""

import itertools

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from studies.figures.mean_field import critical_sharpness_figure, mean_field_figure

FIRST = {"loop": 1.5, "delay": 10.0, "steps": 10}


def exponents():
    networks = pd.DataFrame({"convention": ["public", "gated", "full"], "measured": [1.0, 0.0, -1.0]})
    networks = networks.assign(predicted=networks.measured, by_variances=-1.0)
    pairs = list(itertools.product([1.0, 4.0], [1, 2], [10, 20]))
    critical = pd.DataFrame(
        [{"loop": loop, "seed": seed, "steps": n, "sharpness": n * loop + seed} for loop, seed, n in pairs]
    )
    grids = [critical.assign(slope=name, measured=1.0, predicted=1.0) for name in ("per step", "per time")]
    return mean_field_figure(networks, critical, pd.concat(grids))


def trainings():
    rows = itertools.product([1.5, 3.0], [5.0, 10.0], [1, 2], [0.25, 1.0, 4.0], [0, 10])
    columns = ["loop", "delay", "seed", "factor", "flossed"]
    table = pd.DataFrame(rows, columns=columns).assign(steps=10)
    table = table[(table.flossed == 0) | (table.factor == 4.0)]
    table["exponent"], table["accuracy"] = -np.log(table.factor), 0.5 + 0.1 * table.seed
    return critical_sharpness_figure(table, 0.25, FIRST)


@pytest.mark.parametrize("figure", [exponents, trainings])
def test_the_whole_figure_is_drawn_on_the_page_the_same_twice(figure, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_figure(figure(), tmp_path / name)
    assert (tmp_path / "one" / "figure.svg").read_bytes() == (tmp_path / "two" / "figure.svg").read_bytes()


def test_predictions_lie_where_they_belong():
    panel = exponents().axes[0]
    points = {line.get_label(): line.get_xydata() for line in panel.lines}
    for convention, value in (("public", 1.0), ("gated", 0.0), ("full", -1.0)):
        np.testing.assert_array_equal(points[convention], [[value, value]])
    np.testing.assert_array_equal(points["by variances"][:, 1], -1.0)


def test_marks_are_means_over_seeds_and_lines_are_conditions():
    _, by_sharpness, ends = trainings().axes
    assert [text.get_text() for text in by_sharpness.get_legend().get_texts()] == [
        "1.5, 10 steps",
        "3, 10 steps",
    ]
    means = [line for line in ends.lines if line.get_linestyle() == "-" and line.get_linewidth() > 1]
    np.testing.assert_allclose([line.get_ydata() for line in means], 65.0)  # seeds of 60 and 70 %
    assert len(means) == 3  # at 1, at 4, and at 4 with ten exponents flossed: 0.25 was never flossed
