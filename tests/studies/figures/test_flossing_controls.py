"""The figure of `flossing-controls` shows every network, by treatment and by its gradient."""

import itertools

import numpy as np
import pandas as pd

from studies.figures.flossing_controls import flossing_controls_figure


def test_every_network_is_drawn():
    rows = itertools.product(["binary", "spiking"], ["untreated", "flossed"], [1, 2, 3])
    table = pd.DataFrame(rows, columns=["kind", "treatment", "seed"])
    table["accuracy"], table["norm"] = np.linspace(0.5, 1, len(table)), 10.0**-table.seed
    binary, _, norms = flossing_controls_figure(table).axes
    assert [label.get_text() for label in binary.get_yticklabels()] == ["untreated", "flossed"]
    np.testing.assert_allclose(binary.lines[2].get_xdata(), 100 * table.accuracy[3:6])
    np.testing.assert_allclose(binary.lines[3].get_xdata(), 100 * table.accuracy[3:6].mean())
    np.testing.assert_allclose(norms.lines[1].get_xdata(), table["norm"][6:])
    np.testing.assert_allclose(norms.lines[1].get_ydata(), 100 * table.accuracy[6:])
