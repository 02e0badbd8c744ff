"""Losses of networks that name the class of a trial, whatever runs them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.network import Network
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.ways import Events, Grid
from stablespike.learning.gradients.rules import Rule
from stablespike.learning.readouts import mean_over_time
from stablespike.simulation import EXACTLY, simulate

Labelled = tuple[Spikes, Int[Array, " trials"]]
Score = Callable[[Run], Float[Array, " classes"]]


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
    never when it is judged.
    """

    until: float
    score: Score
    on: Events | Grid
    gradient: Rule | None = None
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None

    def run(self, network: Network, spikes: PyTree) -> Run:
        """The network on all trials."""
        return jax.vmap(lambda one: simulate(network, one, self.until, on=self.on, gradient=self.gradient))(spikes)

    def scores(self, network: Network, spikes: PyTree) -> tuple[Any, Float[Array, "trials classes"]]:
        """Status and scores of trials."""
        run = self.run(network, spikes)
        return run.status, jax.vmap(self.score)(run)

    def __call__(
        self, network: Network, batch: Labelled, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], tuple[Any, Float[Array, "trials classes"]]]:
        """Mean loss over the trials; their status and scores."""
        spikes, labels = batch
        if not labels.shape[0]:
            raise ValueError("there are no trials in this batch.")
        if self.augment is not None and key is not None:
            spikes = jax.vmap(self.augment)(jax.random.split(key, labels.shape[0]), spikes)
        status, scores = self.scores(network, spikes)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
        return loss, (status, scores)


def classify(
    until: float,
    *,
    score: Score | None = None,
    on: Events | Grid = EXACTLY,
    gradient: Rule | None = None,
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None,
) -> Classification:
    """The loss of networks whose last layer is a readout: cross-entropy of its mean voltages, or of another `score`.

    A batch is `(spikes, labels)`, with a leading axis of trials. Inside training, which is compiled, the budget of
    `Events()` is 16 spikes of a neuron: give another one where the failed step asks for it.
    """
    return Classification(until, Outputs() if score is None else score, on, gradient, augment)
