"""Networks on a grid that answer a stream of bits, step by step, and the loss that trains them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key

import stablespike as ss
from stablespike.dynamics.grid.cells import SpikingCell

STEPS = ss.Grid(1.0, watched=True)  # cells of these networks count time in steps


class BitStreams(NamedTuple):
    """Trials: `signals` `[trials, steps, channels]`, the bits to answer `[trials, steps]`, and which are `scored`."""

    signals: Float[Array, "trials steps channels"]
    answers: Int[Array, "trials steps"]
    scored: Bool[Array, "trials steps"]


def spikes_of(cell: SpikingCell, state: Any) -> Float[Array, " neurons"]:
    """What is read out: the spikes."""
    return cell.output(state)


def distances_of(cell: SpikingCell, state: Any) -> Float[Array, " neurons"]:
    """What is read out: the distances to threshold, as Engelken (2023) reads the potentials of his networks."""
    return cell.distance(state)


class BitAnswers(eqx.Module):
    """A network whose last layer is read out in every step: log-odds of a 1 are `readout` . values + `bias`.

    `values(cell, state)` are those of the last layer that are read: `spikes_of` or `distances_of`.
    """

    network: ss.Network
    readout: Float[Array, " neurons"]
    bias: Float[Array, ""]
    values: Callable = eqx.field(static=True, default=spikes_of)

    def odds(self, state: Any) -> Float[Array, ""]:
        """Log-odds of a 1 in this state of the last layer's cells."""
        return self.readout @ self.values(self.network.layers[-1].neuron, state) + self.bias

    def __call__(self, signals: Float[Array, "steps channels"]) -> tuple[Float[Array, " steps"], ss.Status]:
        """Log-odds in every step, and the status of the run."""
        run = ss.simulate(self.network, signals, on=STEPS, gradient=ss.Recorded())
        cells: Any = run.cells  # of a grid that is watched
        return jax.vmap(self.odds)(cells[-1]), run.status


def bit_streams(signals: Any, answers: Any, scored: Any, repeat: int = 1) -> BitStreams:
    """Bits 0 and 1 as signals -1 and 1, each held for `repeat` steps, and answered in the last of them.

    `signals` `[trials, bits, channels]`, `answers` `[trials, bits]`, `scored` `[trials, bits]` or `[bits]`. Raises
    `ValueError` where nothing is scored.
    """
    scored = np.broadcast_to(scored, np.shape(answers))
    if repeat < 1 or not scored.any():
        raise ValueError(f"needs repeat >= 1 and an answer that is scored, not {repeat} and {int(scored.sum())}.")
    last = np.arange(np.shape(answers)[1] * repeat) % repeat == repeat - 1
    return BitStreams(
        jnp.asarray(np.repeat(2.0 * np.asarray(signals) - 1, repeat, 1)),
        jnp.asarray(np.repeat(answers, repeat, 1)),
        jnp.asarray(np.repeat(scored, repeat, 1) & last),
    )


def answer_loss(
    model: BitAnswers, streams: BitStreams, key: Key[Array, ""] | None = None
) -> tuple[Float[Array, ""], tuple[ss.Status, Float[Array, ""]]]:
    """Mean cross-entropy in nats of the scored answers; status, and the part that is right (log-odds 0 count as 0)."""
    del key
    odds, status = jax.vmap(model)(streams.signals)
    weights = streams.scored.astype(odds.dtype)
    costs = optax.sigmoid_binary_cross_entropy(odds, streams.answers.astype(odds.dtype))
    right = ((odds > 0) == (streams.answers == 1)).astype(odds.dtype)
    total = weights.sum()
    return jnp.sum(weights * costs) / total, (status, jnp.sum(weights * right) / total)


def drawn(loss: Callable, trials: int) -> Callable:
    """The loss of `trials` trials that are drawn from the pool anew for every step, by the step's key."""

    def of_some(model: Any, pool: Any, key: Key[Array, ""]) -> Any:
        chosen, handed_on = jax.random.split(key)
        size = jax.tree.leaves(pool)[0].shape[0]
        places = jax.random.randint(chosen, (trials,), 0, size)
        return loss(model, jax.tree.map(lambda leaf: leaf[places], pool), handed_on)

    return of_some
