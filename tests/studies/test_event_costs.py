"""The rules whose costs are compared give the same gradient, and the tables hold what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studies.benchmarks.event_costs import RULES, many_spikes_rows
from studies.benchmarks.harness import cost
from studies.benchmarks.sparse_costs import combination_rows, size_rows, slope
from studies.benchmarks.workloads import RECURRENT_END, driven_gradient, driven_network


def test_recorded_checkpointed_and_reversed_gradients_are_equal():
    problem = driven_network(jnp.float64, size=6, duration=6.0)
    found = []
    for rule in RULES.values():
        gradient, weights = driven_gradient(rule, problem, 6.0, max_events=60, trials=2)
        (_, flags), bars = jax.jit(gradient)(*weights)
        assert int(flags) == 0
        found.append(bars)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-10 * np.abs(one).max())


@pytest.mark.parametrize("bits", [32, 64])
def test_memory_beyond_the_list_of_spikes_is_constant(bits):
    """Benchmark R with its duration kept and more, smaller inputs: 12 or 20 bytes an event, and a constant."""
    dtype, beyond = {32: jnp.float32, 64: jnp.float64}[bits], []
    for rate, events in ((1, 1024), (6, 4096), (25, 15552)):
        problem = driven_network(dtype, rate=rate)
        gradient = driven_gradient(RULES["time-reversed"], problem, RECURRENT_END, max_events=events)
        found = cost(gradient, repeats=0)
        assert int(found.result[0][1]) == 0
        beyond.append(found.memory - (bits // 4 + 4) * events)
    assert max(beyond) <= 1.1 * min(beyond)
    assert min(beyond) < 8 * bits * problem[0].size * 10  # some states and matrices, no more


@pytest.mark.parametrize("rule", RULES)
def test_an_impossible_budget_is_refused(rule):
    network, states, inputs = driven_network(jnp.float64, size=3, duration=1.0)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        RULES[rule](network, states, inputs, 1.0, max_events=0)


@pytest.mark.slow
def test_rows_of_the_tables():
    (row,) = many_spikes_rows({"theta": [4.0]}, size=6, trials=2, repeats=1, scan=False, dtype=jnp.float64)
    assert row["spikes_per_neuron"] > 0.5
    assert row["sweeps"] >= row["windows"]
    rows = size_rows([150, 300], spikes=200, repeats=1)
    assert [one["neuron"] for one in rows] == ["LIF", "QIF"] * 2
    assert np.isfinite(slope(rows, "LIF")[0])
    combinations = combination_rows(300, spikes=300)
    assert len({(one["neuron"], one["heterogeneous"]) for one in combinations}) == 8
    assert all(one["with_gradient_per_s"] > 0 for one in combinations)
