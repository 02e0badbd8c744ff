"""NeuroBench's complexity metrics (Yik et al. 2025) of a network and what it did: footprint, sparsity, operations.

They count, they do not measure: what a count is worth in time or energy depends on the machine. All functions take
what was recorded, whatever simulated it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Num, PyTree

Weights = Num[Array | np.ndarray, "_ _"]  # [post, pre]


class Projection(NamedTuple):
    """Connections of one layer: what came in, `[trials, steps, pre]`, and the `weights` `[post, pre]`."""

    signals: Num[Array | np.ndarray, "trials steps pre"]
    weights: Weights


class Operations(NamedTuple):
    """Synaptic operations of a trial, mean over trials: additions, multiplications with addition, and all possible.

    An operation is effective if neither weight nor input is 0. It is an addition (`effective_acs`) where the inputs are
    -1, 0 or 1, else a multiplication with addition (`effective_macs`). `dense` counts every weight at every step.
    """

    effective_acs: float
    effective_macs: float
    dense: float


def footprint(network: PyTree) -> int:
    """Bytes of all arrays of a network: weights and parameters, without the state."""
    return sum(int(leaf.nbytes) for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))


def connection_sparsity(weights: Sequence[Weights]) -> float:
    """Part of all weights that are 0."""
    total = sum(one.size for one in weights)
    if not total:
        raise ValueError("A network without weights has no connection sparsity.")
    return 1 - sum(int(np.count_nonzero(one)) for one in weights) / total


def activation_sparsity(activations: Sequence[Num[Array | np.ndarray, "_ _ _"]]) -> float:
    """Part of the neurons' outputs, over layers, trials and steps, that are 0."""
    total = sum(one.size for one in activations)
    if not total:
        raise ValueError("A network without neurons, steps or trials has no activation sparsity.")
    return 1 - sum(int(np.count_nonzero(one)) for one in activations) / total


def synaptic_operations(projections: Sequence[Projection]) -> Operations:
    """Operations of a run on a time grid, summed over projections and steps, mean over trials.

    A step of a projection counts as additions if all its inputs in all trials are -1, 0 or 1, as NeuroBench has it.
    """
    trials = {len(one.signals) for one in projections}
    if len(trials) != 1 or not min(trials):
        raise ValueError(f"All projections need the same trials, at least one, not {sorted(trials)}.")
    added = multiplied = dense = 0
    for projection in projections:
        signals, weights = map(np.asarray, projection)
        if signals.shape[2] != weights.shape[1]:
            raise ValueError(f"Weights {list(weights.shape)} [post, pre] don't fit {signals.shape[2]} inputs.")
        effective = np.count_nonzero(signals, axis=0) @ np.count_nonzero(weights, axis=0)
        spiking = np.isin(signals, (-1, 0, 1)).all((0, 2))
        added += int(effective[spiking].sum())
        multiplied += int(effective[~spiking].sum())
        dense += signals.shape[0] * signals.shape[1] * weights.size
    count = trials.pop()
    return Operations(added / count, multiplied / count, dense / count)


def event_operations(
    counts: Sequence[Num[Array | np.ndarray, "_ _"]], weights: Sequence[Weights], steps: int
) -> Operations:
    """Operations of an event-based run, in which each of the `counts` spikes is added once per connection.

    Such a run has no steps; `dense` is that of a grid of so many, so that it can be set beside one.
    """
    if steps < 1:
        raise ValueError(f"Dense operations need at least one step, not {steps}.")
    per_trial = [np.asarray(one).mean(0) for one in counts]
    pairs = list(zip(per_trial, weights, strict=True))
    effective = sum(float(one @ np.count_nonzero(matrix, axis=0)) for one, matrix in pairs)
    return Operations(effective, 0.0, float(steps * sum(matrix.size for matrix in weights)))


def event_sparsity(counts: Sequence[Num[Array | np.ndarray, "_ _"]], steps: int) -> float:
    """Activation sparsity of an event-based run on a grid of `steps`: 1 - spikes/(neurons steps), mean over trials.

    Several spikes of a neuron in one step would count as so many.
    """
    total = sum(one.size for one in counts) * steps
    if not total:
        raise ValueError("A network without neurons, steps or trials has no activation sparsity.")
    return 1 - float(sum(np.asarray(one).sum() for one in counts)) / total
