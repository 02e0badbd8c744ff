"""Small networks in three trials by `simulate`, with the gradient of a sum over their spikes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import stablespike as ss

TIMES = np.array([[0.1, 0.3, 0.9, 0.9, 1.4], [0.0, 0.2, 0.25, 1.1, np.inf], [0.4, 0.5, 0.6, 1.0, 1.9]])
SOURCES = np.array([[0, 1, 0, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 1, 0]])
END, NEURONS = 2.5, 5
HOW = {"on": ss.Events(64), "gradient": ss.TimeReversed(checkpoints=3)}

CASES = {
    "LIF": (ss.LIF(1.0), 4.0),
    "QIF": (ss.QIF(1.0), 12.0),
    "Theta": (ss.Theta(1.0, 1.1), 4.0),
    "GeneralLIF": (ss.GeneralLIF(1.0, 0.3), 4.0),
}


def problem(name, loop):
    """A network of that neuron as a function of its weights, and these."""
    neuron, mean = CASES[name]
    rng = np.random.default_rng(3)
    weights = [jnp.asarray(rng.normal(mean, 1, (NEURONS, 2)))]
    weights.append(
        jnp.asarray(rng.normal(size=(NEURONS, NEURONS)) / 3 if loop else rng.normal(mean / 4, 1, (3, NEURONS)))
    )

    def network(neuron, weights):
        first, second = map(ss.Dense, weights)
        if loop:
            return ss.Network(ss.Layer(neuron, first, loop=second))
        return ss.Network(ss.Layer(neuron, first), ss.Layer(neuron, second))

    return neuron, weights, network


def values_and_gradients(name, loop):
    """Derivatives of a sum over spikes by (neuron,) weights and input times; spikes, counts and flags."""
    neuron, weights, network = problem(name, loop)

    def trial(neuron, weights, times, sources):
        run = ss.simulate(network(neuron, weights), ss.Spikes(times, sources), until=END, **HOW)
        return run.output.times, run.output.counts, run.status.flags

    def loss(neuron, weights, times):
        spikes, counts, flags = jax.vmap(trial, (None, None, 0, 0))(neuron, weights, times, SOURCES)
        there = jnp.isfinite(spikes)
        return jnp.sum(jnp.where(there, jnp.sin(jnp.where(there, spikes, 0)), 0)), (spikes, counts, flags)

    which = (0, 1, 2) if name == "GeneralLIF" else (1, 2)
    return jax.jit(jax.grad(loss, which, has_aux=True))(neuron, weights, jnp.asarray(TIMES))


SHORTEST, LONGEST = 0.3, 0.6  # delays


def delayed_problem(name):
    """Weights and delays of a recurrent network, and the sum over its spikes as a function of them."""
    neuron, mean = CASES[name]
    rng = np.random.default_rng(4)
    varied = [jnp.asarray(rng.normal(mean, 1, (NEURONS, 2))), jnp.asarray(rng.normal(size=(NEURONS, NEURONS)))]
    varied.append(jnp.asarray(rng.uniform(SHORTEST, LONGEST, NEURONS)))

    def trial(weights, loop, delays, times, sources):
        among = ss.Delayed(loop, delays, within=(SHORTEST, LONGEST))
        network = ss.Network(ss.Layer(neuron, ss.Dense(weights), loop=among))
        run = ss.simulate(network, ss.Spikes(times, sources), until=END, on=ss.Events(32), gradient=ss.TimeReversed())
        return run.output.times, run.output.counts, run.status.flags

    def loss(varied):
        found = jax.vmap(partial(trial, *varied))(jnp.asarray(TIMES), SOURCES)
        there = jnp.isfinite(found[0])
        return jnp.sum(jnp.where(there, jnp.sin(jnp.where(there, found[0], 0)), 0)), found

    return varied, loss
