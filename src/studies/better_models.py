"""Networks designed from what was measured of others, in one contest: to recall a cue after a delay.

All have about as many trained numbers, the same trials, optimiser, cut of gradients and tries. Units of time are tau.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import scipy.stats
from jaxtyping import Array, Key, PyTree

import stablespike as ss
from stablespike.dynamics.status import SimulationError
from stablespike.learning.classify import Labelled
from stablespike.learning.training import TrainingError
from studies.cells_that_hear import KINDS
from studies.contestants import (
    CRITICAL,
    ROOM,
    STEPS,
    ByEvents,
    Candidate,
    Contestant,
    Gated,
    OnGrid,
    alike,
    cells,
    equally_slow,
    slow,
    task_of,
)
from studies.critical_sharpness import Recall, recall_trials
from studies.predicting_trainability import Subject, exponents

FASTER = 10.0  # than weights move delays, in tau


class Budget(NamedTuple):
    """What everybody may spend: trials, epochs, and rates of Adam that are tried once, judged on validation trials."""

    trials: int = 1024
    validation: int = 512
    tests: int = 512
    epochs: int = 10
    batch_size: int = 32
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    norm: float = 1.0


def count_of(network: PyTree) -> int:
    """Trained numbers: weights and delays, and all of a gated network."""
    if isinstance(network, ss.Network):
        hidden, readout = network.layers
        network = hidden.inputs, hidden.loop, readout.inputs
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array)))


def optimiser(budget: Budget, recall: Recall) -> optax.GradientTransformation:
    """Adam with the rate that a candidate carries, falling to 0 by half a cosine; delays move faster."""
    updates = budget.epochs * (budget.trials // budget.batch_size)
    falling = optax.cosine_decay_schedule(-1.0, updates)

    @optax.stateless
    def at_rate(updates: Candidate, params: Candidate | None) -> PyTree:
        assert params is not None
        rate = params.rate

        def moved(path: Any, update: Array, at: Array) -> Array:
            if getattr(path[-1], "name", "") != "delays":
                return update * rate.astype(update.dtype)
            return jnp.clip(at + FASTER * rate * update, 0.0, recall.delay + ROOM) - at

        return jax.tree_util.tree_map_with_path(moved, updates, params)

    steps = optax.clip_by_global_norm(budget.norm), optax.scale_by_adam(), optax.scale_by_schedule(falling)
    return optax.chain(*steps, at_rate)


class Timed:
    """Remembers the processor's time after every epoch: the first, in which all is compiled, can be left out."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.moments: list[float] = []

    def __call__(self, _: Any) -> dict[str, float]:
        """What `fit` calls after every epoch."""
        self.moments.append(time.process_time())
        return {}

    def training(self) -> float:
        """Seconds of all epochs, as long as the median of those after the first."""
        later = np.diff(self.moments)[1:]
        return float(np.median(later) * (len(self.moments) - 1)) if later.size else math.nan


class Contest(NamedTuple):
    """One contestant at one task: everything that is compiled, once for all tries and seeds."""

    contestant: Contestant
    recall: Recall
    budget: Budget
    loss: Callable[..., Any]
    init: Callable[..., Any]
    update: Callable[..., Any]


def contest_of(contestant: Contestant, recall: Recall, budget: Budget) -> Contest:
    """With a loss that is one object."""

    def loss(candidate: Candidate, batch: Labelled, key: Any) -> Any:
        return contestant.loss(candidate, batch, key, recall)

    return Contest(contestant, recall, budget, loss, *ss.gradient_training(loss, optimiser(budget, recall)))


class Trials(NamedTuple):
    """Of one seed: those that are trained on, those that choose the rate, and those that judge at the end."""

    training: Labelled
    validation: Labelled
    tests: Labelled


def trials_of(recall: Recall, budget: Budget, seed: int) -> Trials:
    """The same for all contestants, with room for the same number of spikes whatever the seed."""
    generator = np.random.default_rng(seed)
    parts = (recall_trials(generator, recall, count) for count in (budget.trials, budget.validation, budget.tests))
    mean = recall.channels * (recall.background * (recall.duration - recall.cue) + recall.cue_rate * recall.cue / 4)
    room = math.ceil(mean + 8 * math.sqrt(mean))
    return Trials(*(_with_room(part, room) for part in parts))


def _with_room(trials: Labelled, room: int) -> Labelled:
    spikes, labels = trials
    missing = room - spikes.times.shape[1]
    if missing < 0:
        raise ValueError(f"a trial has {spikes.times.shape[1]} spikes, and there is room for {room}.")
    times = jnp.pad(spikes.times, ((0, 0), (0, missing)), constant_values=jnp.inf)
    return ss.Spikes(times, jnp.pad(spikes.sources, ((0, 0), (0, missing)))), labels


def trained(contest: Contest, trials: Trials, rate: float, seed: int) -> tuple[Candidate, dict[str, Any]]:
    """The candidate after training, and its row: accuracy on validation trials, time, why a training ended early."""
    budget, recall = contest.budget, contest.recall
    network, sharpness = contest.contestant.start(jax.random.key(seed), recall, trials.training)
    kind = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))[0].dtype
    candidate = Candidate(network, jnp.asarray(sharpness, kind), jnp.asarray(rate, kind))
    begin, timed = contest.init(candidate, jax.random.key(seed)), Timed()
    row = {"rate": rate, "sharpness": sharpness, "parameters": count_of(network), "seed": seed, "reason": ""}
    try:
        state, history = ss.fit(
            contest.update, begin, trials.training, epochs=budget.epochs, batch_size=budget.batch_size, evaluate=timed
        )
        found = float(ss.accuracy_on(contest.loss, state.parameters, trials.validation)["test_accuracy"])
    except (TrainingError, SimulationError) as error:
        chance = 1 / recall.classes
        return candidate, row | {"validation": chance, "loss": math.nan, "seconds": math.nan, "reason": str(error)}
    row |= {"validation": found, "loss": float(history[-1]["loss"]), "seconds": timed.training()}
    return state.parameters, row


def dropped(key: Key[Array, ""], candidate: Candidate, spikes: ss.Spikes, part: float = 0.2) -> tuple[Any, ss.Spikes]:
    """Input spikes are lost with this probability."""
    lost = jax.random.bernoulli(key, part, spikes.times.shape)
    return candidate, _ordered(jnp.where(lost, jnp.inf, spikes.times), spikes.sources)


def jittered(key: Key[Array, ""], candidate: Candidate, spikes: ss.Spikes, by: float = 0.2) -> tuple[Any, ss.Spikes]:
    """Input spikes come earlier or later by a normal number of this deviation, in tau; none before 0."""
    moved = spikes.times + by * jax.random.normal(key, spikes.times.shape, spikes.times.dtype)
    return candidate, _ordered(jnp.abs(moved), spikes.sources)


def _ordered(times: Array, sources: Array) -> ss.Spikes:
    return jax.vmap(ss.in_order)(times, sources)


def noisy(key: Key[Array, ""], candidate: Candidate, spikes: ss.Spikes, part: float = 0.1) -> tuple[Candidate, Any]:
    """Weights have normal errors, of this part of the deviation of the weights of their matrix."""

    def moved(weights: Array, own: Array) -> Array:
        return weights + part * weights.std() * jax.random.normal(own, weights.shape, weights.dtype)

    return _reweighted(candidate, moved, key), spikes


def in_bits(key: Key[Array, ""], candidate: Candidate, spikes: ss.Spikes, bits: int = 8) -> tuple[Candidate, Any]:
    """Weights are rounded to so many bits: whole multiples of the largest of their matrix over 2^(bits - 1) - 1."""

    def rounded(weights: Array, _: Array) -> Array:
        unit = jnp.abs(weights).max() / (2 ** (bits - 1) - 1)
        return unit * jnp.round(weights / unit)

    return _reweighted(candidate, rounded, key), spikes


def _reweighted(candidate: Candidate, change: Callable[[Array, Array], Array], key: Key[Array, ""]) -> Candidate:
    """The candidate with other matrices; all else stays."""
    leaves, structure = jax.tree.flatten(candidate)
    keys = jax.random.split(key, len(leaves))
    matrices = [eqx.is_inexact_array(leaf) and leaf.ndim == 2 for leaf in leaves]
    changed = [
        change(leaf, own) if is_matrix else leaf for leaf, own, is_matrix in zip(leaves, keys, matrices, strict=True)
    ]
    return jax.tree.unflatten(structure, changed)


DISTURBANCES = {"dropped": dropped, "jittered": jittered, "noisy": noisy, "in 8 bits": in_bits}


def right_in(contest: Contest, candidate: Candidate, trials: Labelled) -> tuple[float, str]:
    """Part of the trials that are named rightly; chance, and why, where a run fails, as of a network that runs away."""
    try:
        return float(ss.accuracy_on(contest.loss, candidate, trials)["test_accuracy"]), ""
    except SimulationError as error:
        return 1 / contest.recall.classes, str(error)


def judged(contest: Contest, candidate: Candidate, tests: Labelled, seed: int) -> dict[str, Any]:
    """Accuracy on the test trials, also disturbed, what a trial costs, and the `reason` of what failed."""
    spikes, labels = tests
    found = {"test": right_in(contest, candidate, tests)}
    for number, (name, disturb) in enumerate(DISTURBANCES.items()):
        key = jax.random.fold_in(jax.random.key(seed), number)
        other, heard = disturb(key, candidate, spikes)
        found[name] = right_in(contest, other, (heard, labels))
    row: dict[str, Any] = {name: accuracy for name, (accuracy, _) in found.items()}
    reasons = [f"{name}: {reason}" for name, (_, reason) in found.items() if reason]
    few = jax.tree.map(lambda leaf: leaf[:64], spikes)
    return row | contest.contestant.costs(candidate, few, contest.recall)._asdict() | {"reason": "; ".join(reasons)}


def modes_of(contest: Contest, trials: Trials, seed: int) -> float:
    """How many Lyapunov exponents of the untrained hidden layer are smaller than 1/delay in size.

    Of LIF neurons on a grid; of other models it is not measured.
    """
    network, sharpness = contest.contestant.start(jax.random.key(seed), contest.recall, trials.training)
    if not isinstance(network, ss.Network) or not isinstance(network.layers[0].neuron, ss.LIF) or not sharpness:
        return math.nan
    hidden, readout = network.layers
    constants = jnp.broadcast_to(jnp.asarray(hidden.neuron.membrane_time_constant, float), (hidden.size,))
    inputs, loop, out = (one.weights.astype(float) for one in (hidden.inputs, hidden.loop, readout.inputs) if one)
    subject = Subject((inputs,), (loop,), out, (constants,), None, jnp.asarray(sharpness, float))
    found = exponents(subject, contest.recall._replace(neurons=hidden.size), STEPS, seed)
    return float((np.abs(found) * contest.recall.delay < 1).sum())


def tables_of(
    name: str, contestant: Contestant, delay: float, seeds: Sequence[int], budget: Budget, searched: int = 0
) -> list[pd.DataFrame]:
    """The search, a row for each rate, on trials and weights of the seed `searched`; then a row for each seed."""
    jax.clear_caches()
    contest = contest_of(contestant, task_of(delay), budget)
    trials = trials_of(contest.recall, budget, searched)
    tried = pd.DataFrame([trained(contest, trials, rate, searched)[1] for rate in budget.rates])
    best, rows = float(tried.rate[tried.validation.idxmax()]), []
    for seed in seeds:
        trials = trials_of(contest.recall, budget, seed)
        candidate, row = trained(contest, trials, best, seed)
        row["modes"] = modes_of(contest, trials, seed) if seed == seeds[0] else math.nan
        found = judged(contest, candidate, trials.tests, seed)
        rows.append(row | found | {"reason": row["reason"] or found["reason"]})
    names = {"model": name, "delay": delay}
    return [one.assign(**names) for one in (tried, pd.DataFrame(rows))]


NEURONS = 40  # of recurrent layers; other models have as many trained numbers
SLOW = 1 / 2  # of the neurons
MODELS: dict[str, Contestant] = {
    "LIF, constant": OnGrid(NEURONS, alike),
    "LIF, critical": OnGrid(NEURONS, alike, CRITICAL),
    "LIF, slow modes": OnGrid(NEURONS, functools.partial(slow, SLOW), CRITICAL),
    "LIF, equally slow": OnGrid(NEURONS, functools.partial(equally_slow, SLOW), CRITICAL),
    "exact QIF, delay lines": ByEvents(105, ss.QIF),
    "exact QIF, no delays": ByEvents(106, ss.QIF, delayed=False),
    "exact LIF, delay lines": ByEvents(105, ss.LIF, current=2.0, spread=1.0, budget=4.0),
    **{name: OnGrid(NEURONS, functools.partial(cells, KINDS[name])) for name in ("SE-adaptive", "BRF", "C-SiLIF")},
    "gated rates": Gated(20),
}


class Comparison(NamedTuple):
    """A model, the one without its ingredient, by how much it is predicted to be ahead, and how good it is to be."""

    model: str
    without: str
    ahead: float
    least: float = 0.0


COMPARISONS = (
    Comparison("LIF, critical", "LIF, constant", 0.05),
    Comparison("LIF, slow modes", "LIF, critical", 0.1, 0.9),
    Comparison("LIF, slow modes", "LIF, equally slow", 0.1, 0.9),
    Comparison("exact QIF, delay lines", "exact QIF, no delays", 0.5, 0.9),
    Comparison("exact QIF, delay lines", "exact LIF, delay lines", 0.02, 0.9),
)


def paired(values: pd.Series, others: pd.Series, level: float = 0.95) -> tuple[float, float, float]:
    """Mean over seeds of differences, and the ends of Student's interval of it, which one seed does not have."""
    differences = (values - others).to_numpy()
    mean, count = float(differences.mean()), differences.size
    if count < 2:
        return mean, -math.inf, math.inf
    half = float(scipy.stats.t.ppf((1 + level) / 2, count - 1) * differences.std(ddof=1) / math.sqrt(count))
    return mean, mean - half, mean + half


def compared(table: pd.DataFrame, one: Comparison, delay: float) -> dict[str, Any]:
    """What came of a comparison at a delay, and whether it is as it was predicted."""
    values = table[table.delay == delay].set_index("seed").groupby("model").test
    own = values.get_group(one.model)
    mean, low, high = paired(own, values.get_group(one.without))
    names = {"model": one.model, "without": one.without, "delay": delay}
    held = mean >= one.ahead and low > 0 and own.mean() >= one.least
    return names | {"ahead": mean, "low": low, "high": high, "predicted": one.ahead, "held": bool(held)}


def goal(rows: pd.DataFrame) -> dict[str, Any]:
    """The best network with a surrogate, by how much the exact one with delay lines is ahead, and their operations."""
    exact = rows[rows.model == "exact QIF, delay lines"].set_index("seed")
    surrogates = rows[rows.model.isin([name for name, model in MODELS.items() if isinstance(model, OnGrid)])]
    best = surrogates.groupby("model", sort=False).test.mean().idxmax()
    rival = rows[rows.model == best].set_index("seed")
    ahead, low, high = paired(exact.test, rival.test)
    counts = [float((one.additions + one.multiplications).mean()) for one in (exact, rival)]
    found = {
        "best": best,
        "ahead": ahead,
        "low": low,
        "high": high,
        "operations": counts[0],
        "its_operations": counts[1],
    }
    return found | {"held": bool(ahead >= -0.02 and counts[0] < counts[1])}


def numbers_of(table: pd.DataFrame, compared: pd.DataFrame, goal: Mapping[float, Mapping[str, Any]]) -> dict[str, Any]:
    """All that may be quoted, by model and delay."""

    def key(delay: float) -> str:
        return f"delay {delay:g}".replace(".", "_")

    columns = ["test", "rate", "parameters", "seconds", "spikes", "additions", "multiplications", "sharpness", "modes"]
    by_delay = {
        key(delay): {
            name: one[[*columns, *DISTURBANCES]].mean().dropna().to_dict()
            for name, one in rows.groupby("model", sort=False)
        }
        for delay, rows in table.groupby("delay", sort=False)
    }
    pairs = {
        f"{one.model} / {one.without} / {key(one.delay)}": one._asdict() for one in compared.itertuples(index=False)
    }
    return {"models": by_delay, "compared": pairs, "goal": {key(delay): dict(found) for delay, found in goal.items()}}
