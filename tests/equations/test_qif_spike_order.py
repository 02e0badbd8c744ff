"""An input Delta before the own spike shifts it by -w Delta^3/(3 tau^2): C^2 across changes of order."""

import jax
import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.neurons.theta import Theta
from stablespike.dynamics.spikes import Spikes

TAU = 0.7


def spike_time(neuron, state, lead, weight):
    """Time of the spike if an input comes `lead` before it would come without; earlier only (lead > 0)."""
    wait = neuron.time_to_spike(state)
    moved = neuron.jump(neuron.flow(state, wait - lead), weight)
    return neuron.time_to_spike(moved) - lead


def test_cubic_law():
    leads, weight = jnp.asarray([3e-3, 1e-3]), 4.0
    neuron = QIF(TAU)
    for current in (5.0, -1.0):
        state = neuron.initial_state(3.0, current)
        shifts = jax.jit(jax.vmap(lambda lead, s=state: spike_time(neuron, s, lead, weight)))(leads)
        np.testing.assert_allclose(shifts / (-weight * leads**3 / (3 * TAU**2)), 1, atol=2e-2)


def test_theta_pulses_obey_a_square_law():
    """A pulse acts on V, not on I: the shift is -w Delta^2/tau, so theta spike times are C^1 only."""
    neuron, leads, weight = Theta(TAU, 1.25), jnp.asarray([3e-4, 1e-4]), 2.0
    state = neuron.initial_state(0.0)
    shifts = jax.jit(jax.vmap(lambda lead: spike_time(neuron, state, lead, weight)))(leads)
    np.testing.assert_allclose(shifts / (-weight * leads**2 / TAU), 1, atol=5e-3)


def test_a_network_is_twice_differentiable_where_two_spikes_swap():
    """Neuron 0 drives neuron 1; an input weight moves spike 0 across spike 1; first and second slopes have no jump."""
    weights = jnp.asarray([[0.0, 0.0], [9.0, 0.0]])
    inputs = Spikes(jnp.asarray([0.1]), jnp.asarray([0]))

    def spikes(e):
        net = Recurrent(QIF(TAU), weights, jnp.stack([8.0 + e, jnp.asarray(8.0)])[:, None])
        states = initial_states(QIF(TAU), jnp.zeros(2))
        return simulate(net, states, inputs, 2.0, max_events=16).spike_times(1)[:, 0]

    second = jax.jit(jax.vmap(lambda e: (spikes(e), jax.jacfwd(spikes)(e)[1], jax.jacfwd(jax.jacfwd(spikes))(e)[1])))
    times, slopes, curvatures = second(jnp.asarray([-1e-4, -1e-5, 0.0, 1e-5, 1e-4]))
    order = times[:, 0] < times[:, 1]
    assert not order[0]
    assert order[-1]
    np.testing.assert_allclose(slopes, 0, atol=1e-7)
    np.testing.assert_allclose(curvatures, 0, atol=2e-3)  # linear in e with a finite third derivative
    np.testing.assert_allclose(curvatures[2], 0, atol=1e-10)
    np.testing.assert_allclose(curvatures[4] / curvatures[3], 10, rtol=1e-2)
