"""Random cases of fixed seeds end in a result or in a sentence of ours, never otherwise."""

from pathlib import Path

import pytest
from tests.faults import fuzz_configuration
from tests.faults.outcomes import counted, table

ROOT = Path(__file__).parents[2]


def test_configurations(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("STABLESPIKE_DATA", raising=False)
    outcomes = fuzz_configuration.fuzz(400, seed=0)
    assert {found.kind for found in outcomes} == {"result", "sentence"}, table("configuration", outcomes)


def test_every_outcome_is_told_from_the_others(monkeypatch):
    monkeypatch.setattr("tests.faults.outcomes.SECONDS", 1)

    def fail(error):
        raise error

    def endless():
        while True:
            pass

    calls = [lambda: None, lambda: fail(ValueError("own.")), lambda: fail(TypeError("not")), lambda: "differs", endless]
    for expected, call in zip(("result", "sentence", "foreign", "wrong", "hang"), calls, strict=True):
        (found,) = counted(lambda _, call=call: ("a case", call), 1, 0, (ValueError,))
        assert found.kind == expected
    assert "foreign 1" in table("name", counted(lambda _: ("a case", calls[2]), 1, 0, (ValueError,)))
    with pytest.raises(KeyboardInterrupt):
        counted(lambda _: ("a case", lambda: fail(KeyboardInterrupt())), 1, 0, (ValueError,))
