"""Losses of networks that name the class of a trial, whatever runs them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.readout import Readout
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import raise_unless_ok
from stablespike.dynamics.ways import Events, Grid
from stablespike.learning.gradients.rules import Rule
from stablespike.learning.readouts import mean_over_time
from stablespike.simulation import EXACTLY, simulate

Labelled = tuple[Spikes, Int[Array, " trials"]]
Score = Callable[[Run], Float[Array, " classes"]]
Penalty = Callable[[Network, Spikes, Run], Float[Array, ""]]


class Outputs(eqx.Module):
    """Scores from what the last layer sends over time: `reduce` `[samples, classes] -> [classes]`, times a `gain`.

    Voltages of readouts are small numbers: a gain gives the readout weights that an optimiser's step can reach.
    """

    reduce: Callable[[Float[Array, "samples classes"]], Float[Array, " classes"]] = mean_over_time
    gain: float = 1.0

    def __call__(self, run: Run) -> Float[Array, " classes"]:
        """The scores of one trial."""
        if run.output.signals is None:
            raise ValueError("the last layer sends spikes: put a Layer(LeakyReadout(tau), Dense(weights)) above it.")
        return self.gain * self.reduce(run.output.signals)


class Classification(eqx.Module):
    """Mean cross-entropy of the scores of trials until `until`, in the form that `gradient_training` takes.

    `on` and `gradient` are those of `simulate`; `augment(key, spikes)` changes a trial anew in every step of training,
    never when it is judged. `penalty(network, spikes, run)` of the batch, such as `DrivenRates`, is added in training.
    With `limit` the neurons' gradient from each trial is shortened to this norm, where it is longer (`limited`).
    """

    until: float
    score: Score
    on: Events | Grid
    gradient: Rule | None = None
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None
    penalty: Penalty | None = None
    limit: float | None = None

    def run(self, network: Network, spikes: PyTree, limit: float | None = None) -> Run:
        """The network on all trials; the gradient of each of them has at most the norm `limit`."""
        trials = spikes.times.shape[0]  # the loss is their mean, in which each has so small a part

        def one_trial(one):
            own = network if limit is None else limited(network, limit / trials, one.times)
            return simulate(own, one, self.until, on=self.on, gradient=self.gradient)

        return jax.vmap(one_trial)(spikes)

    def scores(self, network: Network, spikes: PyTree) -> tuple[Any, Float[Array, "trials classes"]]:
        """Status and scores of trials."""
        run = self.run(network, spikes)
        return run.status, jax.vmap(self.score)(run)

    def __call__(
        self, network: Network, batch: Labelled, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Any, Float[Array, "trials classes"]]]:
        """Mean loss over the trials; their status and scores."""
        spikes, labels = batch
        training = key is not None
        if not labels.shape[0]:
            raise ValueError("there are no trials in this batch.")
        if self.augment is not None and key is not None:
            spikes = jax.vmap(self.augment)(jax.random.split(key, labels.shape[0]), spikes)
        run = self.run(network, spikes, self.limit if training else None)
        scores = jax.vmap(self.score)(run)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
        if self.penalty is not None and training:
            loss = loss + self.penalty(network, spikes, run)
        return loss, (run.status, scores)


def classify(
    until: float,
    *,
    score: Score | None = None,
    on: Events | Grid = EXACTLY,
    gradient: Rule | None = None,
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None,
    penalty: Penalty | None = None,
    limit: float | None = None,
) -> Classification:
    """The loss of networks whose last layer is a readout: cross-entropy of its mean voltages, or of another `score`.

    A batch is `(spikes, labels)`, with a leading axis of trials. Inside training, which is compiled, the budget of
    `Events()` is 16 spikes of a neuron: give another one where the failed step asks for it.
    """
    return Classification(until, Outputs() if score is None else score, on, gradient, augment, penalty, limit)


def limited(network: Network, largest: float, of_trial: Array) -> Network:
    """The same network, whose neurons' gradient from this trial is shortened to the norm `largest` where it is longer.

    Exact gradients of a few trials can be a hundred times longer than those of the others, near a grazing spike or
    where a QIF neuron is about to spike; they would otherwise decide the batch's step and fill the optimiser's
    averages. `of_trial` is any array of the trial: the weights are copied for each trial under `jax.vmap`, which is
    what keeps the gradients of trials apart. Readouts, whose gradient knows no such trials, are left as they are. A
    gradient that is not finite stays so, and the step is refused.
    """
    spiking = tuple(layer for layer in network.layers if not isinstance(layer.neuron, Readout))
    varied, rest = eqx.partition(spiking, eqx.is_inexact_array)
    mark = 0 * jnp.where(jnp.isfinite(of_trial), of_trial, 0).sum()
    own = jax.tree.map(lambda leaf: leaf + mark.astype(leaf.dtype), varied)
    shortened = eqx.combine(_shortening(own, jnp.asarray(largest, mark.dtype)), rest)
    return Network(*shortened, *network.layers[len(spiking) :])


@jax.custom_vjp
def _shortening(varied, largest):
    del largest
    return varied


def _shortening_forwards(varied, largest):
    return varied, largest


def _shortening_backwards(largest, bars):
    norm = optax.tree.norm(bars)
    part = jnp.where(norm > largest, largest / norm, jnp.ones_like(norm))
    return jax.tree.map(lambda bar: part.astype(bar.dtype) * bar, bars), jnp.zeros_like(largest)


_shortening.defvjp(_shortening_forwards, _shortening_backwards)


def judged(
    loss: Classification, trials: Labelled, batch_size: int
) -> Callable[[Network], dict[str, Float[Array, ""] | float]]:
    """What `fit` can `evaluate`: accuracy and loss on trials that are not trained on, a batch at a time, and activity.

    `rate` is the mean number of spikes of a hidden neuron in a trial, `silent` the part of them that never spikes.
    """
    size = trials[1].shape[0]
    if not 1 <= batch_size <= size:
        raise ValueError(f"batch_size must lie between 1 and the {size} trials, not be {batch_size}.")
    places = [slice(start, start + batch_size) for start in range(0, size, batch_size)]

    def evaluate(network: Network) -> dict[str, Float[Array, ""] | float]:
        parts = [_judged(loss, network, jax.tree.map(lambda leaf: leaf[here], trials)) for here in places]  # noqa: B023
        for status, *_ in parts:
            raise_unless_ok(status)
        right, cost, counts = (sum(part[k] for part in parts) for k in (1, 2, 3))
        rates = counts / size
        found = {"test_accuracy": right / size, "test_loss": cost / size}
        return found | {"rate": rates.mean(), "silent": (counts == 0).mean()}

    return evaluate


@eqx.filter_jit
def _judged(loss, network, batch):
    """Status, and sums over a batch: trials named rightly, loss, spikes of the hidden neurons."""
    spikes, labels = batch
    run = loss.run(network, spikes)
    scores = jax.vmap(loss.score)(run)
    cost = optax.softmax_cross_entropy_with_integer_labels(scores, labels).sum()
    hidden = [one.counts.sum(0) for one in run.layers[:-1]]
    counts = jnp.concatenate(hidden).astype(scores.dtype)
    return run.status, jnp.sum(jnp.argmax(scores, -1) == labels).astype(scores.dtype), cost, counts
