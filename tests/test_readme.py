"""The README's example runs as it stands, and the paths that the README names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert float(names["last_spike"](names["weights"])) == pytest.approx(0.9634062670690398, rel=1e-12)
    assert capsys.readouterr().out.startswith("0.96340626")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(path):
    if path.startswith("results/"):
        pytest.skip("results are made by a run")
    assert (ROOT / path).exists()
