"""The figure of schedules shows every plan once in each panel, with the reference at cost 1."""

import numpy as np
import pandas as pd

from studies.figures.flossing_schedules import flossing_schedules_figure, joined_labels


def test_every_plan_is_drawn():
    rows = [
        {"plan": plan, "seed": seed, "accuracy": 0.5 + 0.1 * place + 0.01 * seed, "cost": 100 * (1 + place)}
        for place, plan in enumerate(["never", "before", "adaptive"])
        for seed in (1, 2, 3)
    ]
    left, right = flossing_schedules_figure(pd.DataFrame(rows), reference="never").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["never (1)", "before (2)", "adaptive (3)"]
    points = [line.get_xydata()[0] for line in right.get_lines()[:3]]
    np.testing.assert_allclose(points, [(1, 52), (2, 62), (3, 72)])
    assert [text.get_text() for text in right.texts[:3]] == ["1", "2", "3"]


def test_numbers_of_plans_that_coincide_stand_together():
    medians = pd.DataFrame({"cost": [1.0, 2.0, 1.01, 1.0], "accuracy": [0.5, 0.9, 0.5, 0.6]})
    assert joined_labels(medians) == [((1.0, 0.5), "1, 3"), ((2.0, 0.9), "2"), ((1.0, 0.6), "4")]
