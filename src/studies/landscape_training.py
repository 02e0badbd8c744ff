"""Descent on the landscapes of `loss_landscapes`, plain and without jumps of spikes; what jumps take and give.

Settings are searched at equal budgets, the same number of tries for every neuron and treatment, on other seeds than
those that are reported.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Bool, Float

import stablespike as ss
from stablespike.learning.training import StepLimit
from studies.landscape_slices import weights_of, with_weights
from studies.loss_landscapes import NEURONS, Shape, Timing, random_timing, timing_loss, timing_network
from studies.spike_patterns import spike_move_limit

HALVINGS = 10
LANES = 8  # trainings that run side by side, whatever their number: one program for all
LAST = 0.1  # part of the steps over whose mean a training is judged


class Descent(NamedTuple):
    """Steps of Adam, and what a step may do: `largest` is how far a spike may move within the trial (0: any way)."""

    steps: int = 300
    largest: float = 0.0


class Course(NamedTuple):
    """Loss before each step, the part of the step that was taken, whether it was applied, and all weights before it."""

    loss: Float[Array, "*runs steps"]
    size: Float[Array, "*runs steps"]
    applied: Bool[Array, "*runs steps"]
    path: Float[Array, "*runs steps weights"]


def limit_of(descent: Descent, until: float) -> StepLimit | None:
    """Steps are halved, at most `HALVINGS` times, until no spike moves by more than `largest` within the trial.

    Where a spike appears or vanishes in mid-trial no step across that place is short enough; it is refused.
    """
    if not descent.largest:
        return None
    limit = spike_move_limit(until, descent.largest)
    return StepLimit(limit.change, limit.largest, HALVINGS)


@eqx.filter_jit
def descended(networks: ss.Network, tasks: Timing, rates: Float[Array, " runs"], descent: Descent) -> Course:
    """Train networks on tasks side by side, each with its own rate of Adam, which falls to 0 by half a cosine."""

    def one(network: ss.Network, task: Timing, rate: Array) -> Course:
        schedule = optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, descent.steps))
        adam = optax.chain(optax.scale_by_adam(), schedule, optax.scale(-rate))
        init, update = ss.gradient_training(timing_loss, adam, limit_of(descent, task.until))
        dynamic, static = eqx.partition(init(network, jax.random.key(0)), eqx.is_array)

        def body(carry: Any, _: None) -> Any:
            state = eqx.combine(carry, static)
            new, info = update(state, task)
            course = Course(info.loss, info.step_size, info.applied, weights_of(state.parameters))
            return eqx.filter(new, eqx.is_array), course

        return jax.lax.scan(body, dynamic, length=descent.steps)[1]

    return eqx.filter_vmap(one)(networks, tasks, rates)


class Start(NamedTuple):
    """Where a training starts: the neuron's name, the gain of all weights, the rate of Adam, and the seed.

    `near`: 0, targets drawn at random; else the targets are what the network itself does, and it is taken as far off as
    `near` times the norm of its weights, in a random direction; the rate is in units of that distance.
    """

    neuron: str
    gain: float
    rate: float
    seed: int
    near: float = 0.0


def started(start: Start, shape: Shape) -> tuple[ss.Network, Timing, float]:
    """Network, task and rate."""
    key, generator = jax.random.key(start.seed), np.random.default_rng(start.seed)
    network, task = timing_network(key, NEURONS[start.neuron], shape, start.gain), random_timing(generator, shape)
    if not start.near:
        return network, task, start.rate
    weights = weights_of(network)
    _, (_, times) = eqx.filter_jit(timing_loss)(network, task)
    rows, spikes = task.targets.shape[1:]
    outputs = times[:, :rows] if shape.recurrent else times[:, -rows:]
    task = eqx.tree_at(lambda one: one.targets, task, outputs[..., :spikes])
    away = jax.random.normal(jax.random.fold_in(key, 1), weights.shape)
    far = start.near * jnp.linalg.norm(weights)
    return with_weights(network, weights + far * away / jnp.linalg.norm(away)), task, start.rate * start.near


def courses_of(starts: Sequence[Start], shape: Shape, descent: Descent) -> tuple[pd.DataFrame, Course]:
    """A row for each start: loss at the beginning and in the last steps, and the parts of steps taken and refused."""
    groups = [starts[place : place + LANES] for place in range(0, len(starts), LANES)]
    courses = [_side_by_side_trained(group, shape, descent) for group in groups]
    course = jax.tree.map(lambda *parts: np.concatenate(parts), *courses)
    loss = np.asarray(course.loss)
    last = max(1, int(LAST * descent.steps))
    columns = {"first": loss[:, 0], "last": loss[:, -last:].mean(1), "refused": 1 - np.asarray(course.applied).mean(1)}
    columns["shortened"] = (np.asarray(course.size) < 1).mean(1)
    return pd.DataFrame(starts).assign(**columns), course


def _side_by_side_trained(starts: Sequence[Start], shape: Shape, descent: Descent) -> Course:
    """Train some starts, filled up to `LANES` with copies of the first."""
    filled = [*starts, *[starts[0]] * (LANES - len(starts))]
    networks, tasks, rates = zip(*(started(start, shape) for start in filled), strict=True)
    course = descended(_side_by_side(networks), _side_by_side(tasks), jnp.asarray(rates), descent)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(starts)], course)


def _side_by_side(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *trees)


def searched(
    neuron: str, gains: Sequence[float], rates: Sequence[float], seeds: Sequence[int], shape: Shape,
    descent: Descent, near: float = 0.0,
) -> tuple[float, float]:  # fmt: skip
    """The gain and the rate with the lowest median loss at the end, over seeds that are not reported."""
    starts = [Start(neuron, *one, near) for one in itertools.product(gains, rates, seeds)]
    found = courses_of(starts, shape, descent)[0].groupby(["gain", "rate"])["last"].median()
    gain, rate = found.idxmin()
    return float(gain), float(rate)


@eqx.filter_jit
def _smooth_changes(network: ss.Network, task: Timing, before: Array, after: Array, parts: int) -> Array:
    """The integral of the gradient along each step, by the midpoint rule."""

    def slope(start: Array, end: Array, part: Array) -> Array:
        place = start + part * (end - start)
        return jnp.vdot(jax.grad(lambda w: timing_loss(with_weights(network, w), task)[0])(place), end - start)

    middles = (jnp.arange(parts, dtype=before.dtype) + 0.5) / parts
    return jax.vmap(lambda start, end: jax.vmap(lambda part: slope(start, end, part))(middles).mean())(before, after)


def bill_of(start: Start, shape: Shape, course: Course, parts: int) -> dict[str, Any]:
    """What the loss fell by smoothly and by jumps, over all steps of a training.

    The `smooth` fall of a step is minus the integral of the gradient along it, in `parts` parts; what is left is jumps
    (and the error of the integral: all there is of it for a continuous loss), those `down` and those `up`.
    """
    network, task, _ = started(start, shape)
    path = jnp.asarray(course.path)
    smooth = -np.asarray(_smooth_changes(network, task, path[:-1], path[1:], parts))
    jumps = np.asarray(course.loss[:-1] - course.loss[1:]) - smooth
    columns = {"smooth": smooth, "jumps": jumps, "down": np.maximum(jumps, 0), "up": np.minimum(jumps, 0)}
    return start._asdict() | {name: float(value.sum()) for name, value in columns.items()}


def paired_difference(
    generator: np.random.Generator, one: Float[np.ndarray, " pairs"], other: Float[np.ndarray, " pairs"]
) -> dict[str, float]:
    """Mean of log10(one/other) over pairs, its 95 % interval by bootstrap, and how rarely signs at random give as much.

    `chance` is the part of all assignments of signs to the differences whose mean is at least as far from 0 (exact).
    """
    differences = np.log10(one) - np.log10(other)
    signs = np.array([*itertools.product([-1, 1], repeat=len(differences))])
    chance = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12))
    means = generator.choice(differences, (10_000, len(differences))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(differences.mean()), "low": float(low), "high": float(high), "chance": float(chance)}
