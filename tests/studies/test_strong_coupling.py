"""Strongly coupled networks: weights as they are said to be, growth as the exponent has it, pushes that come back."""

import numpy as np
import pytest

from stablespike.dynamics.status import SimulationError
from studies import strong_coupling as study

SMALL = study.Coupling(2.0, neurons=6)


def test_weights_have_the_mean_and_deviation_that_were_asked_for():
    one = study.Coupling(3.0, neurons=200, inhibition=1.0, deviation=0.5, present=0.25)
    layer = study.coupled_network(study.jax.random.key(0), "LIF", one).layers[0]
    weights = np.asarray(layer.loop.weights) * np.sqrt(200) / 3.0
    there = weights[weights != 0]
    assert (np.diagonal(weights) == 0).all()
    assert there.size / weights.size == pytest.approx(0.25, abs=0.01)
    assert there.mean() == pytest.approx(-1 / 0.25, rel=0.02)
    assert there.std() == pytest.approx(0.5 / 0.25, rel=0.02)
    current = np.asarray(layer.inputs.weights).mean() * one.rate * one.channels
    assert current == pytest.approx(8 + 3 * np.sqrt(200), rel=0.05)


@pytest.mark.parametrize("neuron", ["LIF", "QIF"])
def test_a_row_says_how_gradients_fare_and_a_runaway_why_it_has_none(neuron):
    run = {"windows": 12, "transient": 4, "delay": 6}
    row = study.row_of(neuron, SMALL, 1, budget=24, **run)
    assert row["reason"] == ""
    assert np.isfinite([row[name] for name in ("rate", "exponent", "error", "growth")]).all()
    assert row["norm"] > 0
    assert 0 <= row["positive"] <= 1
    assert 0 <= row["dimension"] <= 1
    lost = study.row_of(neuron, SMALL._replace(mean=1e5), 1, budget=24, **run)
    assert "budget" in lost["reason"]
    assert "exponent" not in lost


def test_a_push_is_forgotten_where_nothing_is_coupled():
    alone = study.Coupling(0.0, neurons=6, mean=0.0, spread=0.1)  # below threshold: currents decay, at rate 2 per tau
    options = {"transient": 2, "windows": 8, "budget": 4}
    rows = study.pushed("LIF", alone, 1, [1e-3, 1e-1], **options)
    assert len(rows) == 2 * study.DIRECTIONS
    for row in rows:
        assert row["distance"] < row["size"] * np.exp(-2 * 5)  # the last quarter begins after 6 tau
    near, far = (np.array([row["distance"] for row in rows if row["size"] == size]) for size in (1e-3, 1e-1))
    np.testing.assert_allclose(far, 100 * near, rtol=1e-6)  # linear


def test_pushed_runs_without_room_are_no_distances():
    with pytest.raises(SimulationError, match="budget"):
        study.pushed("LIF", SMALL._replace(mean=1e3), 1, [1e-3, 1e-1], transient=2, windows=8, budget=4)
