"""Figures of `predicting-trainability` and `strong-coupling` show what they are given, the same twice."""

import itertools

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from studies.figures.predicting_trainability import predicting_trainability_figure
from studies.figures.strong_coupling import strong_coupling_figure


def predictions():
    table = pd.DataFrame({"delay": [8.0, 8.0, 20.0], "leading": [-1.0, 0.0, 2.0], "modes": [0, 7, 40]})
    table["accuracy"] = [0.25, 1.0, 0.5]
    judged = pd.DataFrame({"predictor": ["delay alone", "modes", "norm"], "auc": [0.5, 0.8, 0.7]})
    judged = judged.assign(low=judged.auc - 0.1, high=judged.auc + 0.1)
    calibrated = {"modes": pd.DataFrame({"told": [0.1, 0.9], "came": [0.0, 1.0]})}
    return predicting_trainability_figure(table, judged, calibrated, 0.25)


def coupling():
    rows = itertools.product(["LIF", "QIF"], ["inhibition", "zero mean"], [1.0, 10.0], [1, 2])
    networks = pd.DataFrame(rows, columns=["neuron", "kind", "loop", "seed"])
    networks = networks.assign(exponent=0.1 * networks.seed, norm=networks.loop, positive=0.0)
    pushes = pd.DataFrame(itertools.product(["LIF", "QIF"], [1e-4, 1e-2]), columns=["neuron", "size"])
    return strong_coupling_figure(networks, pushes.assign(distance=[1e-5, 1e-1, 1.0, 1.0]))


@pytest.mark.parametrize("figure", [predictions, coupling])
def test_the_whole_figure_is_drawn_on_the_page_the_same_twice(figure, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_figure(figure(), tmp_path / name)
    assert (tmp_path / "one" / "figure.svg").read_bytes() == (tmp_path / "two" / "figure.svg").read_bytes()


def test_areas_stand_beside_their_names_with_their_intervals():
    axes = predictions().axes[2]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["norm", "modes", "delay alone"]  # from below
    intervals = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2][:3]
    np.testing.assert_allclose(intervals, [[0.6, 0.8], [0.7, 0.9], [0.4, 0.6]])


def test_lines_are_medians_over_seeds_and_pushes_lie_beside_their_neuron():
    axes = coupling().axes
    lines = {line.get_label(): line for line in axes[0].lines}
    np.testing.assert_allclose(lines["QIF, zero mean"].get_ydata(), 0.15)
    assert lines["QIF, zero mean"].get_linestyle() == "--"
    pushes = {line.get_label(): line for line in axes[3].lines}
    np.testing.assert_allclose(pushes["LIF"].get_ydata(), [1e-5, 1e-1])
