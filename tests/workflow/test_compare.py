"""Two machines' results, number by number: what is compared, what is visible, what cannot be compared."""

import json

import pytest

from workflow.compare import compare, lines
from workflow.faults import Fault


def put(root, question, numbers, *, processor, code="a"):
    folder = root / question
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "numbers.json").write_text(json.dumps(numbers))
    record = {"identity": {"code": code}, "lock": {"name": "cpu"}, "session": {"processor": processor}}
    (folder / "provenance.json").write_text(json.dumps(record))


def test_visible_differences_are_told_apart_from_rounding(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    nan = float("nan")
    put(one, "xor", {"accuracy": {"median": 0.9}, "rounding": 1.0, "lost": nan, "same": [1, True]}, processor="A")
    put(
        other,
        "xor",
        {"accuracy": {"median": 0.8}, "rounding": 1.0 + 1e-9, "lost": nan, "same": [1, False]},
        processor="B",
    )
    found = compare(one, other)
    assert found["processors"] == ["A", "B"]
    assert found["questions"]["xor"] == {"numbers": 4, "unequal": 2, "visible": {"accuracy.median": [0.9, 0.8]}}
    assert list(lines(found))[1:] == [
        "  xor: 2 of 4 numbers differ, 1 by more than 0.001",
        "    accuracy.median: 0.9 and 0.8",
    ]


def test_other_code_is_named_and_times_are_left_out(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for root, processor in ((one, "A"), (other, "B")):
        put(root, "digits", {"a": 1}, processor=processor)
        put(root, "xor", {"a": 1}, processor=processor, code=processor)
        put(root, "costs", {"ms": ord(processor)}, processor=processor)
    found = compare(one, other, without=["costs"])
    assert (list(found["questions"]), found["unlike"]) == (["digits"], ["xor"])


def test_what_cannot_be_compared_is_said_in_a_sentence(tmp_path):
    with pytest.raises(Fault, match="is not a folder of results"):
        compare(tmp_path / "none", tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    put(one, "xor", {"a": 1}, processor="A", code="a")
    put(other, "xor", {"a": 1}, processor="B", code="b")
    with pytest.raises(Fault, match="no results of the same code and parameters: xor"):
        compare(one, other)
    put(other, "xor", {"a": 1}, processor="B", code="a")
    put(one, "digits", {"a": 1}, processor="C")
    put(other, "digits", {"a": 1}, processor="B")
    with pytest.raises(Fault, match="on several processors"):
        compare(one, other)
