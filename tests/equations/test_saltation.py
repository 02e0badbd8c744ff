"""Equation saltation: an event's derivative is r + (r f_before - f_after) dt*, r being that of reset and jump."""

import jax
import jax.numpy as jnp
import numpy as np
from tests.equations.by_hand import START, TAU, WEIGHT, after, field, flow, of_time, reset, wait

import stablespike as ss

LENGTH = 0.3


def test_a_window_with_one_spike_is_flow_saltation_flow():
    loop = ss.Dense(jnp.array([[0.0, 0.0], [WEIGHT, 0.0]]))
    step = ss.as_step(ss.Network(ss.Layer(ss.LIF(TAU), ss.Dense(jnp.zeros((2, 1))), loop=loop)), window=LENGTH)
    rest, none = step.rest(), ss.Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int))

    def moved(coordinates):
        start = type(rest)(coordinates.reshape(2, 2), rest.spikes, rest.flags)
        return step(start, none).coordinates.ravel()

    time = wait(START, 0)
    before = flow(time) @ START
    assert time < LENGTH < time + wait(after(before, 0), 1)
    np.testing.assert_allclose(moved(jnp.asarray(START)), flow(LENGTH - time) @ after(before, 0), rtol=1e-12)
    lost = reset(0) @ field(before) - field(after(before, 0))
    saltation = reset(0) + np.outer(lost, of_time(before, 0))
    expected = flow(LENGTH - time) @ saltation @ flow(time)
    np.testing.assert_allclose(jax.jacfwd(moved)(jnp.asarray(START)), expected, rtol=1e-10, atol=1e-12)
