import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from stablespike.figures.style import new_figure
from studies.figures.spike_time_curves import ends, plot_slope, plot_spike_time
from studies.figures.spike_time_gradient import spike_time_gradient_figure


@pytest.fixture
def curves():
    value = np.linspace(0, 4, 41)
    tables = []
    for inputs in ("one", "two", "moving"):
        for neuron, edge, latest in (("LIF", 2, 0.5), ("QIF", 1, 3.0)):
            with np.errstate(divide="ignore"):
                time = np.where(value >= edge, latest / (1 + value - edge), np.inf)
            table = {"value": value, "spike_time": time, "gradient": -latest / (1 + value - edge + 1e-9) ** 2}
            tables.append(pd.DataFrame(table).assign(neuron=neuron, inputs=inputs, difference=np.nan))
            tables[-1].loc[30, "difference"] = tables[-1].loc[30, "gradient"]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def approach():
    distance = np.geomspace(1e-9, 1e-2, 29)
    table = pd.DataFrame({"distance": distance, "gradient": -(distance**-0.5)})
    return pd.concat([table.assign(neuron=neuron, inputs=kind) for neuron in ("LIF", "QIF") for kind in ("one", "two")])


def test_the_whole_figure_is_drawn_on_the_page_the_same_twice(curves, approach, tmp_path):
    for folder in ("first", "second"):
        figure = spike_time_gradient_figure(curves, approach, duration=3.0)
        save_figure(figure, tmp_path / folder)
    assert (tmp_path / "first" / "figure.svg").read_bytes() == (tmp_path / "second" / "figure.svg").read_bytes()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_only_a_spike_that_ends_in_mid_trial_is_marked(curves):
    axes = new_figure(3.1, 2.0).subplots()
    plot_spike_time(curves[curves["inputs"] == "one"], axes, duration=3.0)
    circles = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(float(x), float(y)) for line in circles for x, y in line.get_xydata()] == [(2.0, 0.5)]
    assert np.isnan(axes.lines[1].get_ydata()[:10]).all()


def test_slopes_are_not_drawn_where_there_is_no_spike(curves):
    axes = new_figure(3.1, 2.0).subplots()
    plot_slope(curves[(curves["inputs"] == "one") & (curves["neuron"] == "LIF")], axes)
    assert np.isnan(axes.lines[0].get_ydata()[:20]).all()
    assert np.isfinite(axes.lines[0].get_ydata()[20:]).all()
    assert len(axes.collections[0].get_offsets()) == 1


def test_a_spike_may_end_on_either_side_of_a_gap():
    assert ends(np.array([1.0, 2.0, np.inf, np.inf, 3.0, 4.0])).tolist() == [1, 4]
    assert ends(np.array([1.0, 2.0])).tolist() == []
