"""Why the spike timing of `surrogate-versus-exact`, learned without pseudospikes, comes to a halt."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import stablespike as ss
from stablespike.tasks.poisson import poisson_spikes
from studies.loss_landscapes import NEURONS
from studies.surrogate_versus_exact import Method, SpikeTiming, random_network, stacked, voltages

TARGETS = ((1.5, 3.0, 4.5), (2.0, 4.0), (1.0, 2.5))  # as there, and all that follows
UNTIL, CHANNELS, SIZE, RATE, LEARNING_RATE = 5.0, 20, 40, 0.5, 5e-3


def halted_rows(neuron: str, seed: int, steps: int, every: int) -> pd.DataFrame:
    """The first neurons while they are trained as in `surrogate-versus-exact-training`, by exact gradients.

    A row each `every` steps: `distance` of the trains, `owed` spikes (targets without a spike of their number),
    `silent` neurons among those with targets, `deaf` ones, whose weights have a gradient of exactly 0, and the part of
    the distance that is of neurons that owe spikes (`theirs`).
    """
    most = max(map(len, TARGETS))
    targets = jnp.asarray([[*row, *[np.inf] * (most - len(row))] for row in TARGETS])
    method = Method(UNTIL, ss.Events(budget=40))
    trial = poisson_spikes(np.random.default_rng(1), RATE, CHANNELS, UNTIL, room=100)
    weights = {"mean": 4.0, "spread": 2.5, "loop": 0.5}
    network = random_network(jax.random.key(seed), NEURONS[neuron], CHANNELS, (SIZE,), **weights)
    loss = SpikeTiming(method, targets)
    init, update = ss.gradient_training(loss, optax.adam(LEARNING_RATE))
    state, rows, batch = init(network, jax.random.key(2000 + seed)), [], stacked([trial])
    gradient = eqx.filter_jit(jax.grad(lambda weights, network: loss(_with_inputs(network, weights), batch)[0]))
    for done in range(0, steps + 1, every):
        rows.append(
            {"neuron": neuron, "seed": seed, "step": done} | _measured(state.parameters, trial, targets, gradient)
        )
        if done < steps:
            state, _ = ss.descend(update, state, batch, steps=every, chunk=every)
    return pd.DataFrame(rows)


def _with_inputs(network: ss.Network, weights: Any) -> ss.Network:
    layer = network.layers[0]
    return ss.Network(ss.Layer(layer.neuron, ss.Dense(weights), layer.loop))


def _measured(network: ss.Network, trial: ss.Spikes, targets: Any, gradient: Any) -> dict[str, Any]:
    sent = ss.simulate(network, trial, UNTIL, on=ss.Events(40)).output
    wanted = np.isfinite(np.asarray(targets)).sum(1)
    counts = np.asarray(sent.counts)[: len(wanted)]
    at = jnp.linspace(0, UNTIL, 101)[1:]
    found = voltages(*sent.weighted(), 1.0, at)[: len(wanted)]
    sizes = jnp.isfinite(targets).astype(float)
    there = voltages(jnp.where(jnp.isfinite(targets), targets, 0), sizes, 1.0, at)
    apart = np.asarray(((found - there) ** 2).mean(1))
    slopes = np.asarray(gradient(network.layers[0].inputs.weights, network))[: len(wanted)]
    return {
        "distance": float(apart.mean() / (there**2).mean()),
        "owed": int(np.maximum(wanted - counts, 0).sum()),
        "silent": int((counts == 0).sum()),
        "deaf": int((slopes == 0).all(1).sum()),
        "theirs": float(apart[counts < wanted].sum() / apart.sum()),
    }
