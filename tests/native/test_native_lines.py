"""The lines that neurons plug into the native kernels, pinned to the JAX classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba import njit

from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.native.overrides import lif, lines, qif, theta

CASES = [(Theta(1.3, 1.1), theta), (QIF(1.3), qif), (LIF(1.3, 0.7), lif)]
CURRENTS = [0.0, 1e-9, -1e-9, 2.0, -2.0, 20.0]


def constants_of(neuron, kernel):
    return kernel.unpack(np.asarray(kernel.derive(neuron, jnp.dtype("float64"))))


@njit
def sideways(constants, state, bar):
    """Cotangent of a state from that of the state scaled to length one."""
    factor = lines.scale_of(constants, state)
    return lines.scale(constants, lines.tangent(constants, lines.scale(constants, state, factor), bar), factor)


@njit
def through_lines(constants, state, dt, weight, bar):
    """Everything that the lines say about one state."""
    step = lines.propagator(constants, dt)
    after = lines.flow(constants, step, state)
    factor = lines.scale_of(constants, after)
    scaled = lines.scale(constants, after, factor)
    state_bar, dt_bar = lines.flow_pullback(constants, step, state, after, sideways(constants, after, bar))
    jumped = lines.jump(constants, state, weight)
    height = lines.scale_of(constants, jumped)
    jump_bars = lines.jump_pullback(constants, state, weight, sideways(constants, jumped, bar))
    back = lines.flow(constants, lines.propagator(constants, -dt), after)
    return (
        (scaled, state_bar, dt_bar, lines.scale(constants, jumped, height), *jump_bars),
        (lines.wait(constants, state), lines.wait_gradient(constants, state)),
        (
            lines.may_spike(constants, step, state, after),
            back,
            lines.power(constants, scaled, lines.tangent(constants, scaled, bar)),
        ),
    )


def unit(neuron, state):
    """State of length one where length has no meaning."""
    if isinstance(neuron, LIF):
        return state
    factor = jax.lax.rsqrt(state[0] ** 2 + state[1] ** 2)
    return jnp.concatenate([state[:2] * factor, state[2:]])


def random_state(neuron, rng):
    voltage = rng.uniform(-1, 0.7) if isinstance(neuron, LIF) else 3 * rng.normal()
    return np.asarray(neuron.initial_state(voltage, rng.choice(CURRENTS) * rng.uniform()))


@pytest.mark.parametrize(("neuron", "kernel"), CASES, ids=lambda one: type(one).__name__)
def test_values_and_pullbacks_are_those_of_the_class(neuron, kernel):
    rng = np.random.default_rng(0)
    constants = constants_of(neuron, kernel)

    @jax.jit
    def by_class(state, dt, weight, bar):
        after, flow_pull = jax.vjp(lambda *a: unit(neuron, neuron.flow(*a)), state, dt)
        jumped, jump_pull = jax.vjp(lambda *a: unit(neuron, neuron.jump(*a)), state, weight)
        wait, gradient = jax.value_and_grad(neuron.time_to_spike)(state)
        return (after, *flow_pull(bar), jumped, *jump_pull(bar)), (wait, gradient)

    for _ in range(300):
        state, dt, weight = random_state(neuron, rng), rng.uniform(0, 2), 3 * rng.normal()
        bar = rng.normal(size=state.size)
        smooth, spike, (may, back, power) = through_lines(constants, tuple(state), dt, weight, tuple(bar))
        expected, expected_spike = by_class(state, dt, weight, bar)
        for mine, theirs in zip(smooth, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=2e-14 * max(1, np.abs(theirs).max()))
        np.testing.assert_allclose(spike[0], expected_spike[0], rtol=1e-14)
        if np.isfinite(spike[0]):
            np.testing.assert_allclose(
                spike[1], expected_spike[1], rtol=1e-13, atol=1e-14 * np.abs(expected_spike[1]).max()
            )
        assert may or not expected_spike[0] <= dt
        np.testing.assert_allclose(unit(neuron, jnp.asarray(back)), unit(neuron, jnp.asarray(state)), atol=1e-11)
        np.testing.assert_allclose(power, smooth[2], rtol=1e-12, atol=1e-12)


@njit
def around_reset(constants, state, bar):
    after = lines.reset(constants, state)
    return (
        after,
        lines.unreset(constants, after),
        lines.reset_pullback(constants, state, bar),
        lines.distance(constants, after, after),
    )


@pytest.mark.parametrize(("neuron", "kernel"), CASES, ids=lambda one: type(one).__name__)
def test_reset_is_that_of_the_class_and_unreset_gives_the_spike_back(neuron, kernel):
    constants = constants_of(neuron, kernel)
    state = neuron.initial_state(0.5, 3.0)
    at_spike = unit(neuron, neuron.flow(state, neuron.time_to_spike(state)))
    bar = np.arange(1.0, state.size + 1)
    after, before, reset_bar, distance = around_reset(constants, tuple(np.asarray(at_spike)), tuple(bar))
    expected, pull = jax.vjp(neuron.reset, at_spike)
    np.testing.assert_allclose(after, expected, rtol=1e-15)
    np.testing.assert_allclose(before, at_spike, atol=1e-14)
    np.testing.assert_allclose(reset_bar, pull(jnp.asarray(bar))[0])
    assert distance == 0
