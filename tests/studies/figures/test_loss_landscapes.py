"""The landscape figure: hue is the neuron, the line the gradient, an open mark a step without jumps; jumps are gaps."""

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.style import NEURONS, new_figure
from studies.figures import loss_landscapes as figures

LINE = pd.DataFrame({
    "kind": "recurrent", "neuron": ["LIF", "LIF", "QIF", "QIF"], "seed": 1, "direction": "random", "trial": 0,
    "start": [0.0, 1.0, 0.0, 1.0], "end": [1.0, 2.0, 1.0, 2.0], "before": [1.0, 3.0, 2.0, 2.0],
    "after": [3.0, 3.5, 2.0, 2.0], "jump": [1.5, 0.0, 0.0, 0.0], "place": [0.5, 1.5, 0.5, 1.5],
})  # fmt: skip
TRAINED = pd.DataFrame({
    "kind": "recurrent", "trials": 8, "neuron": ["LIF", "LIF", "QIF", "QIF"], "treatment": ["plain", "no jumps"] * 2,
    "first": 5.0, "last": [0.1, 3.0, 0.01, 0.02],
})  # fmt: skip


def trust():
    rows = [("LIF", "exact", 1.0, 1.0), ("LIF", "surrogate", 1.0, 3.0), ("QIF", "exact", 1.0, 0.8)]
    return pd.DataFrame(rows, columns=["neuron", "gradient", "size", "ratio"])


@pytest.fixture
def axes():
    return new_figure().subplots()


def test_a_line_is_broken_where_the_loss_jumps(axes):
    figures.plot_line(LINE, axes)
    lif, marks, qif = axes.get_lines()[:3]
    assert np.isnan(lif.get_ydata()).sum() == 1
    assert marks.get_xdata().tolist() == [0.5]
    assert not np.isnan(qif.get_ydata()).any()
    assert [line.get_color() for line in (lif, qif)] == [NEURONS["LIF"], NEURONS["QIF"]]


def test_surrogates_are_dashed_and_trust_is_a_part_of_networks(axes):
    figures.plot_trust(trust(), axes)
    assert [line.get_linestyle() for line in axes.get_lines()] == ["-", "--", "-"]
    assert [line.get_ydata().item() for line in axes.get_lines()] == [1.0, 0.0, 1.0]


def test_marks_of_the_intervention_are_open(axes):
    figures.plot_ends(TRAINED, axes)
    fills = [line.get_markerfacecolor() for line in axes.get_lines() if line.get_marker() in figures.MARKS.values()]
    assert fills == [NEURONS["LIF"], "none", NEURONS["QIF"], "none"]


def test_the_figure_has_a_panel_for_each_question():
    counted = pd.DataFrame({"neuron": ["LIF", "QIF"], "batch": 1, "jumps": [10.0, 0.0], "orders": [50.0, 60.0]})
    planes = {neuron: np.full((3, 3), 1.0 + place) for place, neuron in enumerate(NEURONS)}
    figure = figures.loss_landscapes_figure(LINE, planes, 0.2, counted, trust(), TRAINED)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert len(labels) == 7
    assert all(labels)
