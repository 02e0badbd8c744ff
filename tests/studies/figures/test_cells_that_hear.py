"""The figure of `cells-that-hear` draws every kind, and the level that was claimed."""

import numpy as np
import pandas as pd

from studies.figures.cells_that_hear import cells_that_hear_figure, settings_figure


def test_every_kind_and_the_level_are_drawn():
    kinds = ["LIF", "BRF"]
    history = pd.DataFrame(
        {"kind": kind, "seed": seed, "epoch": epoch, "test_accuracy": 0.1 * epoch}
        for kind in kinds
        for seed in (1, 2)
        for epoch in range(4)
    )
    table = pd.DataFrame(
        {"kind": kind, "seed": 1, "train": 0.9, "validation": 0.7, "test": 0.8, "low": 0.78, "high": 0.82}
        for kind in kinds
    )
    figure = cells_that_hear_figure(history, table, 0.66, 0.05, 0.86)
    _, ends = figure.axes
    assert any(np.allclose(line.get_ydata(), 86) for line in ends.lines)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == kinds


def test_every_try_is_drawn():
    table = pd.DataFrame({"kind": ["LIF", "BRF"] * 2, "setting": ["as before"] * 2 + ["dropout"] * 2})
    figure = settings_figure(table.assign(validation=[0.6, 0.7, 0.65, 0.72]))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["BRF"], [70, 72])
    np.testing.assert_allclose(lines["LIF"], [60, 65])
