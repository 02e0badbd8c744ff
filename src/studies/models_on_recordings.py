"""The designed networks of `better-models` and those of the literature on recordings: one contest, one small search.

Tasks are those of `recorded_tasks`, networks those of `recording_models`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, PyTree

import stablespike as ss
from stablespike.dynamics.status import SimulationError
from stablespike.learning.training import TrainingError
from studies.better_models import FASTER, Comparison, Timed, dropped, in_bits
from studies.contestants import Candidate
from studies.recorded_tasks import Parts, Task, Trials, some
from studies.recording_models import LONGEST, MODELS, Grown, Model, OnGrid

DISTURBANCES = {"dropped": dropped, "in 8 bits": in_bits}
COSTED = 64  # test trials whose operations are counted
SEEN = 270  # training trials whose accuracy is told
AT_ONCE = 54
EXACT = "exact QIF, delay lines"
BEHIND = 0.02  # that the exact network may be behind the best surrogate network
COMPARISONS = (
    Comparison("LIF, critical", "LIF, constant", 0.01),
    Comparison("LIF, slow modes", "LIF, critical", 0.01),
    Comparison("exact QIF, delay lines", "exact QIF, no delays", 0.05),
    Comparison("exact QIF, delay lines", "exact LIF, delay lines", 0.01),
)


class Contest(NamedTuple):
    """One model at one task: everything that is compiled, once for all tries and seeds."""

    model: Model
    task: Task
    epochs: int
    init: Callable[..., Any]
    update: Callable[..., Any]


def contest_of(model: Model, task: Task, trials: int, epochs: int) -> Contest:
    """With a loss that is one object."""

    def loss(candidate: Candidate, batch: Trials, key: Any) -> Any:
        del key
        spikes, labels = batch
        status, voltages = model.voltages(candidate, spikes, task, task.every)
        value, scores = task.loss(voltages, labels)
        return value, (status, scores)

    rule = optimiser(task, epochs * (trials // task.batch_size))
    return Contest(model, task, epochs, *ss.gradient_training(loss, rule))


def optimiser(task: Task, updates: int) -> optax.GradientTransformation:
    """Adam with the rate that a candidate carries, falling to 0 by half a cosine; delays move faster, by membranes."""
    falling = optax.cosine_decay_schedule(-1.0, updates)

    @optax.stateless
    def at_rate(updates: Candidate, params: Candidate | None) -> PyTree:
        assert params is not None
        rate = params.rate

        def moved(path: Any, update: Array, at: Array) -> Array:
            if getattr(path[-1], "name", "") != "delays":
                return update * rate.astype(update.dtype)
            return jnp.clip(at + FASTER * task.membrane * rate * update, 0.0, LONGEST * task.pause) - at

        return jax.tree_util.tree_map_with_path(moved, updates, params)

    return optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.scale_by_schedule(falling), at_rate)


def numbers_trained(network: PyTree) -> int:
    """Trained numbers: weights and delays, logarithms of neurons' parameters, all of a gated network."""
    logarithms = network.logarithms if isinstance(network, Grown) else {}
    network = network.network if isinstance(network, Grown) else network
    if isinstance(network, ss.Network):
        hidden, readout = network.layers
        network = hidden.inputs, hidden.loop, readout.inputs
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter((network, logarithms), eqx.is_inexact_array)))


def trained(
    contest: Contest, start: tuple[PyTree, float], trials: Parts, rate: float, seed: int
) -> tuple[Candidate, dict[str, Any]]:
    """The candidate after training, and its row: accuracy on validation trials, time, why a training ended early."""
    task, (network, sharpness) = contest.task, start
    kind = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))[0].dtype
    candidate = Candidate(network, jnp.asarray(sharpness, kind), jnp.asarray(rate, kind))
    row = {"rate": rate, "sharpness": sharpness, "parameters": numbers_trained(network), "seed": seed, "reason": ""}
    begin, timed = contest.init(candidate, jax.random.key(seed)), Timed()
    try:
        state, history = ss.fit(
            contest.update, begin, trials.train, epochs=contest.epochs, batch_size=task.batch_size, evaluate=timed
        )
        found = float(right_in(contest, state.parameters, trials.validation).mean())
    except (TrainingError, SimulationError) as error:
        return candidate, row | {"validation": task.chance, "loss": math.nan, "seconds": math.nan, "reason": str(error)}
    return state.parameters, row | {"validation": found, "loss": history[-1]["loss"], "seconds": timed.training()}


def right_in(contest: Contest, candidate: Candidate, trials: Trials) -> Float[np.ndarray, " trials"]:
    """The part of each trial that is named rightly; raises `SimulationError` where a run fails."""
    parts, number = [], len(trials[1])
    for start in range(0, number, AT_ONCE):
        here = np.minimum(np.arange(start, start + AT_ONCE), number - 1)
        status, right = _named(contest.model, contest.task, candidate, jax.tree.map(lambda leaf: leaf[here], trials))  # noqa: B023
        ss.raise_unless_ok(status)
        parts.append(np.asarray(right))
    found = np.concatenate(parts)[:number]
    return found.reshape(number, -1).mean(1)


@eqx.filter_jit
def _named(model: Any, task: Task, candidate: Candidate, trials: Trials) -> tuple[Any, Array]:
    spikes, labels = trials
    status, voltages = model.voltages(candidate, spikes, task, task.looked)
    return status, task.right(voltages, labels)


def judged(contest: Contest, candidate: Candidate, trials: Parts, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Accuracies, also on disturbed test trials, what a trial costs, the `reason` of what failed; right by test trial.

    A run that fails, as of a network that runs away, counts as the commonest label.
    """
    spikes, labels = trials.test
    asked = {"train": (candidate, some(trials.train, SEEN)), "test": (candidate, trials.test)}
    for number, (name, disturb) in enumerate(DISTURBANCES.items()):
        other, heard = disturb(jax.random.fold_in(jax.random.key(seed), number), candidate, spikes)
        asked[name] = other, (heard, labels)
    found, reasons = {}, []
    for name, (one, heard) in asked.items():
        try:
            found[name] = right_in(contest, one, heard)
        except SimulationError as error:
            found[name] = np.full(len(heard[1]), contest.task.chance)
            reasons.append(f"{name}: {error}")
    costs = contest.model.costs(candidate, some(trials.test, COSTED)[0], contest.task)._asdict()
    row = {name: float(one.mean()) for name, one in found.items()}
    return row | costs | {"reason": "; ".join(reasons)}, found["test"]


def tables_of(
    name: str, task: Task, trials: Parts, seeds: Sequence[int], rates: Sequence[float], epochs: int
) -> list[pd.DataFrame]:
    """The search, a row for each rate, by the first seed; a row for each seed at the best rate; right by test trial.

    The best is that on validation trials, and the network that it gave is the first seed's.
    """
    jax.clear_caches()
    contest = contest_of(MODELS[name], task, len(trials.train[1]), epochs)
    starts = {seed: contest.model.start(jax.random.key(seed), task, trials.train[0]) for seed in seeds}
    tries = [trained(contest, starts[seeds[0]], trials, rate, seeds[0]) for rate in rates]
    tried = pd.DataFrame([row for _, row in tries])
    best = int(tried.validation.idxmax())
    rows, right = [], []
    for seed in seeds:
        again = tries[best] if seed == seeds[0] else None
        candidate, row = again or trained(contest, starts[seed], trials, rates[best], seed)
        found, by_trial = judged(contest, candidate, trials, seed)
        rows.append(row | found | {"reason": row["reason"] or found["reason"]})
        right.append(pd.DataFrame({"seed": seed, "trial": np.arange(by_trial.size), "right": by_trial}))
    names = {"model": name, "set": task.name}
    return [one.assign(**names) for one in (tried, pd.DataFrame(rows), pd.concat(right))]


def by_seed_and_trial(right: pd.DataFrame, model: str, name: str) -> Float[np.ndarray, "seeds trials"]:
    """The parts named rightly of a model on a set."""
    here = right[(right.model == model) & (right.set == name)]
    return here.pivot_table("right", "seed", "trial").to_numpy()


def interval(values: Float[np.ndarray, "seeds trials"], draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean by the bootstrap: seeds and trials are drawn with repetition, both at once."""
    generator, (seeds, trials) = np.random.default_rng(0), values.shape
    means = [
        values[generator.integers(seeds, size=seeds)][:, generator.integers(trials, size=trials)].mean()
        for _ in range(draws)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def compared(right: pd.DataFrame, one: Comparison, name: str) -> dict[str, Any]:
    """What came of a comparison on a set, paired by seed and trial, and whether it is as it was predicted."""
    own, other = (by_seed_and_trial(right, model, name) for model in (one.model, one.without))
    ahead, (low, high) = float((own - other).mean()), interval(own - other)
    names = {"model": one.model, "without": one.without, "set": name}
    held = ahead >= one.ahead and low > 0
    return names | {"ahead": ahead, "low": low, "high": high, "predicted": one.ahead, "held": bool(held)}


def goal(table: pd.DataFrame, right: pd.DataFrame, name: str) -> dict[str, Any]:
    """The best network with a surrogate on a set, how far the exact one is ahead of it, and their operations."""
    rows = table[
        (table.set == name) & table.model.isin([one for one, model in MODELS.items() if isinstance(model, OnGrid)])
    ]
    best = str(rows.groupby("model", sort=False).test.mean().idxmax())
    difference = by_seed_and_trial(right, EXACT, name) - by_seed_and_trial(right, best, name)
    (low, high), ahead = interval(difference), float(difference.mean())
    own, its = (operations(table[(table.set == name) & (table.model == one)]) for one in (EXACT, best))
    found = {"best": best, "ahead": ahead, "low": low, "high": high, "operations": own, "its_operations": its}
    return found | {"held": bool(ahead >= -BEHIND and own < its)}


def operations(rows: pd.DataFrame) -> float:
    """Synaptic operations of a trial, mean over seeds."""
    return float((rows.additions + rows.multiplications).mean())


def with_intervals(table: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Of each model on each set: means over seeds, least and largest `test`, and its interval over seeds and trials."""
    kept = ["test", "train", *DISTURBANCES, "seconds", "spikes", "additions", "multiplications", "parameters", "rate"]
    means = table.groupby(["set", "model"], sort=False)[kept].mean()
    ends = table.groupby(["set", "model"], sort=False).test.agg(["min", "max"])
    spread = [interval(by_seed_and_trial(right, model, name)) for name, model in means.index]
    return means.join(ends).join(pd.DataFrame(spread, index=means.index, columns=["low", "high"]))


def numbers_of(means: pd.DataFrame, compared: pd.DataFrame, goal: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All that may be quoted, by set and model."""
    by_set = {
        name: {model: one.dropna().to_dict() for model, one in rows.droplevel("set").iterrows()}
        for name, rows in means.groupby(level="set", sort=False)
    }
    pairs = {f"{one.model} / {one.without} / {one.set}": one._asdict() for one in compared.itertuples(index=False)}
    return {"models": by_set, "compared": pairs, "goal": {name: dict(found) for name, found in goal.items()}}
