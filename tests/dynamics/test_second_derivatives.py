"""Second derivatives of spike times agree in every combination of modes, also through loops and at current 0.

JAX forgets custom rules when the gradient of a loop is differentiated again: values must be differentiable as written.
"""

import jax
import jax.numpy as jnp
import pytest

from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.stumpff import stumpff
from stablespike.dynamics.neurons.theta import Theta

SECOND = {
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f)),
    "reverse over forward": lambda f: jax.grad(jax.jacfwd(f)),
    "reverse over reverse": lambda f: jax.grad(jax.grad(f)),
}


def looped(neuron, weight):
    """Spike time after an input at 0.1, from a loop in which every derivative is carried along."""

    def step(state, dt):
        return neuron.flow(state, dt), neuron.time_to_spike(state)

    state = neuron.jump(neuron.flow(neuron.initial_state(0.1, 0.0), jnp.array(0.1)), weight)
    final, waits = jax.lax.scan(step, state, jnp.array([0.0, 0.2, 0.0]))
    return waits[-1] + 0.1 * final[0]


@pytest.mark.parametrize("neuron", [QIF(1.0), LIF(1.0, 1.0), Theta(1.0, 1.0)], ids=lambda n: type(n).__name__)
def test_all_modes_agree_with_finite_differences(neuron):
    weight, step = jnp.array(7.0), 1e-4
    slope = jax.jit(jax.grad(lambda w: looped(neuron, w)))
    expected = float((slope(weight + step) - slope(weight - step)) / (2 * step))
    for name, second in SECOND.items():
        value = float(jax.jit(second(lambda w: looped(neuron, w)))(weight))
        assert value == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize("order", [0, 1])
def test_stumpff_at_zero_inside_a_loop(order):
    def carried(z):
        return jax.lax.scan(lambda c, _: (c, stumpff(order, c)), z, length=2)[1][-1]

    expected = {0: 1 / 12, 1: 1 / 60}[order]
    for name, second in SECOND.items():
        assert float(second(carried)(jnp.array(0.0))) == pytest.approx(expected, rel=1e-12), name
