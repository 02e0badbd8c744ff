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
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes, require_inputs
from stablespike.dynamics.ways import Events, Grid
from stablespike.learning.gradients.rules import Rule
from stablespike.learning.readouts import mean_over_time
from stablespike.simulation import EXACTLY, simulate

Labelled = tuple[Spikes, Int[Array, " trials"]]
Score = Callable[[Run], Float[Array, " classes"]]


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
    never when it is judged.
    """

    until: float
    score: Score
    on: Events | Grid
    gradient: Rule | None = None
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None

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
        spikes, labels = require_labelled(batch)
        if self.augment is not None and key is not None:
            spikes = jax.vmap(self.augment)(jax.random.split(key, labels.shape[0]), spikes)
        status, scores = self.scores(network, spikes)
        labels = jnp.where(labels < 0, scores.shape[-1], labels)  # nan, as beyond the classes, and not the last class
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
        return loss, (status, scores)


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
) -> Classification:
    """The loss of networks whose last layer is a readout: cross-entropy of its mean voltages, or of another `score`.

    A batch is `(spikes, labels)`, with a leading axis of trials. Inside training, which is compiled, the budget of
    `Events()` is 16 spikes of a neuron: give another one where the failed step asks for it.
    """
    return Classification(until, Outputs() if score is None else score, on, gradient, augment)
