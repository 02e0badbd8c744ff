"""Equation adjoint: p <- r^T p + (dL/dt* + p (r f_before - f_after)) dt*/dstate, dL/dw = p_I of what was hit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.equations.by_hand import START, TAU, WEIGHT, after, field, flow, of_time, reset, wait

import stablespike as ss

UNTIL = 1.2


def backwards():
    """Gradients of the second neuron's first spike time in the state at the start and in the weight, by the adjoint."""
    first = wait(START, 0)
    at_first = flow(first) @ START
    second = wait(after(at_first, 0), 1)
    at_second = flow(second) @ after(at_first, 0)
    p, by_weight = np.zeros(4), 0.0
    for before, neuron, loss, ago in ((at_second, 1, 1.0, second), (at_first, 0, 0.0, first)):
        by_weight += p[3] if neuron == 0 else 0.0
        lost = reset(neuron) @ field(before) - field(after(before, neuron))
        p = reset(neuron).T @ p + (loss + p @ lost) * of_time(before, neuron)
        p = flow(ago).T @ p  # the flow, backwards
    return first + second, p, by_weight


@pytest.mark.parametrize("rule", [ss.TimeReversed(), ss.Recorded()])
def test_both_rules_give_this_adjoint(rule):
    def time(start, weight):
        loop = ss.Dense(jnp.array([[0.0, 0.0], [1.0, 0.0]]) * weight)
        network = ss.Network(ss.Layer(ss.LIF(TAU), ss.Dense(jnp.zeros((2, 1))), loop=loop))
        none = ss.Spikes(jnp.full(1, jnp.inf), jnp.zeros(1, int))
        run = ss.simulate(network, none, UNTIL, initial=start.reshape(2, 2), gradient=rule)
        return run.output.times[1, 0]

    expected, by_state, by_weight = backwards()
    value, found = jax.value_and_grad(time, argnums=(0, 1))(jnp.asarray(START), WEIGHT)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(found[0], by_state, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], by_weight, rtol=1e-9)
