"""Flossing beside what else could bring gradients over a delay: gain, orthogonal weights, the critical sharpness."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import scipy.optimize
from jaxtyping import Array, Key

import stablespike as ss
from stablespike.dynamics.grid.cells import SpikingCell
from stablespike.dynamics.grid.network import run_on_grid
from stablespike.learning.gradients.on_grid import as_grid_network
from stablespike.learning.grid_initialisation import orthogonal
from stablespike.learning.training import descend
from stablespike.stability.mean_field import growth, responses
from stablespike.stability.surrogate_tangent import PUBLIC, flossing_by_layer
from stablespike.tasks.temporal import delayed_xor
from studies import flossing_delayed_xor as training
from studies.bit_answers import STEPS, BitAnswers, BitStreams, bit_streams, distances_of

EXCESS = 10.0  # weight of activity beyond its bound, squared, in the loss of flossing
DRAWS = 10_000  # of the bootstrap
TEST, VALIDATION = 1, 2  # places of generators of trials; 0 is that of those trained on


class Task(NamedTuple):
    """Delayed XOR of bits that are each held for some steps, for a network of one layer of a kind of neurons."""

    kind: str = "binary"
    neurons: int = 80
    sharpness: float = 1.0
    input_gain: float = 1.0
    hold: int = 1
    delay: int = 14
    bits: int = 48
    rate: float = 1e-3  # of Adam
    falling: bool = False  # whether it falls to 0 by half a cosine
    steps: int = 1500
    chunk: int = 100
    batch: int = 16
    trials: int = 2000
    tests: int = 500


class Treatment(NamedTuple):
    """What is done to a network before it is trained.

    Recurrent weights have the deviation `gain`/sqrt(n), or are `orthogonal` times the gain; the sharpness is that of
    the task, or the `critical` one; the leading `count` exponents are flossed in blocks of `block` steps, `most` in
    all, until each network has them within `near` of zero on average; `again` floss in training as well, half a plan
    before and half of it after some chunks. At most `active` of neurons and steps are to spike while it is done.
    """

    name: str
    gain: float = 1.0
    orthogonal: bool = False
    critical: bool = False
    count: int = 0  # type: ignore[assignment]  # not the method of tuples
    rate: float = 3e-3
    most: int = 300
    block: int = 300
    near: float = 0.0
    active: float = 1.0
    again: int = 0


def cell_of(task: Task, sharpness: float) -> SpikingCell:
    """Binary neurons whose thresholds are trained, or LIF neurons of 5 and 2 steps in the public convention."""
    spike = ss.SurrogateSpike(ss.SuperSpike(sharpness))
    if task.kind == "binary":
        return ss.BinaryCell(jnp.zeros(task.neurons), spike)
    return ss.GridLIF(5.0, 2.0, 1.0, spike=spike, reset=PUBLIC)


def trials_of(task: Task, place: int, trials: int) -> BitStreams:
    """So many trials, drawn by the generator of this `place`."""
    return bit_streams(*delayed_xor(np.random.default_rng(place), trials, task.bits, task.delay), task.hold)


def networks(task: Task, treatment: Treatment, sharpness: float, keys: Key[Array, " seeds"]) -> BitAnswers:
    """The networks of all seeds, before they are flossed."""
    build = eqx.Partial(
        training.random_bit_answers, cell=cell_of(task, sharpness), sizes=(task.neurons,), channels=1,
        gain=treatment.gain, input_gain=task.input_gain, values=distances_of,
    )  # fmt: skip
    models = eqx.filter_vmap(build)(keys)
    if not treatment.orthogonal:
        return models
    turned = jax.vmap(lambda key: orthogonal(key, task.neurons, task.neurons, treatment.gain))(keys)
    return eqx.tree_at(loops_of, models, turned)


def loops_of(models: BitAnswers) -> Any:
    """The recurrent weights of the only layer, `[seeds, post, pre]`."""
    loop: Any = models.network.layers[0].loop
    return loop.weights


def seed_of(models: BitAnswers, place: int) -> BitAnswers:
    """One of the networks."""
    return jax.tree.map(lambda leaf: leaf[place] if eqx.is_array(leaf) else leaf, models)


def critical_of(task: Task, treatment: Treatment, keys: Key[Array, " seeds"], pool: BitStreams) -> float:
    """The sharpness at which gradients neither fade nor explode: the geometric mean of those of the networks.

    By mean field (`mean_field.growth`), which for binary neurons, without a memory, is <V^2> n <h^2> = 1. Raises
    `ValueError` where gradients fade or explode at every sharpness.
    """
    models, drives = networks(task, treatment, task.sharpness, keys), pool.signals[:8]
    each = [critical_of_one(task, seed_of(models, place), drives) for place in range(keys.shape[0])]
    return float(np.exp(np.mean(np.log(each))))


def critical_of_one(task: Task, model: BitAnswers, drives: Array, between: tuple[float, float] = (0.01, 1e3)) -> float:
    """The critical sharpness of one network on these drives `[trials, steps, channels]`."""

    def excess(logarithm: float) -> float:
        one = with_sharpness(model, task, jnp.asarray(math.exp(logarithm), drives.dtype))
        return math.log(max(growth_of(task, one, drives), 1e-300))

    ends = [excess(math.log(end)) for end in between]
    if ends[0] <= 0 or ends[1] >= 0:
        raise ValueError(f"gradients {'fade' if ends[0] <= 0 else 'explode'} at every sharpness within {between}.")
    return math.exp(scipy.optimize.brentq(excess, *map(math.log, between), xtol=1e-3))


def with_sharpness(model: BitAnswers, task: Task, sharpness: Any) -> BitAnswers:
    """The network with another surrogate."""
    spike = ss.SurrogateSpike(ss.SuperSpike(sharpness))
    return eqx.tree_at(lambda one: one.network.layers[0].neuron.spike, model, spike)


def growth_of(task: Task, model: BitAnswers, drives: Array) -> float:
    """By how much the covariance of a perturbation's field grows (binary: in a step), by mean field."""
    grid = as_grid_network(model.network, STEPS)
    if task.kind != "binary":
        return growth(responses(grid, drives)[0], 0.0)
    return float(jnp.mean(jnp.sum(loops_of(model) ** 2, 0) * jnp.mean(slopes_of(model, drives) ** 2, (0, 1))))


@eqx.filter_jit
def slopes_of(model: BitAnswers, drives: Array) -> Array:
    """The surrogate's derivative `[trials, steps, neurons]` at every neuron along runs of binary neurons."""
    cells = jax.vmap(lambda trial: run_on_grid(as_grid_network(model.network, STEPS), trial).cells[0])(drives)
    output: Any = jax.vmap(jax.vmap(model.network.layers[0].neuron.output))
    return jax.jvp(output, (cells,), (jnp.ones_like(cells),))[1]


def bounded_flossing(flossing: ss.Flossing, active: float) -> training.Loss:
    """Flossing on one trial drawn from the pool, plus 10 (activity - `active`)^2 where activity is above its bound."""

    def loss(model: BitAnswers, pool: BitStreams, key: Key[Array, ""]) -> Any:
        chosen, basis = jax.random.split(key)
        drives = pool.signals[jax.random.randint(chosen, (), 0, pool.signals.shape[0])]
        value, (status, exponents) = flossing_by_layer(flossing, training.step_of(model).network, drives, basis)
        run = ss.simulate(model.network, drives, on=STEPS, gradient=ss.Recorded())
        beyond = jnp.maximum(jnp.mean(run.layers[0].sent) - active, 0)
        return value + EXCESS * beyond**2, ((*status, run.status), exponents)

    return loss


def flossing_of(treatment: Treatment) -> tuple[training.Loss, optax.GradientTransformation]:
    """The loss and the optimiser of flossing."""
    flossing = ss.Flossing(max(treatment.count, 1), transient=10, memory=0.8)
    return bounded_flossing(flossing, treatment.active), _cut(treatment.rate)


def _cut(rate: Any) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))


def flossed(
    models: BitAnswers, keys: Key[Array, " seeds"], pool: BitStreams, treatment: Treatment
) -> tuple[BitAnswers, int]:
    """The networks after flossing, and how many steps it took until all are near their target."""
    loss, optimiser = flossing_of(treatment)
    init, step = ss.gradient_training(loss, optimiser)
    over_seeds = eqx.filter_vmap(step, in_axes=(eqx.if_array(0), None))
    state, done = eqx.filter_vmap(init)(models, keys), 0
    while done < treatment.most:
        state, infos = descend(over_seeds, state, pool, steps=treatment.block, chunk=treatment.block)
        done += treatment.block
        if distances(infos.extra[-1]).max() <= treatment.near:
            break
    training.require_activity(state.parameters, pool)
    return state.parameters, done


def distances(exponents: Array) -> np.ndarray:
    """Mean distance from zero of the exponents `[seeds, layers, count]` of each network, per step."""
    return np.abs(np.asarray(exponents)).mean((1, 2))


def start_of(models: BitAnswers, pool: BitStreams, trials: int = 8) -> pd.DataFrame:
    """Of each network: norm of the last answer's gradient in the first state, geometric mean over trials; activity.

    Activity is the part of neurons and steps with a spike, in one trial.
    """
    norms = training.gradient_norms_of_last_answer(models, jax.tree.map(lambda leaf: leaf[:trials], pool))[:, :, 0]
    typical = np.exp(np.log(np.maximum(np.asarray(norms), np.finfo(np.float32).tiny)).mean(1))
    return pd.DataFrame({"norm": typical, "activity": np.asarray(training._activity(models, pool)[0])[:, 0]})


def table_of(task: Task, treatment: Treatment, seeds: list[int], judged: int) -> list[pd.DataFrame]:
    """A row for each network: what it is before training, and its accuracy on the trials of generator `judged`.

    What it is before training, `norm` and `activity`, is measured for the networks of the test (generator 1).
    """
    jax.clear_caches()
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    pool, test = trials_of(task, 0, task.trials), trials_of(task, judged, task.tests)
    sharpness = critical_of(task, treatment, keys, pool) if treatment.critical else task.sharpness
    models, done = networks(task, treatment, sharpness, keys), 0
    loss, optimiser = flossing_of(treatment)
    if treatment.count and not treatment.again:
        models, done = flossed(models, keys, pool, treatment)
    table = start_of(models, pool) if judged == TEST else pd.DataFrame(index=range(len(seeds)))
    rate = optax.cosine_decay_schedule(task.rate, task.steps) if task.falling else task.rate
    again = ss.Between(treatment.most // 2, (0, treatment.again * task.chunk))
    found = training.train_to_answer(
        models, keys, pool, test, optimiser=_cut(rate), trials=task.batch, steps=task.steps, chunk=task.chunk,
        schedule=again if treatment.again else ss.Never(), flossing=loss, flossing_optimiser=optimiser,
    )  # fmt: skip
    table["accuracy"], table["after"] = np.asarray(found.accuracy, float), np.asarray(found.course, float)[-1]
    table["flossing_steps"], table["sharpness"], table["seed"] = done + found.flossed, sharpness, seeds
    return [table.assign(**{name: getattr(task, name) for name in ("kind", "delay")}, treatment=treatment.name)]


def best_of(
    candidates: list[Treatment], measured: Callable[[Treatment], pd.DataFrame]
) -> tuple[Treatment, list[pd.DataFrame]]:
    """The candidate with the largest mean accuracy on validation trials and seeds (the first of equals), and all rows.

    A candidate alone is not measured; those that cannot be made (no critical sharpness, say) are left out; raises
    `ValueError` if all are.
    """
    if len(candidates) == 1:
        return candidates[0], []
    tables, scores = [], []
    for one in candidates:
        try:
            table = measured(one)
        except ValueError as error:
            table = pd.DataFrame({"accuracy": [math.nan], "reason": [str(error)]})
        tables.append(table.assign(**dict(zip(one._fields, one, strict=True)), treatment=one.name))
        scores.append(float(table.accuracy.mean()))
    if np.isnan(scores).all():
        raise ValueError(f"none of the {len(candidates)} candidates could be made.")
    return candidates[int(np.nanargmax(scores))], tables


def paired(table: pd.DataFrame, one: str, other: str, draws: int = DRAWS) -> dict[str, float]:
    """Accuracy of a treatment less that of another over equal seeds: mean, 95 % bootstrap interval, permutation test.

    The test flips the signs of the differences in all ways: `chance` is the part with a mean as far from zero.
    """
    wide = table.pivot_table("accuracy", "seed", "treatment")
    gaps = (wide[one] - wide[other]).to_numpy()
    drawn = np.random.default_rng(0).choice(gaps, (draws, gaps.size)).mean(1)
    signs = np.array(list(itertools.product((-1, 1), repeat=gaps.size)))
    chance = float((np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12).mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"mean": float(gaps.mean()), "low": float(low), "high": float(high), "chance": chance}


def comparisons(table: pd.DataFrame, one: str) -> dict[str, dict[str, float]]:
    """A treatment against every other one, by name."""
    others = [name for name in table.treatment.unique() if name != one]
    return {name: paired(table, one, name) for name in others}


def kept_name(task: Task, treatment: Treatment, seeds: list[int]) -> str:
    """A name for what is kept, of all that it depends on."""
    parts = [*(f"{value}" for value in (*task, *treatment)), *map(str, seeds)]
    return "-".join(parts).replace(" ", "_").replace(".", "_")


def measured_by(kept: Callable[..., tuple[pd.DataFrame, ...]], task: Task, seeds: list[int], judged: int) -> Callable:
    """`table_of` by treatment, of tables that are `kept(name, make)`."""

    def measured(treatment: Treatment) -> pd.DataFrame:
        make = functools.partial(table_of, task, treatment, seeds, judged)
        return kept(kept_name(task, treatment, seeds), make)[0]

    return measured
