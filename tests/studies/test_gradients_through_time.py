"""Gradients of both kinds of network against the delay: what is known of them, and that two modes agree."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.dynamics.grid.resets import ResetToZero, Unfelt
from stablespike.tasks.poisson import poisson_spikes
from studies.gradients_through_time import GradientGrowth, growth_of_gradients, growth_rate
from studies.surrogate_versus_exact import random_network

SIZE, CHANNELS, WINDOWS, KEY = 4, 3, 5, jax.random.key(0)
NETWORK = random_network(KEY, ss.LIF(1.0), CHANNELS, (SIZE,), mean=12.0, spread=3.0, loop=0.5)
SPIKES = poisson_spikes(np.random.default_rng(0), 1.0, CHANNELS, float(WINDOWS))
EVENTS = ss.as_step(NETWORK, on=ss.Events(16), window=1.0)
GRID = ss.as_step(NETWORK, on=ss.Grid(0.05, ss.SuperSpike(10.0), Unfelt(ResetToZero())), window=1.0)


def spectrum(step, transient):
    return ss.lyapunov_spectrum(
        step, step.rest(), step.drives(SPIKES, WINDOWS), transient=transient, count=2 * SIZE, key=KEY, blocks=2,
        duration=step.duration,
    )  # fmt: skip


@pytest.mark.parametrize("step", [EVENTS, GRID], ids=["events", "grid"])
def test_windows_make_up_the_run_of_the_simulator(step):
    run = eqx.filter_jit(
        lambda: jax.lax.scan(lambda s, d: (step(s, d), None), step.rest(), step.drives(SPIKES, WINDOWS))
    )
    on = getattr(step, "on", ss.Events(64))
    counts = ss.simulate(NETWORK, SPIKES, float(WINDOWS), on=on).output.counts
    assert int(run()[0].spikes) == int(counts.sum()) > 0


def test_gradients_of_the_public_convention_obey_its_conservation_law():
    growth = growth_of_gradients(GRID, SPIKES, WINDOWS)
    np.testing.assert_allclose(np.log(growth.singular).sum(1), -3 * SIZE * growth.delays, rtol=1e-9)  # n ln(ab) per tau
    np.testing.assert_allclose(growth.norm**2 * 2 * SIZE, (growth.singular**2).sum(1), rtol=1e-12)
    assert np.all((growth.dimension >= 1) & (growth.dimension <= 2 * SIZE))
    found = spectrum(GRID, 1)
    np.testing.assert_allclose(found.exponents.sum(), -3 * SIZE, rtol=1e-9)
    assert GRID.require_ran(found.state.system, WINDOWS) == growth.rate > 0


def test_backward_and_forward_mode_see_the_same_jacobian():
    """Exponents of the whole run without a transient sum to the log volume, which singular values give backwards."""
    growth = growth_of_gradients(EVENTS, SPIKES, WINDOWS)
    found = spectrum(EVENTS, 0)
    np.testing.assert_allclose(found.exponents.sum() * WINDOWS, np.log(growth.singular[-1]).sum(), rtol=1e-8)


def test_growth_rate_is_the_slope():
    delays = np.arange(1.0, 9.0)
    growth = GradientGrowth(delays, np.exp(0.3 * delays - (delays < 3)), delays, delays[:, None], 1.0)
    assert growth_rate(growth, 3.0) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="leaves fewer than two"):
        growth_rate(growth, 8.0)


def test_bad_runs_are_named():
    nothing = ss.Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int))
    with pytest.raises(ValueError, match="is silent"):
        growth_of_gradients(GRID, nothing, WINDOWS)
    scarce = ss.as_step(NETWORK, on=ss.Events(2), window=5.0)
    with pytest.raises(ss.SimulationError, match="budget of 2 was exhausted"):
        growth_of_gradients(scarce, SPIKES, 1)


def test_exponents_of_bad_runs_are_refused():
    options = {"transient": 0, "count": 1, "key": KEY, "blocks": 2, "duration": GRID.duration}
    nothing = ss.Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int))
    with pytest.raises(ValueError, match="is silent"):
        ss.lyapunov_spectrum(GRID, GRID.rest(), GRID.drives(nothing, WINDOWS), **options)
    scarce = ss.as_step(NETWORK, on=ss.Events(1), window=2.5)
    with pytest.raises(ss.SimulationError, match="budget of 1 was exhausted"):
        ss.lyapunov_spectrum(scarce, scarce.rest(), scarce.drives(SPIKES, 2), **options)
