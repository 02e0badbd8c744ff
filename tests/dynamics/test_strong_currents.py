"""QIF neurons under currents of any strength, by the class and by the native lines, against forty digits."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from numba import njit
from tests.dynamics import exact

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.general_qif import GeneralQIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import SimulationError
from stablespike.native.overrides import lines, qif

CURRENTS = {"float64": (-1e3, -1.3e5, -1e6, -1e12, -1e100), "float32": (-3e2, -1.5e3, -1e4, -1e8, -1e12, -1e20)}
STEPS = (-1.5, -1e-3, 1e-7, 0.01, 0.3, 2.0, 9.0)
ANGLES = (0.0, 0.3, 1.4, 2.5, np.pi)
UNITS = 20  # of rounding times condition number, as for ordinary currents


@njit
def native_flow(constants, state, dt):
    after = lines.flow(constants, lines.propagator(constants, dt), state)
    return lines.scale(constants, after, lines.scale_of(constants, after))


def cases(dtype):
    """States `[cases, 3]` and durations."""
    grid = [(angle, current, dt) for angle in ANGLES for current in CURRENTS[dtype] for dt in STEPS]
    states = np.asarray([(np.cos(angle), np.sin(angle), current) for angle, current, _ in grid], dtype)
    return states, np.asarray([dt for *_, dt in grid], dtype)


def by_class(dtype):
    states, steps = cases(dtype)
    return np.asarray(jax.jit(jax.vmap(QIF(jnp.ones((), dtype)).flow))(states, steps))


def by_lines(dtype):
    constants = qif.unpack(np.asarray(qif.derive(QIF(jnp.ones((), dtype)), jnp.dtype(dtype))))
    return np.asarray([native_flow(constants, tuple(state), dt) for state, dt in zip(*cases(dtype), strict=True)])


def angle_of(state):
    return mp.atan2(exact.number(state[1]), exact.number(state[0]))


@pytest.mark.parametrize("route", [by_class, by_lines])
@pytest.mark.parametrize("dtype", CURRENTS)
def test_flow_and_its_reversal_are_right_to_rounding(route, dtype):
    rounding, worst = np.finfo(dtype).epsneg, 0.0
    for state, dt, found in zip(*cases(dtype), route(dtype), strict=True):
        point = [angle_of(state), exact.number(state[2]), exact.number(dt)]
        angle, current = exact.qif_flow(*point, mp.mpf(1))
        bound = 1 + exact.condition(lambda *x: exact.qif_flow(*x, mp.mpf(1))[0], point)
        worst = max(worst, float(exact.on_circle(angle_of(found) - angle) / bound) / rounding)
        assert worst <= UNITS, (state, dt, found, float(angle))
        assert abs(found[2] - float(current)) <= 30 * rounding * abs(float(current))
    print(f"{route.__name__} {dtype}: largest error {worst:.1f} units of rounding x condition number")


@pytest.mark.parametrize("current", CURRENTS["float64"])
def test_voltage_and_its_derivatives_after_a_reset(current):
    """V -> -s r for u r >> 1, which is what a reset neuron comes to: relative to its own size."""
    point = [exact.number(current), mp.mpf(0.7)]

    def voltage(current, dt):
        s = mp.exp(-dt)
        C, uS = exact.propagator(current, 1 - s)
        return -s * C / uS

    def computed(current, dt):
        state = QIF(1.0).flow(jnp.stack([jnp.array(-1.0), jnp.array(0.0), current]), dt)
        return state[0] / state[1]

    value, found = jax.jit(jax.value_and_grad(computed, (0, 1)))(jnp.array(current), jnp.array(0.7))
    assert abs(value / float(voltage(*point)) - 1) <= 1e-14
    size = mp.sqrt(abs(point[0]))
    by_logarithm = (voltage(point[0] * (1 + mp.mpf(10) ** -20), point[1]) - voltage(*point)) * mp.mpf(10) ** 20
    slope = (voltage(point[0], point[1] + mp.mpf(10) ** -20) - voltage(*point)) * mp.mpf(10) ** 20
    np.testing.assert_allclose(float(found[0]) * current / float(size), float(by_logarithm / size), rtol=1e-11)
    np.testing.assert_allclose(float(found[1]) / float(size), float(slope / size), rtol=1e-11)


@pytest.mark.parametrize("dtype", CURRENTS)
def test_spike_times_and_their_derivatives(dtype):
    """Just above the unstable fixed point, at it, and far above."""
    rounding = np.finfo(dtype).eps
    for current in CURRENTS[dtype]:
        for part in (0.5, 0.9, 2.0):  # of the fixed point's d/n
            state = np.asarray([1, part / np.sqrt(-current), current], dtype)
            n, d, strong = map(exact.number, state)
            root = mp.sqrt(-strong)
            time, slopes = jax.value_and_grad(QIF(jnp.ones((), dtype)).time_to_spike)(jnp.asarray(state))
            if part > 1:
                assert np.isinf(time)
                continue
            u = mp.atanh(root * d / n) / root
            assert abs(exact.number(time) + mp.log1p(-u)) <= 20 * rounding * -mp.log1p(-u)
            true = 1 / (1 - (root * d / n) ** 2) / (1 - u)
            assert abs(exact.number(slopes[1]) / true - 1) <= 100 * rounding


def test_what_cannot_be_had_is_not_a_number():
    small = QIF(jnp.ones((), "float32"))
    state = small.flow(jnp.asarray([1, 0.1, -1e38], "float32"), jnp.asarray(0.5, "float32"))
    assert not np.all(np.isfinite(state))
    assert np.all(np.isnan(GeneralQIF(1.0, 0.7).flow(jnp.asarray([1.0, 0.1, -1e30]), 0.5)))


def test_a_strongly_inhibited_neuron_spikes_when_it_should():
    """The current that is left, and a pulse, decide; the state was (0, 0) here, and the spike came at any time."""
    network = Recurrent(QIF(1.0), jnp.zeros((1, 1)), jnp.asarray([[-2e6, 4e4]]))
    states = QIF(1.0).initial_state(0.3, 0.0)[None]
    inputs = Spikes(jnp.asarray([0.5, 2.5]), jnp.asarray([0, 1]))
    times = simulate(network, states, inputs, 3.0, max_events=64).spikes.times
    angle, current = exact.qif_flow(mp.atan2(1, mp.mpf(0.3)), mp.mpf(0), mp.mpf(0.5), mp.mpf(1))
    angle, current = exact.qif_flow(angle, current - 2_000_000, mp.mpf(2), mp.mpf(1))
    wait = exact.qif_spike_time(angle, current + 40_000, mp.mpf(1))
    assert abs(float(wait) + 2.5 - float(times[0])) <= 1e-13


def test_general_qif_has_the_same_flow_under_strong_inhibition():
    state = jnp.asarray([np.cos(1.1), np.sin(1.1), -3e5])
    one, other = QIF(1.0).flow(state, 0.6), GeneralQIF(1.0, 0.5).flow(state, 0.6)
    np.testing.assert_allclose(one, other, rtol=1e-11)


def test_the_error_is_a_sentence_in_a_network():
    network = Recurrent(QIF(1.0), jnp.zeros((1, 1)), jnp.asarray([[-1e300]]))
    inputs = Spikes(jnp.asarray([0.5]), jnp.zeros(1, int))
    with pytest.raises(SimulationError, match="not finite"):
        simulate(network, QIF(1.0).initial_state()[None], inputs, 1.0, max_events=4)
