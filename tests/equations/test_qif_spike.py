"""Equation qif_spike: the first zero of d, for currents of either sign."""

import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.qif import QIF

TAU = 0.7


def test_closed_forms():
    cases = (
        (0.3, 9.0, np.arctan2(3.0, 0.3) / 3),
        (-2.0, 9.0, np.arctan2(3.0, -2.0) / 3),
        (4.0, 0.0, 1 / 4),
        (4.0, -9.0, np.arctanh(3 / 4) / 3),
    )
    for voltage, current, u in cases:
        state = QIF(TAU).initial_state(voltage, current)
        time = QIF(TAU).time_to_spike(state)
        np.testing.assert_allclose(time, -TAU * np.log(1 - u), rtol=1e-14)
        np.testing.assert_allclose(QIF(TAU).flow(state, time)[1], 0, atol=1e-15)


def test_no_spike_from_below_the_unstable_fixed_point():
    for voltage in (2.99, 0.0, -3.0, -jnp.inf):
        assert np.isinf(QIF(TAU).time_to_spike(QIF(TAU).initial_state(voltage, -9.0)))


def test_series_around_zero_current():
    """u* = (1 - q/3 + q^2/5 - ...)/U0 with q = I0/U0^2, of either sign."""
    for current in (1e-4, -1e-4, 1e-12, -1e-12):
        q = current / 9
        u = (1 - q / 3 + q**2 / 5 - q**3 / 7) / 3
        time = QIF(TAU).time_to_spike(QIF(TAU).initial_state(3.0, current))
        np.testing.assert_allclose(time, -TAU * np.log1p(-u), rtol=1e-14)
        assert jnp.isfinite(time)
