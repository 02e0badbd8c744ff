"""The products in results/quick match code and configuration; a repository without them passes."""

from pathlib import Path

from workflow.stale import stale_products

ROOT = Path(__file__).parents[2]


def test_quick_products_are_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert stale_products("quick") == {}, "run ./reproduce, or see python -m workflow.stale"
