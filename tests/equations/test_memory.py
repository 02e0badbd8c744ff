"""Equation memory: a gradient of an exponent that hands on a part m of the trajectory's derivative weights what comes
over u steps by m^u.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.stability.flossing import Flossing, exponents_of_run

STEPS, START, STRENGTH = 12, 0.4, 2.9


def by_lags(strength):
    """Derivative of mean ln|strength cos x| along x <- strength sin x, apart by the steps that it comes over."""
    x, lags, sources = START, np.zeros(STEPS + 1), []
    for _ in range(STEPS):
        lags[0] += 1 / strength
        for place, reached in enumerate(reversed(sources)):
            lags[place + 1] += -np.tan(x) * reached
        jacobian = strength * np.cos(x)
        sources = [jacobian * reached for reached in sources] + [np.sin(x)]
        x = strength * np.sin(x)
    return lags / STEPS


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.9, 1.0])
def test_gradient_is_the_sum_over_lags_with_powers_of_the_memory(memory):
    def exponent(strength):
        flossing = Flossing(1, memory=memory)
        step = lambda x, _: strength * jnp.sin(x)  # noqa: E731
        return exponents_of_run(flossing, step, jnp.array([START]), None, jax.random.key(0), STEPS)[0][0]

    expected = by_lags(STRENGTH) @ memory ** np.arange(STEPS + 1)
    np.testing.assert_allclose(jax.grad(exponent)(STRENGTH), expected, rtol=1e-9)


def test_without_memory_only_the_jacobian_itself_is_left_and_in_full_the_gradient_is_exact():
    lags = by_lags(STRENGTH)
    small = 1e-6
    ends = [np.mean([np.log(abs(s * np.cos(x))) for x in orbit(s)]) for s in (STRENGTH - small, STRENGTH + small)]
    np.testing.assert_allclose(lags.sum(), (ends[1] - ends[0]) / (2 * small), rtol=1e-4)
    np.testing.assert_allclose(lags[0], 1 / STRENGTH)


def orbit(strength):
    """The states before each step."""
    x = START
    for _ in range(STEPS):
        yield x
        x = strength * np.sin(x)


MAP = jnp.array([[1.1, -0.7], [0.9, 0.6]])
PLANE_START, PLANE_STEPS = jnp.array([0.3, -0.5]), 7


def plane(x, strength):
    """One step of a map of the plane: x <- strength tanh(A x)."""
    return strength * jnp.tanh(MAP @ x)


def exponents_at(states, strength):
    """Both exponents of a run by orthonormal frames, as a function of states and parameter that are given apart."""
    init = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (2, 2)).T)[0]  # that of the library for this key
    frame, growth = init, jnp.zeros(2)
    for x in states:
        frame, right = jnp.linalg.qr(jax.jacobian(plane)(x, strength) @ frame)
        growth += jnp.log(jnp.abs(jnp.diag(right)))
    return growth / len(states)


def by_the_equation(strength, memory):
    """The right side of the equation, with both partial derivatives at fixed states and through all frames."""
    states = [PLANE_START]
    for _ in range(PLANE_STEPS - 1):
        states.append(plane(states[-1], strength))
    direct = jax.jacobian(exponents_at, 1)(states, strength)
    through, total = jax.jacobian(exponents_at, 0)(states, strength), direct
    for t in range(1, PLANE_STEPS):
        reached = jnp.zeros(2)
        for u in range(1, t + 1):
            part = jax.jacobian(plane, 1)(states[t - u], strength)
            for v in range(t - u + 1, t):
                part = jax.jacobian(plane)(states[v], strength) @ part
            reached += memory**u * part
        total += through[t] @ reached
    return total


@pytest.mark.parametrize("memory", [0.0, 0.4, 1.0])
def test_in_two_dimensions_the_frames_carry_a_part_that_memory_does_not_damp(memory):
    def exponents(strength):
        flossing = Flossing(2, memory=memory)
        step = lambda x, _: plane(x, strength)  # noqa: E731
        return exponents_of_run(flossing, step, PLANE_START, None, jax.random.key(0), PLANE_STEPS)[0]

    expected = by_the_equation(1.7, memory)
    np.testing.assert_allclose(jax.jacobian(exponents)(1.7), expected, rtol=1e-8)


def test_in_two_dimensions_the_growth_of_a_step_depends_on_states_before_through_the_frame():
    states = [PLANE_START, plane(PLANE_START, 1.7)]

    def last_growth(first):
        return exponents_at([first, states[1]], 1.7) * 2 - exponents_at([first], 1.7)

    assert np.abs(jax.jacobian(last_growth)(states[0])).max() > 1e-2
