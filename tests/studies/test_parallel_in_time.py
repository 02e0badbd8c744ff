"""What is said of trials without a loop: the reference, the programs and the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.status import SimulationError
from studies.parallel_in_time import (
    EXACT,
    Task,
    cost_rows,
    depth_of,
    error_rows,
    layer_of,
    lowered,
    program_rows,
    reference,
    run,
)

TASK = Task(inputs=60, rate=10.0, neurons=3, seed=1)


def test_the_reference_has_the_spikes_of_the_engine_in_more_digits():
    counts, trains = reference(TASK)
    solution = run("parallel", TASK)
    np.testing.assert_array_equal(counts, solution.counts)
    for one, times in zip(trains, solution.times, strict=True):
        assert one.dtype == EXACT
        np.testing.assert_allclose(np.asarray(times[: len(one)]), one.astype(float), rtol=1e-13)


def test_both_engines_are_right_to_rounding():
    rows = error_rows(TASK, ["parallel", "native"])
    assert [row["engine"] for row in rows] == ["parallel", "native"]
    assert all(0 < row["largest"] < 1e-13 and row["spikes"] > 5 for row in rows)


def test_currents_are_those_that_are_asked_for():
    """In the stationary state, over many neurons, whatever the rate."""
    for rate in (5.0, 50.0):
        _, weights, _, inputs = layer_of(Task(4000, rate, 200, 2))
        pulses, times = np.asarray(weights).T[np.asarray(inputs.sources)], np.asarray(inputs.times)
        ends = times[-1] * np.arange(0.5, 1, 0.05)
        currents = [np.exp(-2 * (end - times[times <= end])) @ pulses[times <= end] for end in ends]
        assert np.mean(currents) == pytest.approx(2.0, abs=0.5)
        assert np.std(currents) == pytest.approx(2.4, rel=0.3)


def test_the_program_for_a_gpu_has_no_call_and_no_loop_over_inputs():
    few, many = (program_rows(TASK._replace(inputs=count), ["parallel", "recorded"]) for count in (60, 960))
    for rows in (few, many):
        assert rows[0]["calls"] == 0
        assert rows[0]["loops"] == 1  # over steps of Newton's method
    doublings = 4
    assert many[0]["depth"] - few[0]["depth"] < 150 * doublings
    assert many[1]["depth"] > 10 * few[1]["depth"]


def test_depth_of_a_program():
    def chain(x):
        y = x * 2 + 1
        z, _ = jax.lax.scan(lambda c, _: (jnp.sin(c) * 2, None), y, length=5)
        return z + x.sum()

    assert depth_of(jax.make_jaxpr(chain)(jnp.ones(3)).jaxpr) == 2 + 5 * 2 + 1


def test_loops_and_calls_of_a_program_are_found():
    def seen(x):
        return jax.lax.while_loop(lambda c: c.sum() < 3, lambda c: c + 1, jnp.linalg.qr(x)[1])

    found = lowered(seen, (jnp.eye(2),), "cpu")
    assert found.loops == 1
    assert found.calls >= 1


def test_rows_of_costs_say_how_far_gradients_are_apart():
    rows = cost_rows(TASK, ["parallel", "native", "recorded"], repeats=1)
    assert max(row["apart"] for row in rows) < 1e-12
    assert min(row["gradient_ms"] for row in rows) > 0


def test_a_run_that_fails_is_raised(monkeypatch):
    monkeypatch.setattr(Task, "budget", 1)
    with pytest.raises(SimulationError, match="budget of 1 was exhausted"):
        run("parallel", TASK)
