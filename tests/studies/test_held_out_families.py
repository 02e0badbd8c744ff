"""Predictors on families held out: areas as scikit-learn has them, what is planted is found, what is noise is not."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from studies import held_out_families as study


def networks(count: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four families in which the number of modes alone decides, noisily, and differs between families."""
    generator = np.random.default_rng(seed)
    modes = np.concatenate([generator.poisson(mean, count) for mean in (1, 2, 4, 8)])
    learns = modes + generator.normal(0, 1, 4 * count) > 3
    columns = ["leading", "norm", "growth", "dimension", "signal", "rate", "silent", "loop", "sharpness", "first_loss"]
    table = pd.DataFrame(generator.uniform(0.1, 1, (4 * count, len(columns))), columns=columns)
    table["family"] = np.repeat(["one", "two", "three", "four"], count)
    table["modes"], table["modes_3"] = modes, generator.integers(0, 9, 4 * count)
    return table.assign(delay=generator.choice([8.0, 12.0], 4 * count)), learns


def test_area_is_that_of_scikit_learn_ties_and_all_rows_at_once():
    generator = np.random.default_rng(1)
    told, learns = generator.integers(0, 5, (6, 30)) / 4, generator.random((6, 30)) < 0.4
    expected = [sklearn.metrics.roc_auc_score(yes, one) for one, yes in zip(told, learns, strict=True)]
    np.testing.assert_allclose(study.area(told, learns), expected, rtol=1e-14)
    assert np.isnan(study.area(told[0], np.ones(30, bool)))


def test_what_decides_is_found_in_families_that_were_held_out():
    judged = study.judged_predictors(*networks(60)).set_index("predictor")
    assert judged.auc["modes"] > 0.9
    others = judged.drop(index=["modes", "all measured"])
    assert (others.auc < 0.65).all()
    assert (others.ahead_low > 0.2).all()
    assert judged.score["modes"] < 0.13
    assert ((judged.low <= judged.auc) & (judged.auc <= judged.high)).all()


def test_a_family_does_not_see_itself():
    table, learns = networks(40)
    before = study.held_out_probabilities(table, learns, ("modes",))
    own = (table.family == "three").to_numpy()
    after = study.held_out_probabilities(table, np.where(own, ~learns, learns), ("modes",))
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).all()


def test_families_that_leave_nothing_to_fit_are_named():
    table, _ = networks(5)
    only = (table.family == "two").to_numpy()
    with pytest.raises(ValueError, match="without the family 'two' all networks learn, or none"):
        study.held_out_probabilities(table, only, ())


def test_what_is_missing_or_out_of_range_has_a_place_on_the_scale():
    table, _ = networks(5)
    table.loc[0, ["dimension", "norm", "growth"]] = np.nan
    table.loc[1, ["norm", "growth"]] = 1e300
    bent = study.scaled(table)
    assert np.isfinite(bent.drop(columns="delay")).all().all()
    assert bent.dimension[0] == 0
    assert bent.norm[0] == bent.norm[1] == study.FAR


def test_calibration_has_groups_of_equal_size_in_order():
    told = np.linspace(0, 1, 100)
    groups = study.calibration(told, told > 0.5)
    assert groups.told.is_monotonic_increasing
    np.testing.assert_allclose(groups.came, [0, 0, 0.5, 1, 1], atol=0.01)


def test_resampled_networks_stay_in_their_families():
    families = pd.Series(["a", "b", "a", "b", "b"])
    rows = study.resampled(families, 0, 50)
    assert rows.shape == (50, 5)
    assert (families.to_numpy()[rows] == np.array(["a", "a", "b", "b", "b"])).all()
    assert len(np.unique(rows, axis=0)) > 10


def test_whole_families_are_drawn():
    families = pd.Series(["one", "two", "two", "one"])
    rows = study.resampled_families(families, 0, 200)
    assert {tuple(sorted(row)) for row in rows} == {(0, 0, 3, 3), (0, 1, 2, 3), (1, 1, 2, 2)}
    with pytest.raises(ValueError, match="different sizes"):
        study.resampled_families(families[:3], 0)


def test_intervals_for_new_families_are_wider_where_families_differ():
    judged = study.judged_predictors(*networks(60)).set_index("predictor")
    wide = (judged.new_high - judged.new_low) / (judged.high - judged.low)
    assert wide.median() > 1
