"""Rows join products by two routes, and a deviation is what its formula says."""

import json
import math

import pandas as pd
import pytest

from studies.published_and_reproduced import Here, deviation, joined, missing, of, verdict
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


def row(value, here, sign=1):
    return Reported("what", "source", "same", "setting", value, 5.0, "%", here, "differences", sign=sign)


def test_values_come_from_the_table_and_agree_with_the_numbers(answers):
    here = of(A, answers)
    assert here == Here(pytest.approx(60.0), pytest.approx(math.sqrt(200.0)), 2)
    with pytest.raises(ValueError, match="quick/one: the table has 35"):
        of(B, answers)
    with pytest.raises(ValueError, match="not one row for each seed"):
        of(A._replace(where={}), answers)
    assert of(Stated("quick/one", "wrong", "deep.sd", "seeds"), answers) == Here(0.4, 3.0, 7)


def test_contrasts_are_paired_by_seed(answers):
    here = of(Contrast(A, B), answers)
    assert here.value == pytest.approx((10.0 + 40.0) / 2)
    assert here.spread == pytest.approx(30.0 / math.sqrt(2))


def test_deviation_by_hand():
    assert deviation(10.0, 3.0, Here(20.0, 4.0, 2)) == 2.0
    assert deviation(10.0, math.nan, Here(20.0, 4.0, 2)) == 2.5
    assert deviation(0.0, 0.0, Here(0.0, 0.0, 3)) == 0.0
    assert math.isnan(deviation(1.0, math.nan, Here(2.0, math.nan, 1)))


@pytest.mark.parametrize(
    ("here", "sign", "expected"),
    [
        (Here(1.0, 0.5, 3), 1, "agrees"), (Here(1.0, 0.5, 3), -1, "disagrees"),
        (Here(1.0, 2.0, 3), 1, "open"), (Here(1.0, math.nan, 1), 1, "open"),
    ],
)  # fmt: skip
def test_signs_need_more_than_their_spread(here, sign, expected):
    assert verdict(row(None, A, sign), here, math.nan, 2.0) == expected


def test_values_are_within_the_bound_or_outside(answers):
    found = joined((row(62.0, A), row(100.0, A), row(80.0, A._replace(question="quick/other"))), answers, 2.0)
    assert list(found.verdict) == ["within", "outside"]
    assert missing((row(80.0, A._replace(question="quick/other")),), answers) == ["quick/other"]
    assert missing((row(80.0, A._replace(question="paper/one")),), answers) == []  # a scale that was never run


def test_there_are_a_dozen_rows_with_sources_and_differences():
    assert len(ROWS) >= 12
    assert len({one.what for one in ROWS}) == len(ROWS)
    assert {one.settings for one in ROWS} == {"same", "near", "other"}
    assert all(one.claim for one in ROWS if one.value is None)
