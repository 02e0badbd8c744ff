"""The figure of published values judges rows of same settings alone, and sets all values in per cent side by side."""

import numpy as np
import pandas as pd

from studies.figures.published_and_reproduced import published_and_reproduced_figure

TABLE = pd.DataFrame(
    {
        "what": ["one", "two", "three"],
        "settings": ["same", "same", "near"],
        "unit": ["%", "spikes", "%"],
        "reported": [97.0, 7000.0, 100.0],
        "reported_spread": [0.1, 70.0, np.nan],
        "here": [97.2, 7150.0, 93.0],
        "here_spread": [0.1, 60.0, 11.0],
        "difference": [0.2, 150.0, -7.0],
        "half": [0.4, 100.0, np.nan],
    }
)


def test_differences_stand_in_units_of_half_their_interval():
    away, values = published_and_reproduced_figure(TABLE).axes
    shown = [line for line in away.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(shown[0].get_xdata(), [0.5, 1.5])
    assert [label.get_text() for label in away.get_yticklabels()] == ["one", "two"]
    points = [line.get_xydata() for line in values.lines if line.get_marker() in ("o", "s")]
    np.testing.assert_allclose(points, [[[97.0, 97.2]], [[100.0, 93.0]]])
