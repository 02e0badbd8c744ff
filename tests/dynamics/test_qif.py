"""The QIF neuron against forty-digit arithmetic: currents of both signs through zero, all states of the circle."""

import functools
import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from tests.dynamics import exact

from stablespike.dynamics.neurons.qif import QIF

CURRENTS = (30.0, 5.0, 0.3, 1e-30, 0.0, -1e-30, -0.3, -5.0, -20.0)
STEPS = (1e-6, 0.5, 2.0, 6.0)
TAU = 0.7
UNITS = 20


def voltages(current):
    """Both infinities, both fixed points of U' = U^2 + I where there are any, and points around them."""
    root = np.sqrt(abs(current))
    return (-np.inf, -root, -0.4, 0.0, 0.5, root, 1.01 * root + 1e-9, 3.0, np.inf)


def states(dtype=np.float64):
    """Arrays n, d, I over the grid: points that are exact in `dtype`."""
    grid = [(voltage, current) for current in CURRENTS for voltage in voltages(current)]
    initial = jax.vmap(QIF().initial_state)
    state = initial(jnp.asarray([v for v, _ in grid], dtype), jnp.asarray([i for _, i in grid], dtype))
    return np.asarray(state)


@functools.cache
def compiled_flow():
    return jax.jit(jax.vmap(lambda state, dt, tau: QIF(tau).flow(state, dt)))


@functools.cache
def compiled_spike_time():
    return jax.jit(jax.vmap(lambda state, tau: QIF(tau).time_to_spike(state)))


def angle_of(state):
    return mp.atan2(exact.number(state[1]), exact.number(state[0]))


def flow_errors(dtype):
    """Error of angle and current in units of rounding times condition number, and plain error of the angle."""
    rounding = np.finfo(dtype).epsneg
    cases = list(itertools.product(states(dtype), np.asarray(STEPS, dtype)))
    tau = np.full(len(cases), TAU, dtype)
    results = np.asarray(compiled_flow()(np.stack([c[0] for c in cases]), np.asarray([c[1] for c in cases]), tau))
    assert results.dtype == dtype
    units, plain = [], []
    for (state, dt), result, one_tau in zip(cases, results, tau, strict=True):
        point = [angle_of(state), *map(exact.number, (state[2], dt, one_tau))]
        angle, current = exact.qif_flow(*point)
        bound = 1 + exact.condition(lambda *x: exact.qif_flow(*x)[0], point)
        error = exact.on_circle(angle_of(result) - angle)
        current_error = abs(exact.number(result[2]) - current) / max(abs(current), mp.mpf(10) ** -60)
        current_bound = 1 + 2 * point[2] / point[3]
        units.append(max(float(error / bound), float(current_error / current_bound)) / rounding)
        plain.append(error)
    return np.asarray(units), np.asarray(plain)


def spike_time_errors(dtype):
    rounding = np.finfo(dtype).epsneg
    grid = states(dtype)
    tau = np.full(len(grid), TAU, dtype)
    times = np.asarray(compiled_spike_time()(grid, tau))
    assert times.dtype == dtype
    units, plain = [], []
    for state, one_tau, time in zip(grid, tau, times, strict=True):
        point = [angle_of(state), exact.number(state[2]), exact.number(one_tau)]
        true = exact.qif_spike_time(*point)
        assert np.isinf(time) == mp.isinf(true), (state, time)
        if mp.isinf(true) or true == 0:
            assert time == float(true)
            continue
        relative = abs(exact.number(time) - true) / true
        units.append(float(relative / (1 + exact.condition(exact.qif_spike_time, point) / true)) / rounding)
        plain.append(float(relative))
    return np.asarray(units), np.asarray(plain)


def test_flow_is_right_to_rounding():
    units, _ = flow_errors(np.float64)
    print(f"largest error of the flow: {units.max():.1f} units of rounding x condition number")
    assert units.max() <= UNITS


def test_spike_time_is_right_to_rounding():
    units, _ = spike_time_errors(np.float64)
    print(f"largest error of the spike time: {units.max():.1f} units of rounding x condition, {units.size} spikes")
    assert units.size > 20
    assert units.max() <= UNITS


@pytest.mark.usefixtures("as_users_compile")
def test_float32_is_as_documented():
    """The figures that the class documentation states."""
    flow_units, flow_plain = flow_errors(np.float32)
    time_units, time_plain = spike_time_errors(np.float32)
    print(
        f"float32: flow {flow_units.max():.1f} units, median {np.median(flow_plain):.1e}, max {flow_plain.max():.1e};"
    )
    print(f"spike time {time_units.max():.1f} units, median {np.median(time_plain):.1e}, max {time_plain.max():.1e}")
    assert flow_units.max() <= 14
    assert flow_plain.max() <= 5.5e-6
    assert time_units.max() <= 2
    assert np.median(time_plain) <= np.finfo(np.float32).eps / 2  # it depends on what the processor contracts
    assert time_plain.max() <= 5e-7


def of_angle(function):
    """`function(state, ...)` as a function of the angle and the current."""
    return lambda angle, current, *rest: function(jnp.stack([jnp.cos(angle), jnp.sin(angle), current]), *rest)


def close(computed, true, curvature, point):
    """Relative error 1e-11, plus what 100 units of rounding in the arguments make of it."""
    allowed = 1e-11 * np.abs(true) + 100 * exact.ROUNDING * (np.abs(curvature) @ np.abs(point)) + 1e-300
    return np.abs(computed - true) <= allowed


def test_first_derivatives_of_the_flow():
    def angle_after(angle, current, dt, tau):
        state = of_angle(lambda state, dt, tau: QIF(tau).flow(state, dt))(angle, current, dt, tau)
        return jnp.arctan2(state[1], state[0])

    cases = np.asarray([
        (float(angle_of(state)), state[2], dt, TAU) for state in states() for dt in (0.4, 3.0)
    ])  # fmt: skip
    derivatives = jax.jit(jax.vmap(lambda x: jax.grad(lambda x: angle_after(*x))(x)))(cases)
    curvatures = jax.jit(jax.vmap(lambda x: jax.jacfwd(jax.grad(lambda x: angle_after(*x)))(x)))(cases)
    worst = 0.0
    for case, derivative, curvature in zip(cases, np.asarray(derivatives), np.asarray(curvatures), strict=True):
        true = exact.gradient(lambda *x: exact.qif_flow(*x)[0], case).astype(float)
        assert np.all(np.isfinite(derivative))
        assert np.all(close(derivative, true, curvature, case)), (case, derivative, true)
        worst = max(worst, np.linalg.norm(derivative - true) / np.linalg.norm(true))
    print(f"largest relative error of the derivatives of the flow: {worst:.1e}")


def spiking_cases():
    grid = states()
    times = np.asarray(compiled_spike_time()(grid, np.full(len(grid), TAU)))
    return np.asarray([(float(angle_of(s)), s[2], TAU) for s, t in zip(grid, times, strict=True) if np.isfinite(t)])


def test_first_and_second_derivatives_of_the_spike_time():
    def spike_time(x):
        return of_angle(lambda state, tau: QIF(tau).time_to_spike(state))(*x)

    cases = spiking_cases()
    first = np.asarray(jax.jit(jax.vmap(jax.grad(spike_time)))(cases))
    second = np.asarray(jax.jit(jax.vmap(jax.hessian(spike_time)))(cases))
    reverse_twice = np.asarray(jax.jit(jax.vmap(jax.jacrev(jax.grad(spike_time))))(cases))
    np.testing.assert_allclose(reverse_twice, second, rtol=1e-9, atol=1e-9)
    worst = [0.0, 0.0]
    for case, gradient, hessian in zip(cases, first, second, strict=True):
        true = exact.gradient(exact.qif_spike_time, case).astype(float)
        true_second = exact.hessian(exact.qif_spike_time, case).astype(float)
        assert np.all(close(gradient, true, true_second, case)), (case, gradient, true)
        scale = np.abs(true_second).max()
        worst[0] = max(worst[0], np.abs(gradient - true).max() / np.abs(true).max())
        worst[1] = max(worst[1], np.abs(hessian - true_second).max() / scale)
    print(f"largest relative error of first derivatives {worst[0]:.1e}, of second {worst[1]:.1e}")
    assert worst[0] <= 1e-11
    assert worst[1] <= 1e-10


def test_derivative_of_a_spike_that_is_due_is_finite():
    due = jnp.asarray([[1.0, 0.0, current] for current in (2.0, 0.0, -3.0)])
    np.testing.assert_array_equal(jax.jit(jax.vmap(QIF(TAU).time_to_spike))(due), 0.0)
    derivatives = jax.jit(jax.vmap(QIF(TAU).spike_time_derivative))(due)
    np.testing.assert_allclose(derivatives, [[0.0, TAU, 0.0]] * 3, atol=1e-16)


def test_several_spikes_of_one_input():
    """Spikes at u_1 + k pi/sqrt(I), reached by resetting at each; none is lost, none is added."""
    neuron, current = QIF(TAU), 200.0
    state, times, time = neuron.initial_state(0.3, current), [], 0.0
    for _ in range(6):
        wait = float(neuron.time_to_spike(state))
        if np.isinf(wait):
            break
        time += wait
        times.append(time)
        state = neuron.reset(neuron.flow(state, wait))
    root = mp.sqrt(current)
    coordinates = [(mp.atan2(root, mp.mpf(0.3)) + k * mp.pi) / root for k in range(6)]
    true = [float(-exact.number(TAU) * mp.log(1 - u)) for u in coordinates if u < 1]
    np.testing.assert_allclose(times, true, rtol=1e-14)


def test_backwards_is_the_inverse():
    grid = states()
    keep = np.abs(grid[:, 2]) < 6
    forward = compiled_flow()(grid[keep], np.full(keep.sum(), 0.4), np.full(keep.sum(), TAU))
    back = np.asarray(compiled_flow()(forward, np.full(keep.sum(), -0.4), np.full(keep.sum(), TAU)))
    cross = back[:, 0] * grid[keep, 1] - back[:, 1] * grid[keep, 0]
    np.testing.assert_allclose(cross, 0, atol=1e-13)
    np.testing.assert_allclose(back[:, 2], grid[keep, 2], rtol=1e-13)


@pytest.mark.parametrize("voltage", [1e200, -1e200, 1e-200])
def test_extreme_voltages_are_points_like_others(voltage):
    state = QIF().initial_state(voltage, 0.1)
    np.testing.assert_allclose(QIF().voltage(state), voltage, rtol=1e-14)
    assert np.all(np.isfinite(QIF().flow(state, 0.1)))


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        QIF(0.0)
    with pytest.raises(ValueError, match="must be positive"):
        QIF(jnp.asarray([1.0, -1.0]))
    with pytest.raises(ValueError, match="must be positive"):
        QIF(float("nan"))
