"""Training of networks on a grid with flossing before it, in between, or where it is due: all seeds together."""

from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Key, PyTree

import stablespike as ss
from stablespike.dynamics.grid.cells import Cell
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.learning.training import descend
from stablespike.stability.flossing import (
    AbstractSchedule,
    Between,
    Never,
    floss_if_due,
    flossing_loss,
    with_flossing,
)
from stablespike.stability.gradient_statistics import norms_through_time
from stablespike.stability.lyapunov import SingularJacobian
from stablespike.stability.surrogate_tangent import GridStep, flossing_by_layer, require_some_spikes
from studies.bit_answers import STEPS, BitAnswers, BitStreams, answer_loss, drawn, spikes_of

Loss = Callable[..., Any]


def random_bit_answers(
    key: Key[Array, ""],
    cell: Cell,
    sizes: tuple[int, ...],
    channels: int,
    *,
    gain: float,
    input_gain: float,
    values: Callable = spikes_of,
) -> BitAnswers:
    """Recurrent layers with normal weights of deviation gain/sqrt(fan-in), `input_gain` for those from below.

    The mean of each neuron's recurrent weights is removed; the readout, of these `values`, has variance 1/neurons.
    """

    keys = jax.random.split(key, 2 * len(sizes) + 1)
    layers = []
    for place, (size, below) in enumerate(zip(sizes, (channels, *sizes[:-1]), strict=True)):
        loop = ss.normal_by_fan_in(keys[2 * place], size, size, gain)
        inputs = ss.normal_by_fan_in(keys[2 * place + 1], size, below, input_gain)
        layers.append(ss.Layer(cell, ss.Dense(inputs), ss.Dense(loop - loop.mean(1, keepdims=True))))
    readout = jax.random.normal(keys[-1], (sizes[-1],)) / np.sqrt(sizes[-1])
    return BitAnswers(ss.Network(*layers), readout, jnp.zeros((), readout.dtype), values)


def joint_flossing(flossing: ss.Flossing) -> Loss:
    """Flossing of the exponents of all layers together, on one trial drawn from the pool: for `gradient_training`."""
    return _on_one_trial(lambda step, *given: flossing_loss(flossing, step, step.rest(), *given))


def layered_flossing(flossing: ss.Flossing) -> Loss:
    """Flossing of the `count` leading exponents of every layer by itself (`flossing_by_layer`), likewise."""
    return _on_one_trial(lambda step, *given: flossing_by_layer(flossing, step.network, *given))


def _on_one_trial(of_step: Callable) -> Callable:
    def loss(model: BitAnswers, pool: BitStreams, key: Key[Array, ""]) -> Any:
        chosen, basis = jax.random.split(key)
        drives = pool.signals[jax.random.randint(chosen, (), 0, pool.signals.shape[0])]
        return of_step(step_of(model), drives, basis)

    return loss


def step_of(model: BitAnswers) -> GridStep:
    """The network below the readout as one step."""
    return GridStep(as_grid_network(model.network, STEPS))


class FlossedTraining(eqx.Module):
    """What training left: `models` and their test `accuracy` `[seeds]`, with how it went.

    `course` `[chunks, seeds]` is the accuracy on the training trials, `exponents` `[seeds, ...]` what was flossed, at
    the last measurement (None if there was none), `flossed` the number of flossing steps.
    """

    models: BitAnswers
    accuracy: Float[Array, " seeds"]
    course: Float[Array, "chunks seeds"]
    exponents: Float[Array, "seeds *exponents"] | None
    flossed: int


def train_to_answer(
    models: BitAnswers,
    keys: Key[Array, " seeds"],
    pool: BitStreams,
    test: BitStreams,
    *,
    optimiser: optax.GradientTransformation,
    trials: int,
    steps: int,
    chunk: int,
    schedule: AbstractSchedule,
    flossing: Loss,
    flossing_optimiser: optax.GradientTransformation,
    strength: float = 0.0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> FlossedTraining:
    """Train `models` of several seeds, all at once, by `steps` batches of `trials`, with flossing as the schedule asks.

    The schedule is asked before every `chunk` of steps, with the number of steps so far as its epoch; exponents are
    measured on a trial of the pool, and where one seed needs flossing all get it. The flossing optimiser starts anew
    with each block; that of the task keeps its state. With a `strength` above 0 the loss of every task step is
    task + strength * flossing, besides. Raises, before any step, `ValueError` for settings that do not fit and for
    networks that are silent or saturated, `SingularJacobian` for exponents that are not defined, and `TrainingError`
    where a step could not be applied.
    """
    if min(steps, chunk, trials) < 1 or steps % chunk:
        raise ValueError(f"steps must be whole chunks, and trials at least 1, not {steps}, {chunk} and {trials}.")
    if isinstance(schedule, Between) and any(epoch % chunk or not 0 <= epoch < steps for epoch in schedule.epochs):
        raise ValueError(f"flossing between must come at multiples of the chunk, {chunk}, not at {schedule.epochs}.")
    task = drawn(answer_loss, trials)
    _, task_step = ss.gradient_training(with_flossing(task, flossing, strength) if strength else task, optimiser)
    task_init, _ = ss.gradient_training(answer_loss, optimiser)
    floss_init, floss_step = ss.gradient_training(flossing, flossing_optimiser)
    over_seeds = eqx.filter_vmap(task_step, in_axes=(eqx.if_array(0), None))
    floss_over_seeds = eqx.filter_vmap(floss_step, in_axes=(eqx.if_array(0), None))
    measure = eqx.filter_jit(eqx.filter_vmap(flossing, in_axes=(eqx.if_array(0), None, 0)))
    exponents: list[Any] = [None]
    require_activity(models, pool)
    if strength or not isinstance(schedule, Never):
        require_defined(measure(models, pool, keys)[1][1])

    def block(state: Any, count: int) -> Any:
        started = eqx.filter_vmap(floss_init)(state.parameters, state.key)
        ended, infos = descend(floss_over_seeds, started, pool, steps=count, chunk=count)
        exponents[0] = infos.extra[-1]
        require_activity(ended.parameters, pool)
        return eqx.tree_at(lambda s: (s.parameters, s.key), state, (ended.parameters, ended.key))

    def measured(state: Any) -> Any:
        exponents[0] = measure(state.parameters, pool, keys)[1][1]
        return exponents[0]

    state, course, done = eqx.filter_vmap(task_init)(models, keys), [], 0
    for start in progress(range(0, steps, chunk)):
        state, done = floss_if_due(schedule, start, state, block=block, exponents=measured, done=done)
        state, infos = descend(over_seeds, state, pool, steps=chunk, chunk=chunk)
        course.append((infos.extra[0] if strength else infos.extra).mean(0))
    _, (status, accuracy) = eqx.filter_jit(eqx.filter_vmap(answer_loss, in_axes=(eqx.if_array(0), None)))(
        state.parameters, test
    )
    ss.raise_unless_ok(status)
    return FlossedTraining(state.parameters, accuracy, jnp.stack(course), exponents[0], done)


def require_defined(exponents: Float[Array, "*networks count"]) -> None:
    """Raise `SingularJacobian` if one of the exponents to be flossed is not defined by the run (not finite)."""
    defined = np.isfinite(np.asarray(exponents))
    if not defined.all():
        first = int(defined.reshape(-1, defined.shape[-1]).all(0).sum())
        raise SingularJacobian(
            f"Only the first {first} of {defined.shape[-1]} exponents can be flossed: beyond them the Jacobian is "
            "singular. Lower count."
        )


def require_activity(models: BitAnswers, pool: BitStreams) -> None:
    """Raise `ValueError` where a layer of spiking cells is silent, or spikes in every neuron and step.

    Looked at is one trial of the pool, for each of the `models` of several seeds.
    """
    parts, status = _activity(models, pool)
    ss.raise_unless_ok(status)
    for place, layer in np.ndindex(parts.shape):
        require_some_spikes(float(parts[place, layer]), f"Layer {layer + 1} of network {place + 1}")


@eqx.filter_jit
def _activity(models: BitAnswers, pool: BitStreams) -> tuple[Array, ss.Status]:
    """Part of neurons and steps with a spike, `[seeds, layers]`, and the status `[seeds]`."""

    def one(model: BitAnswers, signals: Array) -> tuple[Array, ss.Status]:
        run = ss.simulate(model.network, signals, on=STEPS, gradient=ss.Recorded())
        return jnp.stack([jnp.mean(trains.sent) for trains in run.layers]), run.status

    return eqx.filter_vmap(one, in_axes=(eqx.if_array(0), None))(models, pool.signals[0])


def vectors_pushed(count: int, flossed: int, steps: int, trials: int, length: int, *, during: bool = False) -> int:
    """What a training costs: states and tangent vectors that are taken one step of the network forward, and back.

    length (trials steps + (count + 1)(flossed + steps if flossing goes on `during` training)): a training step takes
    the states of `trials` trials of this `length` along, a flossing step one state and `count` tangent vectors.
    """
    return length * (trials * steps + (count + 1) * (flossed + (steps if during else 0)))


@eqx.filter_jit
def gradient_norms_of_last_answer(models: BitAnswers, streams: BitStreams) -> Float[Array, "seeds trials steps"]:
    """Norm of dL/dstate(t) of the cross-entropy of the last answer, for each model and trial, t = 0 ... T - 1."""

    def one(model: BitAnswers, signals: Array, answers: Array) -> Array:
        step = step_of(model)

        def loss(states: Any) -> Array:
            odds = model.odds(jax.tree.map(lambda leaf: leaf[-1], states[-1].cell))
            return optax.sigmoid_binary_cross_entropy(odds, answers[-1].astype(odds.dtype))

        gradients = ss.gradients_through_time(step, step.rest(), signals, loss)[1]
        # Squares of what is left after many steps would underflow in float32.
        largest = sum(jnp.max(jnp.abs(leaf), tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(gradients))
        safe = jnp.where(largest > 0, largest, 1)
        scaled = jax.tree.map(lambda leaf: leaf / safe.reshape(-1, *[1] * (leaf.ndim - 1)), gradients)
        return largest * norms_through_time(scaled)

    def over_trials(model: BitAnswers, given: PyTree) -> Array:
        return jax.vmap(lambda signals, answers: one(model, signals, answers))(*given)

    return eqx.filter_vmap(over_trials, in_axes=(eqx.if_array(0), None))(models, (streams.signals, streams.answers))


def tables_of(
    found: FlossedTraining, seeds: list[int], chunk: int, streams: BitStreams, trials: int = 16
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Results, course and gradients of a training, by seed.

    `accuracy` on the test, `norm` of the gradient at the first state and `flossing_steps` done; `accuracy` at each
    `step`; `norm` at each `distance` in steps to the last answer, the geometric mean over the first `trials` of the
    streams, where nothing is smaller than float32 can tell (1e-38).
    """
    norms = gradient_norms_of_last_answer(found.models, jax.tree.map(lambda leaf: leaf[:trials], streams))
    typical = np.exp(np.log(np.maximum(np.asarray(norms), np.finfo(np.float32).tiny)).mean(1))
    steps = chunk * np.arange(1, found.course.shape[0] + 1)
    distances = np.arange(typical.shape[1], 0, -1)
    accuracy, course = np.asarray(found.accuracy, float), np.asarray(found.course, float)
    results = pd.DataFrame({"seed": seeds, "accuracy": accuracy, "norm": typical[:, 0]})
    results["flossing_steps"] = found.flossed
    each = list(enumerate(seeds))
    during = [pd.DataFrame({"step": steps, "accuracy": course[:, place], "seed": seed}) for place, seed in each]
    back = [pd.DataFrame({"distance": distances, "norm": typical[place], "seed": seed}) for place, seed in each]
    return results, pd.concat(during), pd.concat(back)


def trained_tables(
    train: Callable[[BitAnswers], FlossedTraining],
    build: Callable[[Key[Array, ""]], BitAnswers],
    keys: Key[Array, " seeds"],
    seeds: list[int],
    chunk: int,
    streams: BitStreams,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """`tables_of` the networks that `build` makes from the keys of the seeds and `train` trains."""
    return tables_of(train(eqx.filter_vmap(build)(keys)), seeds, chunk, streams)
