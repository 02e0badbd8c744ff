"""Equation qif_flow: maps compose by matrix product, have determinant 1 but for s, and carry on through spikes."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.stumpff import stumpff

TAU = 0.7


def matrix(current, dt):
    s, u = jnp.exp(-dt / TAU), -jnp.expm1(-dt / TAU)
    C, S = stumpff(0, current * u**2), stumpff(1, current * u**2)
    return jnp.asarray([[s * C, s * current * u * S], [-u * S, C]]), s


def test_determinant_and_composition():
    for current in (40.0, 0.0, -7.0):
        one, s = matrix(current, 0.3)
        two, _ = matrix(current * s**2, 0.5)
        whole, both = matrix(current, 0.8)
        np.testing.assert_allclose(jnp.linalg.det(whole), both, rtol=1e-12)
        np.testing.assert_allclose(two @ one, whole, rtol=1e-13, atol=1e-13)


def test_prefix_products_are_the_sequential_route_through_inputs_and_spikes():
    """An associative scan of the matrices gives the states, resets included, that steps and resets give."""
    neuron, random = QIF(TAU), np.random.default_rng(0)
    steps, weights = jnp.asarray(random.uniform(0.05, 0.4, 30)), jnp.asarray(random.uniform(-4, 16, 30))
    current, matrices, currents = jnp.asarray(0.0), [], []
    for dt, weight in zip(steps, weights, strict=True):
        one, s = matrix(current, dt)
        matrices.append(one)
        current = s**2 * current + weight
        currents.append(current)
    prefix = jax.lax.associative_scan(lambda a, b: b @ a, jnp.stack(matrices))

    def pass_interval(state, dt):
        def spike(carry):
            state, left, spikes = carry
            wait = neuron.time_to_spike(state)
            return neuron.reset(neuron.flow(state, wait)), left - wait, spikes + 1

        def before_the_end(carry):
            return neuron.time_to_spike(carry[0]) <= carry[1]

        state, left, spikes = jax.lax.while_loop(before_the_end, spike, (state, dt, 0))
        return neuron.flow(state, left), spikes

    def step(state, inputs):
        state, spikes = pass_interval(state, inputs[0])
        return neuron.jump(state, inputs[1]), (neuron.jump(state, inputs[1]), spikes)

    start = neuron.initial_state(0.2, 0.0)
    _, (states, spikes) = jax.jit(lambda: jax.lax.scan(step, start, (steps, weights)))()
    by_product = jnp.stack([m @ start[:2] for m in prefix])
    cross = states[:, 0] * by_product[:, 1] - states[:, 1] * by_product[:, 0]
    np.testing.assert_allclose(cross / np.linalg.norm(by_product, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(states[:, 2], currents, rtol=1e-12)
    assert int(spikes.sum()) >= 5
    parity = np.sign(by_product[:, 1]) == np.where(np.cumsum(spikes) % 2, -1, 1)
    assert np.all(parity)  # each spike turns the sign of d
