"""Networks that classify recorded spikes, event by event or on a time grid, trained by the package's loop.

Both get padded `Spikes` `[trials, events]` with labels; what tells them apart is the simulation and its gradient.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.grid_cells import GridLIF, LeakyReadout
from stablespike.dynamics.grid_connections import Dense
from stablespike.dynamics.grid_network import GridNetwork, GridRun, Layer
from stablespike.dynamics.grid_neuron import counts_on_grid
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.comparison import Exact, TwinWeights
from stablespike.learning.grid_initialisation import Drive, fluctuation_driven, normal_by_fan_in
from stablespike.learning.grid_readouts import maximum_over_time
from stablespike.learning.grid_route import run_on_grid_natively
from stablespike.learning.training import fit, gradient_training

Labelled = tuple[Spikes, Int[Array, " trials"]]
Scores = tuple[Float[Array, ""], tuple[Int[Array, ""], Float[Array, "trials classes"]]]


class EventClassification(eqx.Module):
    """Cross-entropy of leaky readouts of an event-based network, the highest of their values at `samples` times.

    The readout's membranes follow the last layer's spikes with `time_constant` tau (synapses: tau/2), without
    threshold; their voltages are functions of spike times, so that the loss has an exact gradient.
    """

    method: Exact
    time_constant: float
    samples: int = 20

    def __call__(self, weights: TwinWeights, batch: Labelled, key: Key[Array, ""] | None = None) -> Scores:
        """Mean loss over the trials; the flags and the scores of the classes."""
        del key
        trains = jax.vmap(lambda one: self.method(weights, one))(batch[0])
        at = jnp.linspace(0, self.method.duration, self.samples + 1)[1:].astype(trains.times.dtype)
        voltages = jax.vmap(lambda train: train.voltages(self.time_constant, at))(trains)
        scores = (weights.readout @ voltages).max(-1)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()
        return loss, (jnp.bitwise_or.reduce(trains.flags), scores)


class GridClassification(eqx.Module):
    """Cross-entropy of a `GridNetwork`'s readout, reduced over time by `score`, in `steps` steps up to `duration`.

    An input channel counts once in a step, however often it spikes in it. `route` runs one trial.
    """

    duration: float
    steps: int
    score: Callable[[Float[Array, "steps classes"]], Float[Array, " classes"]] = maximum_over_time
    route: Callable[[GridNetwork, Float[Array, "steps channels"]], GridRun] = run_on_grid_natively

    def signals(self, spikes: Spikes, channels: int) -> Float[Array, "trials steps channels"]:
        """Input of all trials: 1 where a channel spikes in a step, else 0."""
        dt = self.duration / self.steps
        return jax.vmap(lambda one: jnp.minimum(counts_on_grid(one, channels, dt, self.steps), 1))(spikes)

    def run(self, network: GridNetwork, spikes: Spikes) -> GridRun:
        """The network on the input spikes of all trials."""
        return jax.vmap(lambda one: self.route(network, one))(self.signals(spikes, network.channels))

    def __call__(self, network: GridNetwork, batch: Labelled, key: Key[Array, ""] | None = None) -> Scores:
        """Mean loss over the trials; the flags and the scores of the classes."""
        del key
        run = self.run(network, batch[0])
        scores = jax.vmap(self.score)(run.readout)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()
        return loss, (jnp.bitwise_or.reduce(run.status.flags), scores)


def recurrent_classifier(
    key: Key[Array, ""],
    cell: GridLIF,
    drive: Drive,
    size: int,
    classes: int,
    readout_time_constant: float,
    *,
    distance: float = 0.5,
    loop: float = 0.5,
) -> GridNetwork:
    """A recurrent layer of `size` cells on input channels, and a leaky readout with normal weights of variance 1/size.

    Input weights let membranes fluctuate up to threshold (`fluctuation_driven`, mean 0, `distance` of threshold) under
    the `drive` of all channels. Recurrent weights have variance loop^2/size, small enough not to amplify gradients.
    """
    first, second, third = jax.random.split(key, 3)
    (inputs,) = fluctuation_driven(first, cell, size, (drive,), distance=distance)
    recurrent = normal_by_fan_in(second, size, size, loop)
    tau = readout_time_constant
    above = Layer(LeakyReadout(tau, cell.dt, tau / 2), Dense(normal_by_fan_in(third, classes, size)))
    return GridNetwork((Layer(cell, Dense(inputs), Dense(recurrent)), above))


class Augmented(eqx.Module):
    """A `loss` on trials that `augment(key, spikes)` changes anew at every step of the training."""

    loss: Callable[..., Scores]
    augment: Callable[[Key[Array, ""], Spikes], Spikes]

    def __call__(self, parameters: PyTree, batch: Labelled, key: Key[Array, ""]) -> Scores:
        """The loss on the changed trials."""
        spikes, labels = batch
        keys = jax.random.split(key, labels.shape[0])
        return self.loss(parameters, (jax.vmap(self.augment)(keys, spikes), labels), key)


def accuracy_on(loss: Callable[..., Scores], parameters: PyTree, trials: Labelled) -> dict[str, Float[Array, ""]]:
    """Part of the trials whose largest score is that of the label, and the loss; raises if a simulation failed."""
    value, (flags, scores) = _evaluated(loss, parameters, trials)
    if int(flags):
        raise ValueError(f"a simulation of the evaluation failed: flags {int(flags)}.")
    return {"test_accuracy": jnp.mean(jnp.argmax(scores, -1) == trials[1]), "test_loss": value}


_evaluated = eqx.filter_jit(lambda loss, parameters, trials: loss(parameters, trials))


def train_on_spikes(
    loss: Callable[..., Scores],
    parameters: PyTree,
    optimiser: optax.GradientTransformation,
    train: Labelled,
    test: Labelled,
    key: Key[Array, ""],
    *,
    augment: Callable[[Key[Array, ""], Spikes], Spikes] | None = None,
    **options: Any,
) -> tuple[PyTree, list[dict[str, Any]]]:
    """Train by the loss's own gradient, on augmented trials if asked; the trained parameters and the history.

    `loss(parameters, (spikes, labels), key)` is `GridClassification`, or `Classification` of `comparison`. The test
    trials are only looked at after every epoch. `options` go to `fit`: epochs, batch size, checkpoint, progress.
    """
    init, step = gradient_training(loss if augment is None else Augmented(loss, augment), optimiser)
    state, history = fit(
        step, init(parameters, key), train, evaluate=lambda trained: accuracy_on(loss, trained, test), **options
    )
    return state.parameters, history
