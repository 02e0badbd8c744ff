"""A few hundred odd and damaged files, the same every time: a result, or a sentence of ours, and nothing else."""

import collections

import pytest
from tests.tasks.fuzzing import run


def test_nothing_that_is_odd_breaks_or_passes_for_something_else():
    for name in ("h5py", "soundfile"):
        pytest.importorskip(name)
    cases = run("tests.tasks.fuzz_data", 500, seed=0)
    faults = [case for case in cases if case["outcome"] not in ("result", "sentence")]
    assert not faults, faults[:3]
    found = collections.Counter((case["kind"], case["outcome"]) for case in cases)
    assert len(found) >= 25  # every kind comes to both ends
