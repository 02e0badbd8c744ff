"""Figures of gradient stability draw every kind of network, by the median of its seeds."""

import itertools

import numpy as np
import pandas as pd

from studies.figures.gradient_stability import gradients_through_time_figure, lyapunov_predicts_gradients_figure

KINDS = ("LIF, exact", "surrogate, tau/20")


def test_curves_against_the_delay():
    pairs = list(itertools.product(KINDS, (1, 2, 3)))
    growth = [
        pd.DataFrame({"delay": [1.0, 2.0], "norm": [seed, 0.1], "dimension": [4.0, 2.0]}).assign(kind=kind, seed=seed)
        for kind, seed in pairs
    ]
    spectra = [pd.DataFrame({"index": [1, 2], "singular": [1.0, 0.1]}).assign(kind=kind, seed=s) for kind, s in pairs]
    norms, dimensions, values = gradients_through_time_figure(pd.concat(growth), pd.concat(spectra), at=5.0).axes
    assert [len(axes.get_lines()) for axes in (norms, dimensions, values)] == [2, 2, 2]
    np.testing.assert_allclose(norms.get_lines()[0].get_ydata(), [2.0, 0.1])
    assert [text.get_text() for text in dimensions.figure.legends[0].get_texts()] == [KINDS[0], r"surrogate, $\tau$/20"]


def test_prediction_and_sharpness():
    rows = [
        {"kind": kind, "seed": seed, "loop": loop, "sharpness": beta, "exponent": seed / beta if beta == beta else 0.0}
        for (kind, betas), seed, loop in itertools.product(
            [(KINDS[0], [np.nan]), (KINDS[1], [1.0, 10.0])], (1, 2, 3), (0.5, 2.0)
        )
        for beta in betas
    ]
    table = pd.DataFrame(rows).assign(growth=0.1, error=0.01)
    prediction, exponents = lyapunov_predicts_gradients_figure(table).axes
    assert len(prediction.containers) == 2
    assert len(prediction.child_axes[0].containers) == 1  # the exact networks once more
    np.testing.assert_allclose(exponents.get_lines()[1].get_ydata(), [2.0, 0.2])
    assert exponents.get_xscale() == "log"
