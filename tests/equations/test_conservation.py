"""Equation conservation: without the reset in the derivative det D = (ab)^n, whatever weights, slopes and spikes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from stablespike.stability.lyapunov import lyapunov_spectrum, push_tangents
from stablespike.stability.surrogate_tangent import PUBLIC
from stablespike.tasks.poisson import poisson_spikes

NEURONS, CHANNELS, STEPS = 4, 6, 10
A, B = np.exp(-2 / STEPS), np.exp(-1 / STEPS)


@pytest.mark.parametrize(("strength", "sharpness"), [(1.0, 2.0), (6.0, 2.0), (6.0, 20.0)])
def test_all_exponents_add_up_to_the_same(strength, sharpness):
    rng = np.random.default_rng(0)
    inputs = ss.Dense(jnp.asarray(rng.normal(1.0, 1.0, (NEURONS, CHANNELS))))
    loop = ss.Dense(strength * jnp.asarray(rng.normal(size=(NEURONS, NEURONS))))
    network = ss.Network(ss.Layer(ss.LIF(1.0), inputs, loop=loop))
    on = ss.Grid(1 / STEPS, ss.SuperSpike(sharpness), reset=PUBLIC)
    step = ss.as_step(network, on=on, window=1 / STEPS)
    drives = step.drives(poisson_spikes(rng, 4.0, CHANNELS, 10.0), 100)
    _, rows = push_tangents(step, step.rest(), jax.tree.map(lambda leaf: leaf[0], drives), jnp.eye(2 * NEURONS))
    np.testing.assert_allclose(jnp.linalg.det(rows), (A * B) ** NEURONS, rtol=1e-12)
    found = lyapunov_spectrum(step, step.rest(), drives, count=2 * NEURONS, transient=20, key=jax.random.key(0))
    np.testing.assert_allclose(found.exponents.sum(), NEURONS * np.log(A * B), rtol=1e-10)
    assert np.ptp(found.exponents) > 0.05  # they differ, their sum does not
