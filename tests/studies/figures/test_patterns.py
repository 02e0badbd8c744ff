"""Figures of learning spike patterns fit on their page, and come out the same twice."""

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from stablespike.figures.style import new_figure
from studies.figures.first_steps import first_steps_figure
from studies.figures.patterns import plot_moves, recurrent_pattern_figure, single_neuron_figure


@pytest.fixture
def errors():
    steps = np.arange(50)
    rows = [
        pd.DataFrame({"step": steps, "error": 10 * np.exp(-steps / 10), "seed": seed, "rule": rule})
        for seed in (1, 2)
        for rule in ("plain", "bounded")
    ]
    return pd.concat(rows, ignore_index=True)


def single(errors):
    steps = np.arange(50)
    times = pd.concat([pd.DataFrame({"step": steps, "time": 12 - steps / 10, "spike": spike}) for spike in (0, 1)])
    time = np.linspace(0, 10, 101)
    traces = pd.concat([pd.DataFrame({"time": time, "voltage": np.tan(time), "stage": s}) for s in ("before", "after")])
    marks = pd.DataFrame({"time": [1.0, 2.0], "weight": [1.0, -1.0], "trained": [True, False]})
    inputs = pd.concat([marks.assign(stage=stage) for stage in ("before", "after")])
    return single_neuron_figure(times, errors, traces, inputs, targets=[2.5, 7.5], duration=10.0)


def recurrent(errors):
    spikes = pd.DataFrame({"layer": ["targets", "others"], "neuron": [0, 3], "time": [2.0, 3.0]})
    rasters = pd.concat([spikes.assign(stage=stage) for stage in ("before", "after")])
    moves = pd.DataFrame({"move": [0.1, 1.0, 0.2, 0.3], "rule": ["plain", "plain", "bounded", "bounded"]})
    sizes = {"targets": 2, "others": 8}
    return recurrent_pattern_figure(
        rasters, errors, moves, sizes=sizes, targets=[[2.0, 5.0], [3.0, 6.0]], duration=10.0, limit=0.5
    )


def steps(errors):
    rasters = pd.DataFrame({"model": ["QIF", "LIF"], "neuron": [0, 1], "time": [1.0, 2.0]})
    return first_steps_figure(rasters, errors[errors["seed"] == 1], neurons=3, duration=4.0)


@pytest.mark.parametrize("draw", [single, recurrent, steps])
def test_the_whole_figure_is_drawn_on_the_page_the_same_twice(draw, errors, tmp_path):
    for folder in ("first", "second"):
        figure = draw(errors)
        save_figure(figure, tmp_path / folder)
    assert (tmp_path / "first" / "figure.svg").read_bytes() == (tmp_path / "second" / "figure.svg").read_bytes()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_moves_are_drawn_as_the_part_of_the_steps_beyond():
    axes = new_figure(3.1, 2.0).subplots()
    plot_moves(pd.DataFrame({"move": [0.1, 0.4, 0.2, 0.3], "rule": "plain"}), axes, limit=0.5)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0.4, 0.25], [0.3, 0.5], [0.2, 0.75], [0.1, 1.0]])
