"""The figure of `parallel-in-time` shows what it is given, the same twice."""

import itertools

import pandas as pd

from stablespike.figures.products import save_figure
from studies.figures.parallel_in_time import parallel_in_time_figure


def drawn():
    rows = pd.DataFrame(
        itertools.product(["parallel", "native", "recorded"], ["longer", "denser"], [100, 1000]),
        columns=["engine", "kind", "inputs"],
    )
    rows = rows.assign(gradient_ms=0.01 * rows.inputs, memory_mib=1.0, depth=rows.inputs, largest=1e-14)
    return parallel_in_time_figure(rows, rows, rows)


def test_it_is_the_same_twice(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_figure(drawn(), tmp_path / name)
    assert (tmp_path / "one" / "figure.svg").read_bytes() == (tmp_path / "two" / "figure.svg").read_bytes()


def test_what_native_kernels_take_is_not_shown_as_memory():
    panels = drawn().axes
    assert len({line.get_color() for line in panels[0].lines}) == 3
    assert len({line.get_color() for line in panels[1].lines}) == 2
    assert [axes.get_xscale() for axes in panels] == ["log"] * 4
