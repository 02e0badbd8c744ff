"""The figure of `electrocardiogram` draws every kind, the claimed level, and the waves of a trial."""

import numpy as np
import pandas as pd

from stablespike.figures.products import save_figure
from studies.figures.electrocardiogram import electrocardiogram_figure


def test_every_kind_the_level_and_the_waves_are_drawn(tmp_path):
    kinds = ["LIF exact", "BRF surrogate"]
    rows = [
        {"kind": kind, "seed": 1, "epoch": epoch, "test_accuracy": 0.2 * epoch} for kind in kinds for epoch in (0, 3)
    ]
    table = pd.DataFrame([{"kind": kind, "seed": 1, "train": 0.9, "validation": 0.7, "test": 0.8} for kind in kinds])
    example = {"marked": np.arange(12) // 2, "BRF": np.arange(12) % 6}
    figure = electrocardiogram_figure(pd.DataFrame(rows), table, 0.6, 0.86, example, tuple("abcdef"), 5.2)
    _, ends, strip, _ = figure.axes
    assert {line.get_label() for line in figure.axes[0].lines} >= set(kinds)
    assert any(np.allclose(line.get_ydata(), 86) for line in ends.lines)
    np.testing.assert_array_equal(strip.images[0].get_array(), np.stack(list(example.values())))
    assert save_figure(figure, tmp_path).exists()
