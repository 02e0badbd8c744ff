"""The comparison of gradients shows every line, and its legend names them."""

import itertools

import pandas as pd
import pytest

from studies.figures.surrogate_versus_exact import surrogate_versus_exact_figure

ALIGNMENTS = pd.DataFrame(
    [
        {"seed": s, "depth": d, "steps_per_time_constant": n, "sharpness": k, "cosine": 0.5 / k, "norm_ratio": k}
        for s, d, n, k in itertools.product((1, 2), (1, 2), (20.0, 80.0), (1.0, 10.0))
    ]
)
ERRORS = pd.DataFrame(
    [
        {"kind": k, "seed": 1, "epoch": e, "error": 0.5 / (e + 1)}
        for k, e in itertools.product(("exact", "surrogate"), range(3))
    ]
)
DISTANCES = pd.DataFrame(
    [
        {"kind": k, "seed": 1, "step": e, "distance": 1 / (e + 1)}
        for k, e in itertools.product(("exact", "surrogate"), range(3))
    ]
)


def test_more_grids_than_colours_are_refused():
    grids = [ALIGNMENTS.assign(steps_per_time_constant=float(n)) for n in range(5)]
    with pytest.raises(ValueError, match="room for 4 grids and 3 depths, not 5 and 2"):
        surrogate_versus_exact_figure(pd.concat(grids), ERRORS, DISTANCES)


def test_every_line_is_drawn_and_named():
    figure = surrogate_versus_exact_figure(ALIGNMENTS, ERRORS, DISTANCES)
    cosines, ratios, errors, distances = figure.axes
    assert len([line for line in cosines.get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "$\\tau$/20, 1 layer", "$\\tau$/80, 1 layer", "$\\tau$/80, 2 layers",
    ]  # fmt: skip
    assert ratios.get_yscale() == errors.get_yscale() == "log"
    assert len(distances.get_lines()) == 2
