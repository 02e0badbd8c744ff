"""Networks of a chosen rate: drives that give it, weights left as they are, and statistics within groups."""

import jax
import numpy as np
import pandas as pd
import pytest

from studies import slow_modes_or_rate as study
from studies.event_flossing import Training, recalling_network, task_of
from studies.strong_coupling import Coupling

SMALL = Coupling(4.0, neurons=8)


def test_the_drive_at_which_a_rate_passes_its_target_is_found_or_there_is_none():
    assert study.crossing(lambda drive: drive**2, 2.0, 0.0, 4.0, 40) == pytest.approx(np.sqrt(2), abs=1e-10)
    with pytest.raises(ValueError, match="a rate of 20 is none of those between 0 and 16"):
        study.crossing(lambda drive: drive**2, 20.0, 0.0, 4.0, 40)


def test_a_tuned_network_has_its_rate_and_the_differences_between_its_channels():
    one = study.tuned(SMALL, 0.8, 2, windows=40)
    before, after = (recalling_network(jax.random.key(2), coupling, task_of(0.0)) for coupling in (SMALL, one))
    assert one.mean != SMALL.mean
    for seed, tolerance in ((study.TUNED_ON + 2, 0.02), (7, 0.1)):
        assert study.counted_rate(after, one, seed, 40) == pytest.approx(0.8, rel=tolerance)
    shift = np.asarray(after.layers[0].inputs.weights - before.layers[0].inputs.weights)
    np.testing.assert_allclose(shift, (one.mean - SMALL.mean) / (SMALL.rate * SMALL.channels), rtol=1e-9)
    np.testing.assert_array_equal(after.layers[0].loop.weights, before.layers[0].loop.weights)


def test_a_network_is_a_row_for_each_delay():
    training, measuring = Training(64, 32, 2, 32), {"windows": 20, "transient": 5, "delay": 5}
    (table,) = study.tables_of(SMALL, 0.8, 2, [0.5, 1.0], training, measuring)
    assert list(table.delay) == [0.5, 1.0]
    assert table.rate.between(0.7, 0.9).all()
    assert table.accuracy.between(0, 1).all()


def made_up(generator):
    """Accuracy follows `near` within each target, and a target costs a tenth."""
    rows = [
        {"loop": loop, "target": target, "seed": seed, "near": 30 - loop + 0.1 * seed, "noise": generator.normal()}
        for loop in (1.0, 5.0, 10.0)
        for target in (0.6, 0.9)
        for seed in (1, 2, 3, 4)
    ]
    table = pd.DataFrame(rows)
    table["accuracy"] = table.near / 40 - 0.1 * (table.target == 0.9) + 0.01 * table.seed * (table.loop == 1.0)
    return table


def test_what_goes_with_accuracy_within_groups_is_told_from_chance():
    table = made_up(np.random.default_rng(3))
    assert study.rank_correlation(table, "near", "target") == pytest.approx(1.0, abs=0.01)
    assert study.chance_of(table, "near", "target") < 1e-3
    assert study.chance_of(table, "noise", "target") > 0.05
    assert study.rank_correlation(table, "target", "loop") < -0.8


def test_a_gap_is_paired_by_all_else():
    table = made_up(np.random.default_rng(3))
    mean, low, high = study.paired_gap(table, "target", 0.6, 0.9)
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))
    gaps = 9 / 40 + 0.01 * np.arange(1, 5)
    mean, low, high = study.paired_gap(table, "loop", 1.0, 10.0)
    assert mean == pytest.approx(gaps.mean())
    assert high - mean == pytest.approx(3.18245 * gaps.std(ddof=1) / 2, rel=1e-4)
