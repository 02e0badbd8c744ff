"""Random cases of fixed seeds end in a result or in a sentence of ours, never otherwise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults import fuzz_configuration
from tests.faults.outcomes import Said, counted, table, told

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", sorted(fuzz_configuration.KINDS))
def test_configurations(monkeypatch, kind):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("STABLESPIKE_DATA", raising=False)
    outcomes = fuzz_configuration.fuzz(300, 0, kind)
    assert {found.kind for found in outcomes} == {"result", "sentence"}, table(kind, outcomes)


FUZZES = {
    "parts": ["tests.faults.fuzz_library", "600", "--kinds", "parts"],
    "gradients": ["tests.faults.fuzz_gradients", "120", "recurrent LIF", "grid of sparse"],
}


@pytest.mark.parametrize("kind", FUZZES)
def test_parts_of_networks_and_gradients(kind):
    """In a process without the type checks of the tests, which would come before the sentences."""
    command = [sys.executable, "-m", *FUZZES[kind]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results, sentences = map(int, re.search(r"result (\d+), sentence (\d+)", done.stdout).groups())
    assert min(results, sentences) > (100 if kind == "parts" else 20)


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


def test_a_sentence_of_a_kernel_is_one_of_ours_and_a_message_of_xla_is_not():
    ours, foreign = "Rounding grows too much in this trial for its gradient: ask for less.", "Buffer has been deleted."

    def fail(text):
        raise ValueError(f"FAILED_PRECONDITION: {text}")

    with pytest.raises(Said, match="Rounding grows"):
        told(lambda: fail(ours), (ValueError,))
    with pytest.raises(RuntimeError, match=r"^foreign"):
        told(lambda: fail(foreign + " " * 30 + "."), (ValueError,))
