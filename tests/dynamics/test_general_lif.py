"""LIF neurons of any ratio of time constants."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.dynamics import exact

import stablespike as ss

RATIOS = (0.25, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 1.0005, 1.5, 2.0, 4.0, 8.0)
STATES = ((-1.0, 30.0), (0.2, 6.0), (0.9, 1.5), (0.0, -3.0), (0.5, 2.9))
STEPS = (1e-6, 0.1, 1.0, 5.0)
EPS = 2.0**-52
flow = jax.jit(lambda state, tau_s, dt: ss.GeneralLIF(1.0, tau_s).flow(state, dt))
spike = jax.jit(lambda state, tau_s: ss.GeneralLIF(1.0, tau_s).time_to_spike(state))


def exact_voltage(voltage, current, ratio, x):
    """V after x, and what its terms sum up to without their signs, in many digits."""
    part = x if ratio == 1 else (1 - mp.exp(-(ratio - 1) * x)) / (ratio - 1)
    return mp.exp(-x) * (voltage + current * part), mp.exp(-x) * (abs(voltage) + abs(current) * part)


@pytest.mark.parametrize("ratio", RATIOS)
def test_flow_and_spike_time_against_forty_digits(ratio):
    worst, worst_time = 0.0, 0.0
    with mp.workdps(40):
        tau_s = 1 / ratio
        r = 1 / exact.number(tau_s)
        for state in STATES:
            v, i = map(exact.number, state)
            for dt in STEPS:
                found, (value, size) = flow(jnp.asarray(state), tau_s, dt), exact_voltage(v, i, r, exact.number(dt))
                condition = size * (1 + dt * (1 + ratio))
                worst = max(worst, float(abs(exact.number(found[0]) - value) / condition) / EPS)
            time = float(spike(jnp.asarray(state), tau_s))
            x = exact.number(time) if np.isfinite(time) else mp.mpf(1)
            value, size = exact_voltage(v, i, r, x)
            speed = i * mp.exp(-r * x) - value
            if np.isfinite(time):
                error, condition = abs(value - 1), size * (1 + time * (1 + ratio)) + abs(speed) * time
                worst_time = max(worst_time, float(error / condition) / EPS)
                assert speed > 0
    print(f"r = {ratio}: {worst:.1f} and {worst_time:.1f} units of rounding times condition")
    assert worst <= 8
    assert worst_time <= 8


def test_half_the_membrane_time_constant_is_the_lif():
    cases = jnp.asarray([(v, i) for v in (-1.0, 0.5, 0.99, 1.0, 1.2) for i in (30.0, 5.0, 2.0, 0.3, -1.0)])
    one, other = (
        jax.jit(jax.vmap(jax.value_and_grad(n.time_to_spike))) for n in (ss.LIF(0.7), ss.GeneralLIF(0.7, 0.35))
    )
    np.testing.assert_allclose(other(cases)[0], one(cases)[0], rtol=1e-13)
    np.testing.assert_allclose(other(cases)[1], one(cases)[1], rtol=1e-11, atol=1e-13)
    curved = [
        jax.jit(jax.vmap(jax.hessian(n.time_to_spike)))(cases[:3]) for n in (ss.LIF(0.7), ss.GeneralLIF(0.7, 0.35))
    ]
    np.testing.assert_allclose(curved[1], curved[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("tau_s", [0.25, 1.0, 1.0004])
def test_derivatives_in_all_parameters_are_those_of_differences(tau_s):
    def time(x):
        neuron = ss.GeneralLIF(x[0], x[1], x[2])
        return neuron.time_to_spike(neuron.flow(neuron.initial_state(x[3], x[4]), 0.05))

    point, step = jnp.asarray([1.0, tau_s, 0.8, 0.1, 8.0]), 1e-5
    value, slope = jax.jit(time), jax.jit(jax.grad(time))(point)
    differences = [(value(point.at[k].add(step)) - value(point.at[k].add(-step))) / (2 * step) for k in range(5)]
    assert np.isfinite(value(point))
    np.testing.assert_allclose(slope, differences, rtol=1e-7)


def test_a_silent_neuron_has_finite_derivatives():
    gradient = jax.grad(
        lambda tau: jnp.where(jnp.isfinite(t := ss.GeneralLIF(tau).time_to_spike(jnp.asarray([0.0, 1.0]))), t, 0)
    )
    assert gradient(1.0) == 0
    quiet = jax.grad(
        lambda tau: jnp.where(jnp.isfinite(t := ss.GeneralQIF(tau).time_to_spike(jnp.asarray([0.0, 1.0, 0.1]))), t, 0)
    )
    assert quiet(1.0) == 0
