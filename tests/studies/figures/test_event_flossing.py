"""The figure of flossing through events shows what it is given."""

import itertools

import numpy as np
import pandas as pd
import pytest

from studies.figures.event_flossing import event_flossing_figure, label, plot_courses

NAMES = ("strength 10", "strength 1", "strength 10, 2 flossed, memory 0")


@pytest.fixture(scope="module")
def given():
    pairs = pd.DataFrame(itertools.product(NAMES, [1, 2]), columns=["start", "seed"])
    pairs["leading"] = 2 * pairs.start.str.contains("flossed")
    networks = pairs.assign(exponent=0.1 * pairs.index, error=0.01, rate=1.0 + pairs.index)
    courses = pairs.merge(pd.DataFrame({"step": range(20)}), how="cross")
    courses["exponent"] = courses.step / 10
    courses.loc[courses.leading == 0, "step"] = -1
    learned = pairs.merge(pd.DataFrame({"delay": [2.0, 1.5]}), how="cross").assign(accuracy=0.5)
    return networks, courses, learned


def test_every_start_has_its_points_and_its_line(given):
    figure = event_flossing_figure(*given)
    courses, exponents, rates, learning = figure.axes
    assert len(courses.lines) == 1 + 1  # zero
    shown = np.concatenate([np.asarray(container[0].get_ydata(), float) for container in exponents.containers])
    np.testing.assert_allclose(shown, given[0].exponent.to_numpy(float))
    assert len(rates.containers) == len(NAMES)
    assert {line.get_label() for line in learning.lines} >= set(NAMES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [label(name) for name in NAMES]


def test_courses_are_means_of_ten_steps(given):
    axes = event_flossing_figure(*given).axes[0]
    axes.clear()
    plot_courses(given[1], dict.fromkeys(NAMES, "C0"), axes)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.45, 1.45])
