"""Steps of both kinds follow the simulations that they are made of, and their gradients what is known of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.grid.resets import ResetToZero, Unfelt
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.tasks.poisson import poisson_spikes
from studies.gradients_through_time import GradientGrowth, growth_of_gradients, growth_rate
from studies.surrogate_versus_exact import Exact, Surrogate, twin_weights
from studies.twin_steps import EventTwin, GridTwin, spikes_by_window, twin_spectrum

SIZE, CHANNELS, WINDOWS, KEY = 4, 3, 5, jax.random.key(0)
WEIGHTS = twin_weights(KEY, CHANNELS, (SIZE,), 1, mean=12.0, spread=3.0, loop=0.5)
SPIKES = poisson_spikes(np.random.default_rng(0), 1.0, CHANNELS, float(WINDOWS))
EVENTS, GRID = EventTwin(LIF(1.0), 1.0, 64, 16), GridTwin(1.0, 1.0, 20, 10.0, Unfelt(ResetToZero()))


def run(twin):
    step, state = twin.begin(WEIGHTS)
    return jax.lax.scan(lambda s, d: (step(s, d), None), state, twin.drives(SPIKES, CHANNELS, WINDOWS))[0]


def test_windows_make_up_the_run_of_the_simulators():
    exact = Exact(LIF(1.0), float(WINDOWS), capacity=40)(WEIGHTS, SPIKES)
    grid = Surrogate(1.0, float(WINDOWS), 20 * WINDOWS)(WEIGHTS, SPIKES)
    assert int(run(EVENTS).spikes) == int(exact.counts[0].sum()) > 0
    assert int(run(GRID).spikes) == int(grid.counts[0].sum()) > 0


def test_gradients_of_the_public_convention_obey_its_conservation_law():
    growth = growth_of_gradients(GRID, WEIGHTS, SPIKES, WINDOWS)
    np.testing.assert_allclose(np.log(growth.singular).sum(1), -3 * SIZE * growth.delays, rtol=1e-9)  # n ln(ab) per tau
    np.testing.assert_allclose(growth.norm**2 * 2 * SIZE, (growth.singular**2).sum(1), rtol=1e-12)
    assert np.all((growth.dimension >= 1) & (growth.dimension <= 2 * SIZE))
    spectrum, rate = twin_spectrum(GRID, WEIGHTS, SPIKES, WINDOWS, transient=1, count=2 * SIZE, key=KEY, blocks=2)
    np.testing.assert_allclose(spectrum.exponents.sum(), -3 * SIZE, rtol=1e-9)
    assert rate == growth.rate > 0


def test_backward_and_forward_mode_see_the_same_jacobian():
    """Exponents of the whole run without a transient sum to the log volume, which singular values give backwards."""
    growth = growth_of_gradients(EVENTS, WEIGHTS, SPIKES, WINDOWS)
    found, _ = twin_spectrum(EVENTS, WEIGHTS, SPIKES, WINDOWS, transient=0, count=2 * SIZE, key=KEY, blocks=2)
    np.testing.assert_allclose(found.exponents.sum() * WINDOWS, np.log(growth.singular[-1]).sum(), rtol=1e-8)


def test_growth_rate_is_the_slope():
    delays = np.arange(1.0, 9.0)
    growth = GradientGrowth(delays, np.exp(0.3 * delays - (delays < 3)), delays, delays[:, None], 1.0)
    assert growth_rate(growth, 3.0) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="leaves fewer than two"):
        growth_rate(growth, 8.0)


def test_bad_runs_are_named():
    with pytest.raises(ValueError, match="more than its room of 1"):
        spikes_by_window(SPIKES, 1.0, WINDOWS, 1)
    with pytest.raises(ValueError, match="is silent"):
        growth_of_gradients(GRID, WEIGHTS, Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int)), WINDOWS)
    with pytest.raises(SimulationError, match="budget of 32 was exhausted"):
        growth_of_gradients(EventTwin(LIF(1.0), 5.0, 32, 64), WEIGHTS, SPIKES, 1)
