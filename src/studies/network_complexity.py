"""NeuroBench's complexity metrics of the classifiers of `studies.spoken_digits`, event-based and on a grid."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stablespike.dynamics.grid.network import GridNetwork
from stablespike.dynamics.spikes import Spikes
from stablespike.stability.synaptic_operations import (
    Operations,
    Projection,
    activation_sparsity,
    connection_sparsity,
    event_operations,
    event_sparsity,
    footprint,
    synaptic_operations,
)
from studies.spoken_digits import EventClassification, GridClassification
from studies.surrogate_versus_exact import TwinWeights


class Complexity(NamedTuple):
    """Metrics of a network on given trials; operations and hidden spikes per trial, `footprint` in bytes."""

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense: float
    hidden_spikes: float


def _complexity(network, weights, sparsity: float, operations: Operations, spikes: float) -> Complexity:
    return Complexity(footprint(network), connection_sparsity(weights), sparsity, *operations, spikes)


def event_complexity(loss: EventClassification, weights: TwinWeights, spikes: Spikes, steps: int) -> Complexity:
    """Of a feed-forward event-based network; what needs steps (dense operations, sparsity) is that of so many steps."""
    if any(block is not None for block in weights.recurrent):
        raise ValueError("event_complexity counts feed-forward networks only: this one is recurrent.")
    matrices = [*map(np.asarray, weights.inputs), np.asarray(weights.readout)]
    hidden = [np.asarray(one) for one in _event_counts(loss, weights, spikes)]
    counts = [np.asarray(_input_counts(spikes, matrices[0].shape[1])), *hidden]
    operations = event_operations(counts, matrices, steps)
    per_trial = float(sum(one.sum(1).mean() for one in hidden))
    return _complexity(weights, matrices, event_sparsity(hidden, steps), operations, per_trial)


@eqx.filter_jit
def _event_counts(loss, weights, spikes):
    return jax.vmap(lambda one: loss.method(weights, one).counts)(spikes)


def _input_counts(spikes: Spikes, channels: int) -> Float[Array, "trials channels"]:
    def one(trial):
        return jnp.zeros(channels).at[trial.sources].add(trial.real.astype(jnp.zeros(()).dtype))

    return jax.vmap(one)(spikes)


def grid_complexity(loss: GridClassification, network: GridNetwork, spikes: Spikes) -> Complexity:
    """Of a network on a grid, its layers with dense connections; a readout's numbers are no activations."""
    signals = np.asarray(loss.signals(spikes, network.channels))
    outputs = [np.asarray(one) for one in _grid_outputs(loss, network, spikes)]
    projections, below = [], signals
    for layer, output in zip(network.layers, outputs, strict=True):
        projections.append(Projection(below, np.asarray(layer.inputs.weights)))
        if layer.recurrent is not None:
            before = np.concatenate([np.zeros_like(output[:, :1]), output[:, :-1]], 1)
            projections.append(Projection(before, np.asarray(layer.recurrent.weights)))
        below = output
    matrices, hidden = [one.weights for one in projections], outputs[:-1]
    per_trial = float(sum(one.sum((1, 2)).mean() for one in hidden))
    return _complexity(network, matrices, activation_sparsity(hidden), synaptic_operations(projections), per_trial)


@eqx.filter_jit
def _grid_outputs(loss, network, spikes):
    return loss.run(network, spikes).outputs
