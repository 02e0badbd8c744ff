"""Exact networks of different coupling and one rate: is it the slow modes or the rate that decides what is learned?"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd
import scipy.stats

import stablespike as ss
from studies.event_flossing import ROOM, Training, measured, recalling_network, task_of, trained
from studies.strong_coupling import Coupling, inputs_of

TUNED_ON = 3 * 10**6  # seeds of the input on which rates are tuned lie above those on which they are measured
STRONGEST_DRIVE = 60.0  # either way: inhibition adds what balances it
PERMUTATIONS = 10_000


def counted_rate(network: ss.Network, coupling: Coupling, seed: int, windows: int) -> float:
    """Spikes of a neuron per tau of the hidden layer alone, on Poisson input of so many windows."""
    hidden, budget = ss.Network(network.layers[0]), ss.Events(ROOM * windows)
    run = ss.simulate(hidden, inputs_of(coupling, seed, windows), float(windows), on=budget)
    return float(run.output.counts.sum()) / (coupling.neurons * windows)


def crossing(rate_at: Callable[[float], float], target: float, lowest: float, highest: float, steps: int) -> float:
    """The drive at which a rate that grows with it passes the target, halved so often.

    Raises `ValueError` if the target does not lie between the rates at both ends.
    """
    ends = rate_at(lowest), rate_at(highest)
    if not ends[0] < target < ends[1]:
        raise ValueError(f"a rate of {target:g} is none of those between {ends[0]:.3g} and {ends[1]:.3g}.")
    for _ in range(steps):
        middle = (lowest + highest) / 2
        lowest, highest = (middle, highest) if rate_at(middle) < target else (lowest, middle)
    return (lowest + highest) / 2


def tuned(coupling: Coupling, target: float, seed: int, windows: int = 100, steps: int = 12) -> Coupling:
    """The coupling with the mean drive at which a neuron spikes `target` times per tau; weights are of this seed.

    The drive is the same for all channels, so that what tells the classes apart is left as it is.
    """

    def rate_at(mean: float) -> float:
        one = coupling._replace(mean=mean)
        network = recalling_network(jax.random.key(seed), one, task_of(0.0))
        return counted_rate(network, one, TUNED_ON + seed, windows)

    return coupling._replace(mean=crossing(rate_at, target, -STRONGEST_DRIVE, STRONGEST_DRIVE, steps))


def tables_of(
    coupling: Coupling, target: float, seed: int, delays: list[float], training: Training, measuring: dict[str, int]
) -> list[pd.DataFrame]:
    """What a network of this rate is, and what it learns: a row for each delay."""
    jax.clear_caches()
    names = {"loop": coupling.loop, "target": target, "seed": seed}
    one = tuned(coupling, target, seed)
    network = recalling_network(jax.random.key(seed), one, task_of(0.0))
    row: dict[str, Any] = names | {"mean": one.mean} | measured(network, one, seed, **measuring)
    return [
        pd.DataFrame([row | {"delay": delay} | trained(network, task_of(delay), training, seed) for delay in delays])
    ]


def rank_correlation(table: pd.DataFrame, column: str, groups: str) -> float:
    """Spearman's correlation of accuracy with a column within each group, its mean over the groups."""
    found = [rows.accuracy.corr(rows[column], method="spearman") for _, rows in table.groupby(groups)]
    return float(np.mean(found))


def chance_of(table: pd.DataFrame, column: str, groups: str) -> float:
    """How often the correlation is as large in absolute value when values are dealt anew within the groups."""
    generator, found = np.random.default_rng(0), abs(rank_correlation(table, column, groups))
    ranks = table.groupby(groups)[["accuracy", column]].rank()
    parts = [part.to_numpy() for _, part in ranks.groupby(table[groups])]
    hits = 0
    for _ in range(PERMUTATIONS):
        dealt = [np.corrcoef(part[:, 0], generator.permutation(part[:, 1]))[0, 1] for part in parts]
        hits += abs(np.mean(dealt)) >= found - 1e-12
    return (hits + 1) / (PERMUTATIONS + 1)


def paired_gap(table: pd.DataFrame, column: str, low: float, high: float) -> tuple[float, float, float]:
    """Accuracy at `low` less that at `high` of a column, all else equal: mean and 95 % interval by Student's t."""
    others = [name for name in ("loop", "target", "seed") if name != column]
    wide = table.pivot_table("accuracy", others, column)
    gaps = (wide[low] - wide[high]).groupby("seed").mean()
    mean, half = float(gaps.mean()), float(gaps.sem() * scipy.stats.t.ppf(0.975, len(gaps) - 1))
    return mean, mean - half, mean + half
