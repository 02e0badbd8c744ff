"""The LIF neuron with exponential current against forty-digit arithmetic, grazing spikes included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.dynamics import exact

from stablespike.dynamics.neurons.lif import LIF

TAU, THRESHOLD = 0.7, 1.3
CURRENTS = (40.0, 6.0, 1e-30, 0.0, -1e-30, -0.3, -20.0)
VOLTAGES = (-7.0, -0.4, 0.0, 1e-3, 0.9, THRESHOLD * (1 - 1e-9))
STEPS = (1e-6, 0.03, 0.5, 2.0, 6.0)
GRID = np.asarray([(v, i) for v in VOLTAGES for i in CURRENTS])
GRAZING = 4 * THRESHOLD  # the current from rest whose voltage just touches the threshold

flow = jax.jit(jax.vmap(lambda state, dt, tau: LIF(tau, THRESHOLD).flow(state, dt)))
spike_time = jax.jit(jax.vmap(lambda state: LIF(TAU, THRESHOLD).time_to_spike(state)))


def spike_time_of(x):
    return LIF(x[3], x[2]).time_to_spike(x[:2])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_flow_is_right_to_rounding(dtype):
    states = np.repeat(GRID, len(STEPS), 0).astype(dtype)
    steps, tau = np.tile(np.asarray(STEPS, dtype), len(GRID)), np.full(len(states), TAU, dtype)
    results = np.asarray(flow(states, steps, tau))
    assert results.dtype == dtype
    units = [0.0]
    for state, dt, one_tau, result in zip(states, steps, tau, results, strict=True):
        for k in range(2):
            if not np.any(state[k:]):
                assert result[k] == 0
                continue
            point = (*state, dt, one_tau)
            true = lambda *x, k=k: exact.lif_flow(*x)[k]  # noqa: E731
            units.append(exact.units_of_rounding(result[k], true, point, np.finfo(dtype).epsneg))
    print(f"{np.dtype(dtype)}: flow {max(units):.1f} units of rounding x condition number")
    assert max(units) <= 20


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_spike_time_is_right_to_rounding(dtype):
    near = np.asarray([(0.0, GRAZING * (1 + delta)) for delta in (1e-1, 1e-4, 1e-6)])
    states = np.concatenate([GRID, near]).astype(dtype)
    tau, threshold = jnp.asarray(TAU, dtype), jnp.asarray(THRESHOLD, dtype)
    times = np.asarray(jax.jit(jax.vmap(LIF(tau, threshold).time_to_spike))(states))
    spikes, worst = 0, 0.0
    for state, time in zip(states, times, strict=True):
        point = [exact.number(x) for x in (*state, threshold, tau)]
        if state[0] >= threshold:  # rounded up to the threshold in float32
            assert time == 0
            continue
        true = exact.lif_spike_time(*point)
        assert np.isinf(time) == (true == exact.mp.inf)
        if np.isfinite(time):
            spikes += 1
            worst = max(worst, exact.units_of_rounding(time, exact.lif_spike_time, point, np.finfo(dtype).epsneg))
    print(f"{np.dtype(dtype)}: spike time {worst:.1f} units of rounding x condition number, {spikes} spikes")
    assert spikes >= 12
    assert worst <= 20


def test_derivatives_of_flow_and_spike_time():
    finite = GRID[np.isfinite(np.asarray(spike_time(GRID)))]
    cases = np.asarray([(*state, THRESHOLD, TAU) for state in finite] + [(0.0, 1.001 * GRAZING, THRESHOLD, TAU)])
    first = jax.jit(jax.vmap(jax.grad(spike_time_of)))(cases)
    second = jax.jit(jax.vmap(jax.hessian(spike_time_of)))(cases)
    errors = np.asarray([
        (
            exact.derivative_error(first[k], exact.gradient(exact.lif_spike_time, case)),
            exact.derivative_error(second[k], exact.hessian(exact.lif_spike_time, case)),
        )
        for k, case in enumerate(cases)
    ])  # fmt: skip
    print(f"spike time: first derivatives {errors[:, 0].max():.1e}, second {errors[:, 1].max():.1e}")
    assert errors[:-1, 0].max() <= 1e-11
    assert errors[-1, 0] <= 1e-9  # within a thousandth of grazing: the derivative of the derivative is large
    assert errors[:-1, 1].max() <= 1e-10

    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda x: LIF(x[3], THRESHOLD).flow(x[:2], x[2]))))
    flow_cases = np.asarray([(*state, dt, TAU) for state in GRID for dt in (0.03, 2.0)])
    computed = slopes(flow_cases)
    for case, jacobian in zip(flow_cases, computed, strict=True):
        for k in range(2):
            true = exact.gradient(lambda *x, k=k: exact.lif_flow(*x)[k], case)
            assert exact.derivative_error(jacobian[k], true) <= 1e-11


def test_from_threshold_on_it_spikes_at_once():
    states = jnp.asarray(
        [(v, i) for v in (2 * THRESHOLD, THRESHOLD, np.nextafter(THRESHOLD, 2)) for i in (-4.0, 0.0, 9.0)]
    )
    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(LIF(TAU, THRESHOLD).time_to_spike)))(states)
    np.testing.assert_array_equal(times, 0.0)
    np.testing.assert_array_equal(slopes[:3], 0.0)  # well above: the time is fixed
    np.testing.assert_allclose(slopes[jnp.asarray([5, 8]), 0], -TAU / (9.0 - THRESHOLD), rtol=1e-12)


def test_grazing_spike_appears_with_infinite_slope():
    """Just above the grazing current dt/dI = -c (I - I_min)^(-1/2); below there is no spike, no NaN, no gradient."""
    excess = np.asarray([1e-4, 1e-6, 1e-8])
    states = jnp.stack([jnp.zeros(3), GRAZING * (1 + excess)], 1)
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(LIF(TAU, THRESHOLD).time_to_spike)))(states))[:, 1]
    np.testing.assert_allclose(slopes[1:] / slopes[:-1], 10.0, rtol=2e-2)
    below = jnp.asarray([0.0, GRAZING * (1 - 1e-9)])
    time, slope = jax.jit(jax.value_and_grad(LIF(TAU, THRESHOLD).time_to_spike))(below)
    assert np.isinf(time)
    np.testing.assert_array_equal(slope, 0.0)


def test_backwards_is_the_inverse():
    tau, dt = np.full(len(GRID), TAU), np.full(len(GRID), 0.4)
    back = flow(flow(GRID, dt, tau), -dt, tau)
    np.testing.assert_allclose(back, GRID, rtol=1e-13, atol=1e-13)


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="membrane_time_constant must be positive"):
        LIF(-1.0)
    with pytest.raises(ValueError, match="threshold must lie above"):
        LIF(1.0, 0.0)
