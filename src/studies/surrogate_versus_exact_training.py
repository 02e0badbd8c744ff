"""Training of one network by each of the two gradients of `comparison`."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.training import descend, fit, gradient_training
from studies.surrogate_versus_exact import Classification, Exact, SpikeTiming, Surrogate, TwinWeights

Labelled = tuple[Spikes, Int[Array, " trials"]]


def latency_trials(times: Float[np.ndarray, "trials channels"], labels: Int[np.ndarray, " trials"]) -> Labelled:
    """Trials in which every channel spikes once, with their labels."""
    spikes = jax.vmap(lambda row: in_order(row, jnp.arange(row.shape[0])))(jnp.asarray(times))
    return spikes, jnp.asarray(labels)


def accuracy(loss: Classification, weights: TwinWeights, trials: Labelled) -> dict[str, Float[Array, ""]]:
    """Fraction of trials whose largest logit is that of the label, and the loss; raises if a simulation failed."""
    value, (status, logits) = _evaluated(loss, weights, trials)
    raise_unless_ok(status)
    return {"test_accuracy": jnp.mean(jnp.argmax(logits, -1) == trials[1]), "test_loss": value}


_evaluated = eqx.filter_jit(lambda loss, weights, trials: loss(weights, trials))


def train_to_classify(
    loss: Classification,
    weights: TwinWeights,
    optimiser: optax.GradientTransformation,
    train: Labelled,
    test: Labelled,
    key: Key[Array, ""],
    *,
    timed: bool = False,
    **options: Any,
) -> list[dict[str, Any]]:
    """Train by the loss's own gradient; the history, with `test_accuracy` and, if `timed`, the clock's `seconds`.

    `options` go to `fit`: epochs, batch size, checkpoint, progress.
    """
    init, step = gradient_training(loss, optimiser)

    def evaluate(weights: TwinWeights) -> dict[str, Any]:
        return accuracy(loss, weights, test) | ({"seconds": time.perf_counter()} if timed else {})

    return fit(step, init(weights, key), train, evaluate=evaluate, **options)[1]


def train_to_spike(
    method: Exact | Surrogate,
    judge: Exact,
    targets: Float[Array, "targets spikes"],
    weights: TwinWeights,
    optimiser: optax.GradientTransformation,
    batch: Spikes,
    *,
    rounds: int,
    steps: int,
    key: Key[Array, ""],
) -> list[dict[str, float]]:
    """Move the first neurons' spikes to their targets by the gradient of `method`, in `rounds` of `steps` steps.

    After every round the network is judged event by event, whatever it was trained by: its distance is in the rows.
    """
    init, step = gradient_training(SpikeTiming(method, targets), optimiser)
    state, judged = init(weights, key), eqx.filter_jit(SpikeTiming(judge, targets))
    rows = []
    for done in range(rounds + 1):
        distance, (status, _) = judged(state.parameters, batch)
        raise_unless_ok(status)
        rows.append({"step": done * steps, "distance": float(distance)})
        if done < rounds:
            state, _ = descend(step, state, batch, steps=steps, chunk=steps)
    return rows


def stacked(trials: list[Spikes]) -> Spikes:
    """Trials of equal room as one batch."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trials)
