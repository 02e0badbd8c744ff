"""Rows join products by two routes, and a deviation is what its formula says."""

import json
import math

import pandas as pd
import pytest

from studies.published_and_reproduced import Here, half_width, joined, missing, of, replications, verdict
from studies.published_values import ROWS, Contrast, Measured, Reported, Stated

TABLE = pd.DataFrame({"seed": [1, 2, 1, 2], "kind": ["a", "a", "b", "b"], "part": [0.5, 0.7, 0.4, 0.3]})
A, B = (Measured("quick/one", "part", {"kind": kind}, 100.0, "wrong", complement=True) for kind in "ab")


@pytest.fixture
def answers(tmp_path):
    folder = tmp_path / "quick" / "one"
    folder.mkdir(parents=True)
    TABLE.to_csv(folder / "table.csv", index=False)
    (folder / "numbers.json").write_text(json.dumps({"wrong": 0.4, "deep": {"sd": 3.0}, "seeds": 7}))
    return tmp_path


def row(value, here, sign=1, **how):
    how = {"sign": sign, "experiment": "one"} | how
    return Reported("what", "source", "same", "setting", value, how.pop("spread", 5.0), "%", here, "differences", **how)


def test_values_come_from_the_table_and_agree_with_the_numbers(answers):
    here = of(A, answers)
    assert here == Here(pytest.approx(60.0), pytest.approx(math.sqrt(200.0)), 2)
    with pytest.raises(ValueError, match="quick/one: the table has 35"):
        of(B, answers)
    with pytest.raises(ValueError, match="not one row for each seed"):
        of(A._replace(where={}), answers)
    assert of(Stated("quick/one", "wrong", "deep.sd", "seeds"), answers) == Here(0.4, 3.0, 7)
    assert of(Stated("quick/one", "wrong", "deep.sd", "seeds", 100.0), answers) == Here(40.0, 300.0, 7)


def test_contrasts_are_paired_by_seed(answers):
    here = of(Contrast(A, B), answers)
    assert here.value == pytest.approx((10.0 + 40.0) / 2)
    assert here.spread == pytest.approx(30.0 / math.sqrt(2))


def test_intervals_of_differences_by_hand():
    # Student's quantile of two degrees of freedom has a closed form: a sqrt(2 / (1 - a^2)), a the confidence.
    quantile = 0.95 * math.sqrt(2 / (1 - 0.95**2))
    three = Here(20.0, 4.0, 3)
    assert half_width(row(10.0, A, spread=None), three, 0.95) == pytest.approx(quantile * 4 / math.sqrt(3))
    both = math.sqrt(16 / 3 + 25 / 10)
    assert half_width(row(10.0, A, repeats=10), three, 0.95) == pytest.approx(quantile * both)
    assert half_width(row(10.0, A), three, 0.95) == pytest.approx(quantile * math.sqrt(16 / 3 + 25))
    assert math.isnan(half_width(row(10.0, A), Here(2.0, math.nan, 1), 0.95))


def test_a_larger_scatter_is_no_reproduction_where_settings_differ():
    near = row(100.0, A)._replace(settings="near")
    assert verdict(near, Here(93.1, 11.0, 9), 8.5) == "not judged"
    assert verdict(row(0.0, A), Here(0.0, 0.0, 3), 0.0) == "equal"
    assert verdict(row(0.0, A), Here(0.1, 0.0, 3), 0.0) == "outside"


def test_rows_of_one_experiment_are_one_replication():
    table = pd.DataFrame({"settings": ["same"] * 3 + ["near"], "experiment": ["a", "a", "b", "c"]})
    assert replications(table.assign(verdict=["within", "outside", "equal", "not judged"])) == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("here", "sign", "expected"),
    [
        (Here(1.0, 0.5, 3), 1, "agrees"), (Here(1.0, 0.5, 3), -1, "disagrees"),
        (Here(1.0, 2.0, 3), 1, "open"), (Here(1.0, math.nan, 1), 1, "open"),
    ],
)  # fmt: skip
def test_signs_need_more_than_their_spread(here, sign, expected):
    assert verdict(row(None, A, sign), here, math.nan) == expected


def test_values_are_within_the_bound_or_outside(answers):
    known = row(62.0, A, spread=None), row(200.0, A, spread=None)
    found = joined((*known, row(80.0, A._replace(question="quick/other"))), answers, 0.95)
    assert list(found.verdict) == ["within", "outside"]  # 60 with a half width of 127
    assert list(found.difference) == pytest.approx([-2.0, -140.0])
    assert missing((row(80.0, A._replace(question="quick/other")),), answers) == ["quick/other"]
    assert missing((row(80.0, A._replace(question="paper/one")),), answers) == []  # a scale that was never run


def test_there_are_a_dozen_rows_with_sources_and_differences():
    assert len(ROWS) >= 12
    assert len({one.what for one in ROWS}) == len(ROWS)
    assert {one.settings for one in ROWS} == {"same", "near", "other"}
    assert all(one.claim for one in ROWS if one.value is None)
