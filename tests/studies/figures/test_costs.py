"""Figures of cost fit on their page."""

import pandas as pd
import pytest

from stablespike.figures.products import save_figure
from studies.figures.costs import cost_compared_figure, engine_benchmarks_figure, gradient_cost_figure


def benchmarks():
    rows = {"workload": ["E, float32", "M, float64"], "time_ms": [5.0, 140.0], "control_ms": [200.0, 3000.0]}
    more = {"floor_ms": [0.3, 20.0], "memory_mib": [1.0, 36.0], "control_memory_mib": [50.0, 800.0]}
    return engine_benchmarks_figure(pd.DataFrame(rows | more))


def compared():
    rows = [("E", "control", 500.0), ("E", "stablespike", 50.0), ("E", "another 0.1.1", 140.0), ("S", "control", 110.0)]
    return cost_compared_figure(pd.DataFrame(rows, columns=["workload", "package", "time_ms"]))


def gradients():
    rules = [
        {
            "varied": varied,
            "rule": rule,
            "events": 1000 * k,
            "neurons": 50 * k,
            "duration": 15.0 * k,
            "time_ms": 3.0 * k,
        }
        | {"memory_mib": 2.0 * k, "floor_ms": 0.1 * k, "floor_mib": 0.2 * k}
        for varied in ("events", "neurons", "duration")
        for rule in ("recorded", "checkpointed", "time-reversed")
        for k in (1, 4)
    ]
    batches = [
        {"neuron": kind, "spikes_per_neuron": 3.0 * k, "relaxed_ms": k, "loop_ms": 5 * k, "scan_ms": 50 * k}
        for kind in ("theta", "QIF")
        for k in (1, 10)
    ]
    sizes = [
        {"neuron": kind, "neurons": n, "us_per_spike": 5.0, "floor_us": 0.5}
        | ({"control_per_s": 1e9 / n} if kind == "LIF" else {})
        for kind in ("LIF", "QIF")
        for n in (1000, 10000)
    ]
    return gradient_cost_figure(pd.DataFrame(rules), pd.DataFrame(batches), pd.DataFrame(sizes))


@pytest.mark.parametrize("draw", [benchmarks, compared, gradients])
def test_the_whole_figure_is_drawn_on_the_page(draw, tmp_path):
    figure = draw()
    save_figure(figure, tmp_path)
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
