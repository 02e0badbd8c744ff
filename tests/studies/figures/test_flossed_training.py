"""The figure of flossed training shows both trainings, and the published accuracies beside them."""

import itertools

import numpy as np
import pandas as pd

from studies.figures.flossed_training import flossed_training_figure


def test_every_setting_is_drawn():
    keys = [
        {"flossed": flossed, "seed": seed, "kind": "one layer", "cell": "binary"}
        for flossed, seed in itertools.product((0, 1), (1, 2))
    ]
    results = pd.DataFrame([key | {"delay": d, "accuracy": 0.6 + 0.1 * key["flossed"]} for key in keys for d in (4, 8)])
    course = pd.concat([pd.DataFrame({"step": [1, 2], "accuracy": [0.5, 0.6]}).assign(**key) for key in keys])
    norms = pd.concat([pd.DataFrame({"distance": [2, 1], "norm": [0.1, 1.0]}).assign(**key) for key in keys])
    figure = flossed_training_figure(results, course, norms, {False: {8: 0.5}, True: {8: 0.9}})
    left, middle, right = figure.axes
    labels = ["one layer, plain", "one layer, flossed", "plain, published", "flossed, published"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == labels
    assert left.get_ylim()[1] < 105  # no accuracy lies beyond 100 %
    np.testing.assert_allclose(
        [line.get_ydata()[0] for line in left.get_lines() if line.get_label() == "one layer, flossed"], 70
    )
    assert len(middle.get_lines()) == len(right.get_lines()) == 2
