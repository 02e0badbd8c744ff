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
