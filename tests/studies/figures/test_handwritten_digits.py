import itertools

import numpy as np
import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from stablespike.figures.rasters import layer_bounds, plot_raster
from stablespike.figures.style import new_figure
from stablespike.figures.voltages import broken_at_spikes, plot_output_voltages
from studies.figures.handwritten_digits import handwritten_digits_figure
from studies.figures.training_curves import plot_error, plot_silent_fraction, plot_spikes_per_neuron

SIZES = {"input": 64, "hidden 1": 100, "hidden 2": 100, "output": 10}
STAGES = ("before training", "after training")


@pytest.fixture
def axes():
    return new_figure(3.1, 2.0).subplots()


@pytest.fixture
def rasters():
    generator = np.random.default_rng(1)
    rows = [("input", n, n / 640, stage) for stage in STAGES for n in range(SIZES["input"])]
    for layer, size in list(SIZES.items())[1:]:
        rows += [(layer, n, generator.uniform(0, 2), STAGES[1]) for n in range(size)]
    return pd.DataFrame(rows, columns=["layer", "neuron", "time", "stage"])


@pytest.fixture
def voltages():
    time = np.linspace(0, 2, 201)
    traces = []
    for stage in STAGES:
        for neuron in range(10):
            with np.errstate(divide="ignore"):
                voltage = 1 / (1 + neuron / 10 - time)
            trace = {"time": time, "neuron": neuron, "voltage": voltage, "label": 3, "stage": stage}
            traces.append(pd.DataFrame(trace))
    return pd.concat(traces)


@pytest.fixture
def history():
    rows = [
        (epoch, seed, kind, 0.9 / (1 + epoch) * (1 + 0.1 * seed), 1 / (1 + epoch), 0.1 * epoch)
        for epoch in range(6)
        for seed in range(3)
        for kind in ("with pseudospikes", "ordinary spikes only")
    ]
    return pd.DataFrame(rows, columns=["epoch", "seed", "kind", "error", "silent_fraction", "spikes_per_neuron"])


def test_the_whole_figure_is_drawn_the_same_twice(rasters, voltages, history, tmp_path):
    for folder in ("first", "second"):
        figure = handwritten_digits_figure(rasters, voltages, history, sizes=SIZES, reference=(0.024, "published"))
        save_figure(figure, tmp_path / folder)
    assert (tmp_path / "first" / "figure.svg").read_bytes() == (tmp_path / "second" / "figure.svg").read_bytes()


def test_no_text_of_the_figure_is_cut_off(rasters, voltages, history):
    figure = handwritten_digits_figure(rasters, voltages, history, reference=(0.024, "published"))
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_every_spike_is_a_dot_in_the_band_of_its_layer(rasters, axes):
    plot_raster(rasters[rasters["stage"] == STAGES[1]], axes, sizes=SIZES, duration=2.0)
    for dots, (layer, (bottom, top)) in zip(axes.collections, layer_bounds(SIZES).items(), strict=True):
        heights = dots.get_offsets()[:, 1]
        assert len(heights) == SIZES[layer]
        assert bottom < heights.min() < heights.max() < top


def test_silent_layers_say_so_and_late_spikes_are_left_out(rasters, axes):
    late = pd.DataFrame({"layer": ["output"], "neuron": [1], "time": [2.5]})
    plot_raster(pd.concat([rasters[rasters["stage"] == STAGES[0]], late]), axes, sizes=SIZES, duration=2.0)
    assert [text.get_text() for text in axes.texts] == ["silent"] * 3


def test_a_neuron_outside_of_its_layer_is_refused(axes):
    with pytest.raises(ValueError, match="Neuron 10 spikes in layer 'output', which has 10 neurons"):
        plot_raster(pd.DataFrame({"layer": ["output"], "neuron": [10], "time": [1.0]}), axes, sizes={"output": 10})


def test_bands_fill_the_height_without_touching():
    bounds = list(layer_bounds({"input": 784, "hidden": 100, "output": 10}).values())
    assert bounds[0][0] == 0
    assert bounds[-1][1] == pytest.approx(1)
    assert all(above[0] > below[1] for below, above in itertools.pairwise(bounds))
    assert bounds[2][1] - bounds[2][0] > 0.07


def test_a_voltage_is_broken_at_infinity_and_nowhere_else():
    time = np.arange(6.0)
    for peak in (1e9, np.inf):
        times, voltages = broken_at_spikes(time, np.array([0, 2, peak, -peak, -2, -4.0]), (-3.0, 4.0))
        assert np.flatnonzero(np.isnan(voltages)).tolist() == [3]
        assert len(times) == 7
        assert np.isfinite(np.delete(voltages, 3)).all()


def test_the_right_answer_is_drawn_on_top_with_its_spikes(voltages, axes):
    one = voltages[voltages["stage"] == STAGES[0]]
    plot_output_voltages(one, axes, spikes=pd.DataFrame({"neuron": [3, 4], "time": [1.3, 1.4]}), limits=(-3.0, 4.0))
    assert len(axes.lines) == 10
    assert axes.lines[-1].get_linewidth() > axes.lines[0].get_linewidth()
    assert axes.get_ylim() == (-3, 4)
    assert sum(len(marks.get_segments()) for marks in axes.collections) == 2


def test_curves_show_means_and_ranges_over_seeds(history, axes):
    plot_error(history, axes)
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 0.99 / (1 + np.arange(6)))
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(0.9 * 1.2)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["with pseudospikes", "ordinary spikes only"]


def test_an_error_of_zero_is_drawn_at_the_bottom(history, axes):
    plot_error(history.assign(error=history["error"].where(history["epoch"] < 5, 0.0)), axes)
    axes.figure.draw_without_rendering()
    assert 0 < axes.get_ylim()[0] < 0.9 / 5


@pytest.mark.parametrize(("plot", "top"), [(plot_silent_fraction, 100), (plot_spikes_per_neuron, 0.5)])
def test_activity_is_drawn_from_the_table(history, axes, plot, top):
    plot(history, axes)
    assert axes.lines[0].get_ydata().max() == pytest.approx(top)
