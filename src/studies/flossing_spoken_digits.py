"""Classifiers of recorded spikes, trained with flossing before, between and during training; what flossing changes.

The last layer of a classifier is its readout, which has no recurrence: its exponents are set by its time constants, and
are neither flossed nor reported.
"""

import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Int, Key

import stablespike as ss
from stablespike.learning.classify import Classification, Labelled
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.learning.readouts import cross_entropy
from stablespike.learning.training import train as trained_for
from stablespike.stability.flossing import with_flossing
from stablespike.stability.gradient_statistics import norms_through_time
from stablespike.stability.lyapunov import estimate_spectrum
from stablespike.stability.surrogate_tangent import PUBLIC, GridStep, flossing_by_layer, layer_steps
from studies.spoken_digits import Augment, Neurons, grid_classification, grid_of, signals_of


def flossed_task(neurons: Neurons, duration: float, augment: Augment | None = None) -> Classification:
    """Cross-entropy of the readout's mean on a grid, in the public convention: the derivative feels no reset."""
    return grid_classification(neurons, duration, augment, reduce=ss.mean_over_time, reset=PUBLIC)


def hidden_layers(network: ss.Network) -> ss.Network:
    """The network without its readout; `ValueError` if nothing is left."""
    if len(network.layers) < 2:
        raise ValueError("a classifier needs a hidden layer below its readout.")
    return ss.Network(*network.layers[:-1])


class ClassifierFlossing(eqx.Module):
    """Flossing of every hidden layer by itself, with the input that it gets from below, on trials of the task.

    Of each batch the first `trials` are used, and their losses averaged. In the form that `gradient_training` takes;
    the extra are the exponents `[trials, layers, count]` per step.
    """

    flossing: ss.Flossing
    task: Classification
    trials: int = eqx.field(static=True, default=1)

    def __call__(self, network: ss.Network, batch: Labelled, key: Key[Array, ""]) -> tuple[Float[Array, ""], Any]:
        """Mean over trials and layers of mean_i (lambda_i - target)^2; status and exponents."""
        if batch[1].shape[0] < self.trials:
            raise ValueError(f"flossing on {self.trials} trials needs batches of so many, not {batch[1].shape[0]}.")
        some = jax.tree.map(lambda leaf: leaf[: self.trials], batch[0])
        signals = signals_of(self.task, some, network.channels).astype(network.layers[0].inputs.dtype)
        hidden = as_grid_network(hidden_layers(network), grid_of(self.task))
        values, found = jax.vmap(lambda drives: flossing_by_layer(self.flossing, hidden, drives, key))(signals)
        return values.mean(), found


class Setting(NamedTuple):
    """What is trained and how: the `task`, its `flossing`, and the pair (init, step) of either descent."""

    task: Classification
    flossing: ClassifierFlossing
    descent: tuple[Callable, Callable]
    flossing_descent: tuple[Callable, Callable]


def setting(
    task: Classification,
    flossing: ClassifierFlossing,
    *,
    optimiser: optax.GradientTransformation,
    flossing_optimiser: optax.GradientTransformation,
    strength: float = 0.0,
) -> Setting:
    """The setting for networks of all seeds, compiled once; the task may augment its trials, flossing never does.

    With a `strength` > 0 the flossing loss, times it, is added to the task's in every step: flossing during training.
    """
    if strength < 0:
        raise ValueError(f"the strength of flossing during training must not be negative, as {strength} is.")
    whole = with_flossing(task, flossing, strength) if strength else task
    descents = ss.gradient_training(whole, optimiser), ss.gradient_training(flossing, flossing_optimiser)
    return Setting(task, flossing, *descents)


class Trained(NamedTuple):
    """Networks when training began (after the first flossing, if any) and at its end, and the `history` of epochs."""

    start: ss.Network
    end: ss.Network
    history: list[dict[str, Any]]


def train_in_rounds(
    given: Setting,
    network: ss.Network,
    train: Labelled,
    judged: Labelled,
    key: Key[Array, ""],
    *,
    rounds: Sequence[tuple[int, int]],
    batch_size: int,
    checkpoint: pathlib.Path,
    identity: str = "",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Trained:
    """Train a classifier in `rounds` of (epochs of flossing, epochs of training), by the accuracy on trials `judged`.

    An epoch of flossing shows every training trial once, in batches of `flossing.trials`; its optimiser starts anew in
    every round, that of the task keeps its state. Each part of each round has a file in the folder `checkpoint`, and
    goes on from there. Raises `ValueError` without rounds and `TrainingError` where a step could not be applied.
    """
    if not rounds:
        raise ValueError("training needs at least one round of (epochs of flossing, epochs of training).")
    state, start = given.descent[0](network, key), network
    history: list[dict[str, Any]] = []
    for place, (flossed, epochs) in enumerate(rounds):
        options: dict[str, Any] = {"identity": f"{identity}, round {place}", "progress": progress}
        if flossed:
            flossing = given.flossing_descent[0](state.parameters, jax.random.fold_in(key, place))
            ended, _ = ss.fit(
                given.flossing_descent[1], flossing, train, epochs=flossed, batch_size=given.flossing.trials,
                checkpoint=checkpoint / f"flossing-{place}.eqx", **options,
            )  # fmt: skip
            state = eqx.tree_at(lambda one: one.parameters, state, ended.parameters)
        start = state.parameters if place == 0 else start
        state, rows = trained_for(
            given.descent[1], state, train, epochs=epochs, batch_size=batch_size,
            evaluate=lambda trained: ss.accuracy_on(given.task, trained, judged),
            checkpoint=checkpoint / f"training-{place}.eqx", **options,
        )  # fmt: skip
        before = history[-1]["epoch"] if history else 0
        history += [{**row, "epoch": before + row["epoch"]} for row in rows[1 if history else 0 :]]
    return Trained(start, state.parameters, history)


class Activity(NamedTuple):
    """By layer: spikes of a hidden neuron in a trial, and the part of the neurons that never spikes."""

    spikes: Float[np.ndarray, " layers"]
    silent: Float[np.ndarray, " layers"]


def activity(task: Classification, network: ss.Network, trials: Labelled) -> Activity:
    """Mean number of spikes of a neuron in a trial and fraction of silent neurons over all these trials, by layer."""
    counts = [np.asarray(outputs) for outputs in _spike_counts(task, hidden_layers(network), trials[0])]
    return Activity(np.array([one.mean() for one in counts]), np.array([(one.max(0) == 0).mean() for one in counts]))


@eqx.filter_jit
def _spike_counts(task: Classification, hidden: ss.Network, spikes: Any) -> list[Array]:
    return [trains.counts for trains in task.run(hidden, spikes).layers]


def spectra_of_layers(
    task: Classification, network: ss.Network, trials: Labelled, key: Key[Array, ""], *, count: int, transient: int
) -> tuple[Float[np.ndarray, "layers count"], Float[np.ndarray, "layers count"]]:
    """Leading exponents per step of every hidden layer, and standard errors, on these trials one after the other.

    The state is kept from a trial to the next; `transient` steps are not counted. NaN stands for an exponent that is
    not defined, as beyond the rank of a Jacobian of which a reset leaves nothing.
    """
    signals = signals_of(task, trials[0], network.channels).reshape(-1, network.channels)
    hidden = as_grid_network(hidden_layers(network), grid_of(task))
    steps, _ = layer_steps(hidden, signals.astype(network.layers[0].inputs.dtype))
    found = [
        estimate_spectrum(step, step.rest(), drives, count=count, transient=transient, key=key)
        for step, drives in steps
    ]
    defined = np.stack([np.asarray(one.resolved) for one in found])
    exponents, errors = (
        np.stack([np.asarray(values, float) for values in columns])
        for columns in zip(*((one.exponents, one.standard_errors) for one in found), strict=True)
    )
    return np.where(defined, exponents, np.nan), np.where(defined, errors, np.nan)


@eqx.filter_jit
def gradient_norms_of_answer(
    task: Classification, network: ss.Network, trials: Labelled, steps: int
) -> tuple[Float[Array, "trials steps"], Float[Array, "trials steps"]]:
    """Norms of the gradient of an answer at one time in all hidden states and in all inputs before, `[trials, steps]`.

    The answer is what the readout's weights make of the last layer's spikes in step `steps` alone, the loss its
    cross-entropy: the readout's own memory plays no part. Column t is that of the state (input) before step t.
    """
    hidden, readout = as_grid_network(hidden_layers(network), grid_of(task)), network.layers[-1].inputs.weights
    step, last = GridStep(hidden), hidden.layers[-1]

    def one(signals: Array, label: Int[Array, ""]) -> tuple[Array, Array]:
        def loss(states: Any) -> Array:
            final = jax.tree.map(lambda leaf: leaf[-1], states[-1].cell)
            return cross_entropy(readout @ last.cell.output(final), label)

        _, of_states, of_inputs = ss.gradients_through_time(step, step.rest(), signals, loss)
        return norms_through_time(of_states), norms_through_time(of_inputs)

    signals = signals_of(task, trials[0], network.channels)[:, :steps].astype(readout.dtype)
    return jax.vmap(one)(signals, trials[1])


def dynamics_tables(
    task: Classification,
    network: ss.Network,
    trials: Labelled,
    key: Key[Array, ""],
    *,
    count: int,
    transient: int,
    spectrum_trials: int,
    probed_trials: int,
    probed_steps: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Spectra, gradients and activity of one network as tables.

    `exponent` with its standard `error` by `layer` and `index` (both from 1); `norm` of the gradient in the states
    (`input_norm`: in the inputs) at each `distance` in steps to the answer, the geometric mean over trials, where
    nothing is smaller than single precision can tell (1e-38); and one row with `spikes` of a neuron in a trial and the
    `silent` part of the neurons, over all layers and trials.
    """
    first = jax.tree.map(lambda leaf: leaf[:spectrum_trials], trials)
    probed = jax.tree.map(lambda leaf: leaf[:probed_trials], trials)
    exponents, errors = spectra_of_layers(task, network, first, key, count=count, transient=transient)
    layers, places = np.indices(exponents.shape) + 1
    values = {"exponent": exponents.ravel(), "error": errors.ravel()}
    spectra = pd.DataFrame({"layer": layers.ravel(), "index": places.ravel(), **values})
    typical = [_geometric_mean(one) for one in gradient_norms_of_answer(task, network, probed, probed_steps)]
    distances = np.arange(probed_steps, 0, -1)
    norms = pd.DataFrame({"distance": distances, "norm": typical[0], "input_norm": typical[1]})
    found = activity(task, network, trials)
    return spectra, norms, pd.DataFrame({"spikes": [found.spikes.mean()], "silent": [found.silent.mean()]})


def _geometric_mean(norms: Any) -> np.ndarray:
    return np.exp(np.log(np.maximum(np.asarray(norms, float), np.finfo(np.float32).tiny)).mean(0))
