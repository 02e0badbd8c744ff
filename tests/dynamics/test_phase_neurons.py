"""The two oscillators with delta pulses, theta and LIF with drive, against forty-digit arithmetic."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.dynamics import exact

from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF
from stablespike.dynamics.neurons.theta import Theta

TAU, DRIVE, THRESHOLD = 0.7, 1.6, 1.1
VOLTAGES = (-50.0, -1.0, 0.0, 1e-3, 0.5, 1.0, 40.0)
STEPS = (1e-6, 0.3, 2.0, 9.0)
LIF_VOLTAGES = (-5.0, 0.0, 1e-3, 0.9, THRESHOLD * (1 - 1e-9))


def theta_angle(state):
    return mp.atan2(exact.number(state[1]), exact.number(state[0]))


def turned(angle, dt, tau, drive):
    return angle - mp.sqrt(drive - mp.mpf(1) / 4) * dt / tau


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_theta_is_right_to_rounding(dtype):
    rounding = np.finfo(dtype).epsneg
    neuron = Theta(jnp.asarray(TAU, dtype), jnp.asarray(DRIVE, dtype))
    tau, drive = exact.number(neuron.membrane_time_constant), exact.number(neuron.drive)
    states = np.asarray(jax.vmap(neuron.initial_state)(jnp.asarray((-np.inf, *VOLTAGES, np.inf), dtype)))
    flow = jax.jit(jax.vmap(jax.vmap(neuron.flow, (None, 0)), (0, None)))
    moved = np.asarray(flow(states, np.asarray(STEPS, dtype)))
    times = np.asarray(jax.jit(jax.vmap(neuron.time_to_spike))(states))
    assert moved.dtype == times.dtype == dtype
    flow_units, time_units = [], []
    for state, row, time in zip(states, moved, times, strict=True):
        angle = theta_angle(state)
        for dt, result in zip(np.asarray(STEPS, dtype), row, strict=True):
            point = (angle, exact.number(dt), tau, drive)
            error = exact.on_circle(theta_angle(result) - turned(*point))
            flow_units.append(error / float(1 + exact.condition(turned, point)) / rounding)
        if time:
            true = tau / mp.sqrt(drive - mp.mpf(1) / 4) * angle
            condition = 2 + drive / (2 * drive - mp.mpf(1) / 2)
            time_units.append(float(abs(exact.number(time) - true) / true / condition) / rounding)
    print(f"theta, {np.dtype(dtype)}: flow {max(flow_units):.1f}, spike time {max(time_units):.1f} units of rounding")
    assert max(flow_units) <= 20
    assert max(time_units) <= 20


def test_theta_voltages_and_pulses_are_the_textbook_ones():
    """V after a free evolution that stays below the spike, and the spike time, by tan and arctan."""
    neuron = Theta(TAU, DRIVE)

    def voltage_after(x):
        return neuron.voltage(neuron.jump(neuron.flow(neuron.initial_state(x[0]), x[1]), x[2]))

    cases = jnp.asarray([(v, dt, w) for v in (-3.0, 0.0, 0.4) for dt in (0.01, 0.3) for w in (-0.7, 0.2)])
    values = jax.jit(jax.vmap(voltage_after))(cases)
    slopes = jax.jit(jax.vmap(jax.grad(voltage_after)))(cases)

    def true(voltage, dt, weight):
        return exact.theta_flow(voltage, dt, exact.number(TAU), exact.number(DRIVE)) + weight

    for case, value, slope in zip(np.asarray(cases), values, slopes, strict=True):
        np.testing.assert_allclose(value, float(true(*map(exact.number, case))), rtol=1e-13)
        assert exact.derivative_error(slope, exact.gradient(true, case)) <= 1e-11


def test_theta_spike_time_derivatives():
    def spike_time(x):
        return Theta(x[1], x[2]).time_to_spike(Theta(x[1], x[2]).initial_state(x[0]))

    cases = np.asarray([(v, TAU, DRIVE) for v in VOLTAGES])
    first = jax.jit(jax.vmap(jax.grad(spike_time)))(cases)
    second = jax.jit(jax.vmap(jax.hessian(spike_time)))(cases)
    for case, gradient, hessian in zip(cases, first, second, strict=True):
        assert exact.derivative_error(gradient, exact.gradient(exact.theta_spike_time, case)) <= 1e-11
        assert exact.derivative_error(hessian, exact.hessian(exact.theta_spike_time, case)) <= 1e-10


def test_theta_phase_and_state_are_inverse():
    neuron = Theta(TAU, DRIVE)
    phases = np.linspace(0.0, 1.0, 11) * neuron.period
    states = jax.jit(jax.vmap(neuron.state_at_phase))(phases)
    np.testing.assert_allclose(jax.jit(jax.vmap(neuron.phase))(states), phases, atol=1e-15)
    for phase in (0.0, neuron.period):  # a pulse at the spike or at the reset has no effect
        kicked = neuron.phase(neuron.jump(neuron.state_at_phase(phase), 3.0))
        np.testing.assert_allclose(kicked, phase, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_oscillatory_lif_is_right_to_rounding(dtype):
    rounding = np.finfo(dtype).epsneg
    parameters = [jnp.asarray(x, dtype) for x in (TAU, DRIVE, THRESHOLD)]
    neuron = OscillatoryLIF(*parameters)
    tau, drive, threshold = map(exact.number, parameters)
    states = np.asarray(LIF_VOLTAGES, dtype)[:, None]
    flow = jax.jit(jax.vmap(jax.vmap(neuron.flow, (None, 0)), (0, None)))
    moved = np.asarray(flow(states, np.asarray(STEPS, dtype)))
    times = np.asarray(jax.jit(jax.vmap(neuron.time_to_spike))(states))
    assert moved.dtype == times.dtype == dtype
    flow_units, time_units = [], []
    for state, row, time in zip(states, moved, times, strict=True):
        for dt, result in zip(np.asarray(STEPS, dtype), row, strict=True):
            point = (state[0], dt, tau, drive)
            flow_units.append(exact.units_of_rounding(result[0], exact.oscillatory_lif_flow, point, rounding))
        if state[0] < threshold:
            point = (state[0], tau, drive, threshold)
            time_units.append(exact.units_of_rounding(time, exact.oscillatory_lif_spike_time, point, rounding))
    print(f"oscillatory LIF, {np.dtype(dtype)}: flow {max(flow_units):.1f}, spike time {max(time_units):.1f} units")
    assert max(flow_units) <= 20
    assert max(time_units) <= 20


def test_oscillatory_lif_spike_time_derivatives():
    def spike_time(x):
        return OscillatoryLIF(*x[1:]).time_to_spike(x[:1])

    cases = np.asarray([(v, TAU, DRIVE, THRESHOLD) for v in LIF_VOLTAGES])
    first = jax.jit(jax.vmap(jax.grad(spike_time)))(cases)
    second = jax.jit(jax.vmap(jax.hessian(spike_time)))(cases)
    for case, gradient, hessian in zip(cases, first, second, strict=True):
        assert exact.derivative_error(gradient, exact.gradient(exact.oscillatory_lif_spike_time, case)) <= 1e-11
        assert exact.derivative_error(hessian, exact.hessian(exact.oscillatory_lif_spike_time, case)) <= 1e-10


def test_a_phase_of_the_oscillatory_neuron_is_the_time_since_its_reset():
    neuron = OscillatoryLIF(TAU, DRIVE, THRESHOLD)
    for phase in (0.0, 1e-9, 0.3 * neuron.period, 0.999 * neuron.period):
        state = neuron.state_at_phase(phase)
        np.testing.assert_allclose(neuron.phase(state), phase, rtol=1e-13)
        np.testing.assert_allclose(state, neuron.flow(neuron.initial_state(), phase), rtol=1e-14)
        np.testing.assert_allclose(neuron.time_to_spike(state), neuron.period - phase, rtol=1e-12)


def test_a_pulse_above_threshold_makes_it_spike_at_once():
    neuron = OscillatoryLIF(TAU, DRIVE, THRESHOLD)
    slope = jax.jit(jax.vmap(jax.value_and_grad(neuron.time_to_spike)))
    times, slopes = slope(jnp.asarray([[1.5], [THRESHOLD], [np.nextafter(THRESHOLD, 2)]]))
    np.testing.assert_array_equal(times, 0.0)
    crossing = -TAU / (DRIVE - THRESHOLD)
    np.testing.assert_allclose(slopes[:, 0], [0.0, crossing, crossing], rtol=1e-12)


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="drive must exceed 1/4"):
        Theta(1.0, 0.25)
    with pytest.raises(ValueError, match="membrane_time_constant"):
        Theta(0.0, 1.0)
    with pytest.raises(ValueError, match="drive must exceed threshold"):
        OscillatoryLIF(1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="threshold must lie above"):
        OscillatoryLIF(1.0, 1.0, -1.0)
