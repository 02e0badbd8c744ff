"""NeuroBench's complexity metrics of the classifiers of `studies.spoken_digits`, event-based and on a grid."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import stablespike as ss
from stablespike.learning.classify import Classification
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
from studies.spoken_digits import signals_of


class Complexity(NamedTuple):
    """Metrics of a network on given trials; operations and hidden spikes per trial, `footprint` in bytes."""

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    dense: float
    hidden_spikes: float


def _complexity(
    network: ss.Network, weights: Any, sparsity: float, operations: Operations, spikes: float
) -> Complexity:
    return Complexity(footprint(network), connection_sparsity(weights), sparsity, *operations, spikes)


def event_complexity(loss: Classification, network: ss.Network, spikes: ss.Spikes, steps: int) -> Complexity:
    """Of a feed-forward event-based network; what needs steps (dense operations, sparsity) is that of so many steps."""
    if any(layer.loop is not None for layer in network.layers):
        raise ValueError("event_complexity counts feed-forward networks only: this one is recurrent.")
    matrices = [np.asarray(layer.inputs.weights) for layer in network.layers]
    hidden = [np.asarray(one, float) for one in _event_counts(loss, network, spikes)]
    counts = [np.asarray(_input_counts(spikes, network.channels)), *hidden]
    operations = event_operations(counts, matrices, steps)
    per_trial = float(sum(one.sum(1).mean() for one in hidden))
    return _complexity(network, matrices, event_sparsity(hidden, steps), operations, per_trial)


@eqx.filter_jit
def _event_counts(loss: Any, network: ss.Network, spikes: ss.Spikes) -> list[Array]:
    return [trains.counts for trains in loss.run(network, spikes).layers[:-1]]


def _input_counts(spikes: ss.Spikes, channels: int) -> Float[Array, "trials channels"]:
    def one(trial: ss.Spikes) -> Array:
        return jnp.zeros(channels).at[trial.sources].add(trial.real.astype(jnp.zeros(()).dtype))

    return jax.vmap(one)(spikes)


def grid_complexity(loss: Classification, network: ss.Network, spikes: ss.Spikes) -> Complexity:
    """Of a network on a grid, its layers with dense connections; a readout's numbers are no activations."""
    signals = np.asarray(signals_of(loss, spikes, network.channels))
    outputs = [np.asarray(one) for one in _grid_outputs(loss, network, spikes)]
    projections, below = [], signals
    for layer, output in zip(network.layers, outputs, strict=True):
        projections.append(Projection(below, np.asarray(layer.inputs.weights)))
        if layer.loop is not None:
            before = np.concatenate([np.zeros_like(output[:, :1]), output[:, :-1]], 1)
            projections.append(Projection(before, np.asarray(layer.loop.weights)))
        below = output
    matrices, hidden = [one.weights for one in projections], outputs[:-1]
    per_trial = float(sum(one.sum((1, 2)).mean() for one in hidden))
    return _complexity(network, matrices, activation_sparsity(hidden), synaptic_operations(projections), per_trial)


@eqx.filter_jit
def _grid_outputs(loss: Any, network: ss.Network, spikes: Any) -> list[Any]:
    return [trains.signals for trains in loss.run(network, spikes).layers]
