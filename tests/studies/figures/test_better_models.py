"""The figure of `better-models` shows what it is given."""

import itertools

import numpy as np
import pandas as pd
import pytest

from studies.figures.better_models import better_models_figure

MODELS, DISTURBANCES = ("LIF", "QIF", "gated"), ("dropped", "noisy")


@pytest.fixture(scope="module")
def table():
    rows = pd.DataFrame(itertools.product(MODELS, [10.0, 20.0], [1, 2]), columns=["model", "delay", "seed"])
    rows["test"] = np.linspace(0.3, 0.9, len(rows))
    operations = {"additions": 10.0 * (1 + rows.index), "multiplications": 0.0}
    return rows.assign(**operations, dropped=rows.test - 0.1, noisy=rows.test - 0.2)


def test_every_model_has_its_row(table):
    accuracies, operations, changes = better_models_figure(table, DISTURBANCES).axes
    assert [label.get_text() for label in accuracies.get_yticklabels()] == list(MODELS)
    means = accuracies.lines[0].get_xdata()
    np.testing.assert_allclose(means, 100 * table[table.delay == 10].groupby("model").test.mean())
    assert len(operations.lines) == len(MODELS)
    np.testing.assert_allclose(changes.lines[0].get_xdata(), -10)
    np.testing.assert_allclose(changes.lines[1].get_xdata(), -20)
