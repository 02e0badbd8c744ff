"""The figure of `long-trials` draws every gradient, every direction and every curve."""

import itertools

import numpy as np
import pandas as pd

from stablespike.figures.products import save_figure
from studies.figures.long_trials import long_trials_figure


def test_every_gradient_direction_and_curve_is_drawn(tmp_path):
    kinds, gradients = ["LIF", "QIF"], ["exact", "surrogate"]
    both = list(itertools.product(kinds, gradients))
    norms = pd.DataFrame({"kind": k, "gradient": g, "steps": n, "hidden": n**2.0} for k, g in both for n in (80, 320))
    along = pd.DataFrame({"kind": k, "gradient": g, "size": s, "change": -s} for k, g in both for s in (1e-3, 1e-2))
    history = pd.DataFrame({"kind": k, "seed": 1, "epoch": e, "test_accuracy": 0.1 * e} for k in kinds for e in (1, 4))
    figure = long_trials_figure(norms, along, history)
    lengths, falls, curves = figure.axes
    assert len(lengths.lines) == 4
    np.testing.assert_allclose(lengths.lines[0].get_ydata(), [6400, 102400])
    assert sum(line.get_xdata()[0] == 1e-3 for line in falls.lines) == 4
    assert [text.get_text() for text in curves.get_legend().get_texts()] == kinds
    assert save_figure(figure, tmp_path).exists()
