"""Equation grid_lif: I' = a I + W x + R s, V' = (b V + (1 - b) I')(1 - s), s' = H(V' - 1); a = b^2."""

import jax
import jax.numpy as jnp
import numpy as np

import stablespike as ss
from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, run_on_grid
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.surrogates import SuperSpike

TAU, DURATION, STEPS = 0.8, 2.0, 50


def by_hand(weight, loop, arrivals):
    """One neuron that inhibits or excites itself: its spikes, step by step."""
    dt = DURATION / STEPS
    a, b = np.exp(-2 * dt / TAU), np.exp(-dt / TAU)
    current = voltage = spike = 0.0
    spikes = np.zeros(STEPS)
    for k in range(STEPS):
        current = a * current + weight * arrivals[k] + loop * spike
        voltage = (b * voltage + (1 - b) * current) * (1 - spike)
        spike = spikes[k] = float(voltage >= 1)
    return spikes


def test_simulate_runs_this_equation():
    times, dt = jnp.asarray([0.05, 0.3, 0.31, 0.9, 1.5]), DURATION / STEPS
    for weight, loop in ((6.0, -1.0), (4.5, 0.7)):
        network = ss.Network(ss.Layer(ss.LIF(TAU), Dense(jnp.full((1, 1), weight)), Dense(jnp.full((1, 1), loop))))
        run = ss.simulate(network, Spikes(times, jnp.zeros(5, int)), DURATION, on=ss.Grid(dt))
        arrivals = np.bincount(np.floor(np.asarray(times) / dt).astype(int), minlength=STEPS)
        expected = by_hand(weight, loop, arrivals)
        assert expected.sum() > 2
        np.testing.assert_array_equal(run.output.signals[:, 0], expected)


def test_below_threshold_the_membrane_responds_as_the_geometric_sums_say():
    """V_k = (1 - b)(a^(k+1) - b^(k+1))/(a - b) after a spike of weight 1 in step 0."""
    cell, k = GridLIF(TAU, TAU / 2, 0.04), np.arange(1, 31)
    network = GridNetwork((Layer(cell, Dense(jnp.ones((1, 1)))),))
    voltage = run_on_grid(network, jnp.zeros((30, 1)).at[0].set(1)).cells[0].voltage[:, 0]
    a, b = np.exp(-2 * 0.04 / TAU), np.exp(-0.04 / TAU)
    np.testing.assert_allclose(voltage, (1 - b) * (a**k - b**k) / (a - b), rtol=1e-12)


def test_the_slope_in_place_of_the_step():
    v = jnp.asarray([-0.3, 0.0, 0.2])
    np.testing.assert_allclose(SuperSpike(7.0)(v), 1 / (1 + 7 * np.abs(v)) ** 2, rtol=1e-15)
    assert float(jax.vmap(SuperSpike(7.0))(v)[1]) == 1
