"""The series of the QIF neuron over short steps, several neurons to an instruction, are its lines to rounding."""

import numpy as np
import pytest
from numba import njit

from stablespike.dynamics.neurons.qif import QIF
from stablespike.native.events.adjoint import unflow_each, unflow_qif
from stablespike.native.overrides import qif
from stablespike.native.overrides.lines import propagator
from stablespike.native.overrides.short_steps import SMALL, all_small, short_sweep, short_unflow
from stablespike.native.windows.forward import sweep_plainly

NEURONS, TAU = 300, 0.02


@njit
def smallness(constants, currents, u):
    return all_small(constants, currents, u)


@njit
def swept(constants, state, one, other, dt):
    s, u = propagator(constants, dt)
    return short_sweep(constants, state, one, s, u), sweep_plainly(constants, state, other, dt)


@njit
def by_series(constants, state, bars, dt):
    return short_unflow(constants, state, bars, dt)


@njit
def by_lines(constants, state, bars, dt):
    return unflow_each(constants, state, bars, dt)


@njit
def by_either(constants, state, bars, dt):
    return unflow_qif(constants, state, bars, dt)


def constants_of(dtype):
    return qif.unpack(np.asarray(qif.derive(QIF(TAU), dtype)))


def drawn(dtype, u):
    """States at length one whose |z| reaches up to 0.1 on both sides, and cotangents."""
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, np.pi, NEURONS)
    current = np.linspace(-0.999, 0.999, NEURONS) * SMALL / u**2
    state = np.stack([np.cos(angle), np.sin(angle), current]).astype(dtype)
    return state, generator.normal(size=(3, NEURONS)).astype(dtype)


@pytest.mark.parametrize(("dtype", "units"), [(np.float64, 16), (np.float32, 16)])
@pytest.mark.parametrize("dt", [1e-6, 1e-4, 4e-3, 0.05])
def test_reversal_and_pull_back_are_those_of_the_lines(dtype, units, dt):
    constants, dt = constants_of(dtype), dtype(dt)
    back = np.expm1(float(dt) / TAU)
    state, bars = drawn(dtype, back)
    assert smallness(constants, state[2], dtype(back))
    one, one_bars, other, other_bars = state.copy(), bars.copy(), state.astype(float), bars.astype(float)
    assert by_series(constants, one, one_bars, dt)
    assert by_lines(constants_of(np.float64), other, other_bars, float(dt))
    scale = units * np.finfo(dtype).eps
    # a current is as large as 0.1/u^2: what it does to the angle is of order one, and so is its cotangent times it
    np.testing.assert_allclose(one[:2], other[:2], atol=scale * (1 + np.abs(other[2]).max() * back))
    np.testing.assert_allclose(one[2], other[2], rtol=scale)
    size = np.abs(other_bars).max(1)
    np.testing.assert_allclose(one_bars / size[:, None], other_bars / size[:, None], atol=4 * scale / min(1, back))


def test_a_sweep_is_that_of_the_lines():
    constants, dt = constants_of(np.float64), 2e-3
    state, _ = drawn(np.float64, -np.expm1(-dt / TAU))
    one, other = np.empty_like(state), np.empty_like(state)
    hits = swept(constants, state, one, other, dt)
    assert hits[0] == hits[1]
    np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15 * np.abs(other).max())


def test_larger_steps_go_by_the_lines_themselves():
    constants = constants_of(np.float64)
    state, bars = drawn(np.float64, np.expm1(0.1 / TAU))
    state[2, 7] *= 1.01 * SMALL / (abs(state[2, 7]) * np.expm1(0.1 / TAU) ** 2)
    assert not smallness(constants, state[2], np.expm1(0.1 / TAU))
    one, one_bars, other, other_bars = state.copy(), bars.copy(), state.copy(), bars.copy()
    assert by_either(constants, one, one_bars, 0.1) == by_lines(constants, other, other_bars, 0.1)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one_bars, other_bars)
