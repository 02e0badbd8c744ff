"""Processor times are drawn beside their controls."""

import numpy as np
import pandas as pd

from studies.figures.processor_times import processor_times_figure


def test_times_and_controls_are_those_of_the_table():
    table = pd.DataFrame({"workload": ["F", "spectrum"], "time_ms": [230.0, 40.0], "control_ms": [3500.0, 2.0]})
    (axes,) = processor_times_figure(table).axes
    drawn = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    np.testing.assert_array_equal(drawn["native"], table["time_ms"])
    np.testing.assert_array_equal(drawn["control"], table["control_ms"])
