"""Losses of networks that name the class of a trial, whatever runs them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.arguments import Told, require_made, require_number, shown
from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.readout import Readout
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes, require_inputs
from stablespike.dynamics.status import raise_unless_ok
from stablespike.dynamics.ways import Events, Grid
from stablespike.learning.gradients.rules import Rule
from stablespike.learning.readouts import mean_over_time
from stablespike.simulation import EXACTLY, simulate

Labelled = tuple[Spikes, Int[Array, " trials"]]
Score = Callable[[Run], Float[Array, " classes"]]
Penalty = Callable[[Network, Spikes, Run], Float[Array, ""]]


class Outputs(Told):
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
    With `limit` the neurons' gradient from each trial, not only that of the batch, is shortened to this norm
    (`limited`).
    """

    until: float
    score: Score
    on: Events | Grid
    gradient: Rule | None = None
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None
    penalty: Penalty | None = None
    limit: float | None = None

    def __check_init__(self) -> None:
        """Refuse an end of the trial that is no number, and a score that is none."""
        require_number("until, the end of the trial,", self.until)
        require_made("score", self.score)
        for name, one in (("score", self.score), ("augment", self.augment)):
            if one is not None and not callable(one):
                raise ValueError(f"{name} must be a function, not {shown(one)}.")

    def require_trials(self, network: Network, trials: Any) -> None:
        """Raise `ValueError` for trials that this loss cannot mean, as far as they are known: see `require_labelled`.

        Of all trials, no more than half of the input spikes may come after their end.
        """
        if not isinstance(network, Network):
            raise ValueError(f"what is trained must be a Network(Layer(...), ...), not {shown(network)}.")
        spikes, labels = require_labelled(trials)
        if isinstance(spikes, Spikes):
            require_inputs(spikes, network.channels, self.until, ordered=isinstance(self.on, Events))
        if isinstance(labels, jax.core.Tracer) or not isinstance(self.score, Outputs):
            return
        known, classes = np.asarray(labels), network.sizes[-1]
        if np.any(wrong := (known < 0) | (known >= classes)):
            raise ValueError(
                f"a label is {known[wrong][0]}, but the last layer has {classes} neurons, one a class, 0 to "
                f"{classes - 1}: give it more neurons or count the classes from 0."
            )

    def run(self, network: Network, spikes: PyTree, limit: float | None = None) -> Run:
        """The network on all trials; the gradient of each of them has at most the norm `limit`."""
        trials = spikes.times.shape[0]  # the loss is their mean, in which each has so small a part

        def one_trial(one: Spikes) -> Run:
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
        spikes, labels = require_labelled(batch)
        training = key is not None
        if self.augment is not None and key is not None:
            spikes = jax.vmap(self.augment)(jax.random.split(key, labels.shape[0]), spikes)
        run = self.run(network, spikes, self.limit if training else None)
        scores = jax.vmap(self.score)(run)
        labels = jnp.where(labels < 0, scores.shape[-1], labels)  # nan, as beyond the classes, and not the last class
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
        if self.penalty is not None and training:
            loss = loss + self.penalty(network, spikes, run)
        return loss, (run.status, scores)


def require_labelled(trials: Any) -> tuple[Any, Any]:
    """Inputs and labels of trials; `ValueError` unless labels are whole numbers, one for each trial."""
    if not isinstance(trials, tuple | list) or len(trials) != 2:
        raise ValueError(f"trials are a pair (spikes, labels), not {shown(trials)}.")
    inputs, labels = trials
    if not hasattr(labels, "dtype") or not jnp.issubdtype(labels.dtype, jnp.integer) or jnp.ndim(labels) != 1:
        raise ValueError(
            "labels must be an array of whole numbers with one for each trial, as jnp.asarray(labels, int), not "
            f"{shown(labels)}."
        )
    if not labels.shape[0]:
        raise ValueError("there are no trials in this batch.")
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(inputs)}
    if sizes != {(labels.shape[0],)}:
        found = " and ".join(str(size[0]) if size else "no" for size in sorted(sizes))
        raise ValueError(f"there are {labels.shape[0]} labels, but inputs of {found or 'no'} trials.")
    return inputs, labels


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
def _shortening(varied: PyTree, largest: Array) -> PyTree:
    del largest
    return varied


def _shortening_forwards(varied: PyTree, largest: Array) -> tuple[PyTree, Array]:
    return varied, largest


def _shortening_backwards(largest: Array, bars: PyTree) -> tuple[PyTree, Array]:
    norm = optax.tree.norm(bars)
    part = jnp.where(norm > largest, largest / norm, jnp.ones_like(norm))
    return jax.tree.map(lambda bar: part.astype(bar.dtype) * bar, bars), jnp.zeros_like(largest)


_shortening.defvjp(_shortening_forwards, _shortening_backwards)


class Verdict(eqx.Module):
    """What a network makes of trials: the class that it `named` and the `loss` of each, and the mean number of spikes
    of each hidden neuron in a trial, `rates`."""

    named: Int[np.ndarray, " trials"]
    loss: Float[np.ndarray, " trials"]
    rates: Float[np.ndarray, " hidden"]


def verdict(loss: Classification, network: Network, trials: Labelled, batch_size: int) -> Verdict:
    """The network on trials that are not trained on, a batch at a time, so that memory does not grow with them."""
    size = trials[1].shape[0]
    if not 1 <= batch_size <= size:
        raise ValueError(f"batch_size must lie between 1 and the {size} trials, not be {batch_size}.")
    parts = []
    for start in range(0, size, batch_size):
        here = slice(start, start + batch_size)
        status, *found = _judged(loss, network, jax.tree.map(lambda leaf: leaf[here], trials))  # noqa: B023
        raise_unless_ok(status)
        parts.append(found)
    named, losses, counts = zip(*parts, strict=True)
    return Verdict(np.concatenate(named), np.concatenate(losses), np.sum(counts, 0) / size)


def judged(
    loss: Classification, trials: Labelled, batch_size: int
) -> Callable[[Network], dict[str, Float[Array, ""] | float]]:
    """What `fit` can `evaluate`: accuracy and loss on trials that are not trained on, a batch at a time, and activity.

    `rate` is the mean number of spikes of a hidden neuron in a trial, `silent` the part of them that never spikes.
    """

    def evaluate(network: Network) -> dict[str, Float[Array, ""] | float]:
        found = verdict(loss, network, trials, batch_size)
        right = found.named == np.asarray(trials[1])
        return {
            "test_accuracy": float(right.mean()),
            "test_loss": float(found.loss.mean()),
            "rate": float(found.rates.mean()),
            "silent": float((found.rates == 0).mean()),
        }

    return evaluate


@eqx.filter_jit
def _judged(loss: Any, network: Network, batch: Any) -> tuple[Any, Array, Array, Array]:
    """Status, the class named and the loss of each trial, and the summed spikes of the hidden neurons."""
    spikes, labels = batch
    run = loss.run(network, spikes)
    scores = jax.vmap(loss.score)(run)
    cost = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
    hidden = [one.counts.sum(0) for one in run.layers[:-1]]
    return run.status, jnp.argmax(scores, -1), cost, jnp.concatenate(hidden).astype(scores.dtype)
