"""The README's examples run as they stand, and the paths that the README names exist."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_five_uses_run_one_after_the_other(capsys):
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert float(names["last_spike"](names["loop"])) == pytest.approx(0.9634062670690398, rel=1e-12)
    np.testing.assert_allclose(names["reversed_in_time"], names["recorded"], rtol=1e-10)
    assert float(np.abs(names["recorded"]).max()) > 0
    mean, surrogate = names["exact"].mean(0), names["stepped"].mean(0)
    assert mean[0] > 0
    np.testing.assert_allclose(surrogate, mean, rtol=0.1)
    assert names["history"][-1]["epoch"] == 2
    assert {"loss", "test_accuracy"} <= set(names["history"][-1])
    assert np.isfinite(names["spectrum"].exponents).all()
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("0.96340626")
    assert int(last) > 0


def test_one_import_of_the_package_does():
    assert sum("stablespike" in line for block in BLOCKS for line in block.splitlines() if "import" in line) == 1


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(path):
    if path.startswith("results/"):
        pytest.skip("results are made by a run")
    assert (ROOT / path).exists()
