"""The README's examples run as they stand, and the paths that the README names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


EVENTS, GRID = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_example_on_a_grid_runs():
    names = {}
    exec(compile(GRID, "README.md", "exec"), names)
    gradient = names["jax"].grad(names["loss"])(names["weights"])
    assert float(names["loss"](names["weights"])) > 0
    assert float(names["jnp"].abs(gradient).max()) > 0


def test_example_runs(capsys):
    names = {}
    exec(compile(EVENTS, "README.md", "exec"), names)
    assert float(names["last_spike"](names["weights"])) == pytest.approx(0.9634062670690398, rel=1e-12)
    assert capsys.readouterr().out.startswith("0.96340626")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(path):
    if path.startswith("results/"):
        pytest.skip("results are made by a run")
    assert (ROOT / path).exists()
