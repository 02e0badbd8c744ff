"""The list of tests that `--fast` leaves out names tests that exist."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_is_left_out_exists_and_is_named_once():
    names = [line for line in (ROOT / "tests/slow.txt").read_text().splitlines() if not line.startswith("#")]
    assert names == sorted(set(names))
    for name in names:
        file, _, function = name.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text(), f"{name} is no test: take it off tests/slow.txt"
