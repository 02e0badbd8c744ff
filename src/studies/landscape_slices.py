"""Lines and planes through loss landscapes: jumps and their causes, changes of spike order, trust in the gradient.

Positions along a line are in units of the norm of all weights, so that networks of different weights compare.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Key

import stablespike as ss
from studies.loss_landscapes import Timing, timing_loss, trial_loss

LEVELS = 40  # of bisection: an interval is halved that often
JUMP = 1e-4  # tau^2: what the loss of a trial still changes by after that is a jump
SAME = 1e-6  # tau: spikes nearer than this on both sides of a jump are the same, and an arrival meets a spike


class Seen(NamedTuple):
    """Loss of single trials at positions, all neurons' spike times there, and whether the simulation was `fine`."""

    loss: Float[Array, " points"]
    times: Float[Array, "points neurons budget"]
    fine: Bool[Array, " points"]


class Bisected(NamedTuple):
    """The ends to which intervals were narrowed, and the loss at both."""

    low: Float[Array, " points"]
    high: Float[Array, " points"]
    below: Float[Array, " points"]
    above: Float[Array, " points"]


def weights_of(network: ss.Network) -> Float[Array, " weights"]:
    """All weights in a row."""
    return ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]


def with_weights(network: ss.Network, weights: Float[Array, " weights"]) -> ss.Network:
    """The network with other weights, in the order of `weights_of`."""
    trained, rest = eqx.partition(network, eqx.is_inexact_array)
    return eqx.combine(ravel_pytree(trained)[1](weights), rest)


def random_directions(key: Key[Array, ""], network: ss.Network, count: int) -> Float[Array, "count weights"]:
    """Orthogonal directions, uniform on the sphere, each as long as the vector of all weights."""
    weights = weights_of(network)
    rows = jnp.linalg.qr(jax.random.normal(key, (weights.size, count)))[0].T
    return rows * jnp.linalg.norm(weights)


def gradient_direction(network: ss.Network, task: Timing) -> tuple[Float[Array, " weights"], Float[Array, ""]]:
    """The direction of the loss's gradient, as long as the vector of weights, and its slope along it (tau^2)."""
    gradient = weights_of(_gradient(network, task))
    length = jnp.linalg.norm(weights_of(network))
    norm = jnp.linalg.norm(gradient)
    return gradient * (length / norm), norm * length


_gradient = eqx.filter_jit(eqx.filter_grad(lambda network, task: timing_loss(network, task)[0]))


def _at(network: ss.Network, direction: Array, task: Timing, trial: Array, position: Any) -> tuple[Any, Any]:
    moved = with_weights(network, weights_of(network) + position * direction)
    spikes, targets = jax.tree.map(lambda leaf: leaf[trial], (task.spikes, task.targets))
    return trial_loss(moved, spikes, targets, task)


@eqx.filter_jit
def seen(
    network: ss.Network,
    directions: Float[Array, "*axes weights"],
    task: Timing,
    trials: Int[Array, " points"],
    positions: Float[Array, "points *axes"],
) -> Seen:
    """What single trials are at positions on a line, or, with two directions and coordinates, in a plane."""

    def one(trial: Array, position: Array) -> Seen:
        direction = directions if directions.ndim == 1 else position @ directions
        loss, (status, times) = _at(network, direction, task, trial, position if directions.ndim == 1 else 1.0)
        return Seen(loss, times, status.flags == 0)

    return jax.vmap(one)(trials, positions)


@eqx.filter_jit
def bisected(
    network: ss.Network,
    direction: Float[Array, " weights"],
    task: Timing,
    trials: Int[Array, " points"],
    low: Float[Array, " points"],
    high: Float[Array, " points"],
) -> Bisected:
    """Halve intervals `LEVELS` times, going on with the half over which the trial's loss changes more."""
    loss = jax.vmap(lambda trial, position: _at(network, direction, task, trial, position)[0])

    def halve(_: Any, ends: Bisected) -> Bisected:
        middle = (ends.low + ends.high) / 2
        there = loss(trials, middle)
        left = jnp.abs(there - ends.below) >= jnp.abs(ends.above - there)
        narrowed = jnp.where(left, ends.low, middle), jnp.where(left, middle, ends.high)
        return Bisected(*narrowed, jnp.where(left, ends.below, there), jnp.where(left, there, ends.above))

    return jax.lax.fori_loop(0, LEVELS, halve, Bisected(low, high, loss(trials, low), loss(trials, high)))


def line_of(network: ss.Network, direction: Float[Array, " weights"], task: Timing, positions: Any) -> pd.DataFrame:
    """Every interval of a line in every trial: loss at its ends, changes of spike order, and the jump in it with cause.

    Columns `trial`, `interval`, `start`, `end`, `before`, `after` (losses), `orders`, `jump` (0: none), `place` and
    `cause`. At most one jump is found in an interval. `fine`: the simulations at both ends were.
    """
    positions = np.asarray(positions)
    trials, intervals = len(task.targets), len(positions) - 1
    which = jnp.repeat(jnp.arange(trials), len(positions))
    there = seen(network, direction, task, which, jnp.tile(jnp.asarray(positions), trials))
    loss, times, fine = (np.asarray(leaf).reshape(trials, intervals + 1, *leaf.shape[1:]) for leaf in there)
    which = jnp.repeat(jnp.arange(trials), intervals)
    ends = bisected(
        network, direction, task, which, *(jnp.tile(jnp.asarray(p), trials) for p in (positions[:-1], positions[1:]))
    )
    sides = [np.asarray(seen(network, direction, task, which, place).times) for place in (ends.low, ends.high)]
    jumps = np.asarray(ends.above - ends.below)
    rows = []
    for number, (trial, interval) in enumerate(np.ndindex(trials, intervals)):
        size, inputs, part = jumps[number], _inputs(task, trial), slice(interval, interval + 2)
        found = abs(size) > JUMP
        rows.append({
            "trial": trial, "interval": interval, "start": positions[interval], "end": positions[interval + 1],
            "before": loss[trial, interval], "after": loss[trial, interval + 1],
            "orders": order_changes(times[trial, interval], times[trial, interval + 1], inputs, task.until),
            "jump": size if found else 0.0, "place": float(ends.low[number]),
            "cause": cause_of(sides[0][number], sides[1][number], inputs, task) if found else "",
            "fine": bool(fine[trial, part].all()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _inputs(task: Timing, trial: int) -> Float[np.ndarray, " spikes"]:
    times = np.asarray(task.spikes.times[trial])
    return times[np.isfinite(times)]


def order_changes(before: np.ndarray, after: np.ndarray, inputs: Float[np.ndarray, " spikes"], until: float) -> int:
    """Pairs of spikes within the trial, of the network or its input, whose order differs between two points.

    `before`, `after` `[neurons, spikes]`; a spike is the n-th of its neuron, and counts if it is there at both points.
    """
    both = (before <= until) & (after <= until)
    first, second = (np.concatenate([times[both], inputs]) for times in (before, after))
    signs = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
    return int((signs < 0).sum()) // 2


def cause_of(low: np.ndarray, high: np.ndarray, inputs: Float[np.ndarray, " spikes"], task: Timing) -> str:
    """What made the first spike that differs on both sides of a jump come or go.

    `order`: another spike arrives at its neuron at the same time, within `SAME`, and comes before it on one side.
    `grazing`: none does; the voltage just reaches the threshold, or just does not. `end`: no spike within the trial
    differs, only continued ones do.
    """
    spike = first_difference(low, high, task.until)
    if spike is None:
        return "end"
    neuron, time, side = spike
    outputs = task.targets.shape[1]
    trains = (low, high)[side]
    below = trains[: len(trains) - outputs]
    heard = neuron >= len(below) and not task.recurrent
    sent = np.delete(trains, neuron, 0).ravel() if task.recurrent else below.ravel() if heard else np.zeros(0)
    arrivals = sent if heard else np.concatenate([sent, inputs])
    return "order" if arrivals.size and np.abs(arrivals - time).min() < SAME else "grazing"


def first_difference(low: np.ndarray, high: np.ndarray, until: float) -> tuple[int, float, int] | None:
    """Neuron and time of the earliest spike within the trial that one side has and the other has not, and which has."""
    found: list[tuple[float, int, int]] = []
    for neuron, rows in enumerate(zip(low, high, strict=True)):
        one, other = (np.minimum(row, until) for row in rows)
        apart = np.flatnonzero(np.abs(one - other) > SAME)
        if apart.size:
            pair = one[apart[0]], other[apart[0]]
            found.append((min(pair), neuron, int(np.argmin(pair))))
    if not found:
        return None
    time, neuron, side = min(found)
    return neuron, float(time), side


def of_batches(line: pd.DataFrame, sizes: Any) -> pd.DataFrame:
    """Along a line, of the mean loss of the first trials: jumps, changes of order, and the part of its way in jumps.

    `jumps` and `orders` are per unit of length; `part` is the sum of the sizes of all jumps over that of the loss's
    changes between points and within them: |jump| + |change - jump| of every interval.
    """
    length = line.end.max() - line.start.min()
    rows = []
    for size in sizes:
        inside = line[line.trial < size]
        mean = inside.assign(change=inside.after - inside.before).groupby("interval")[["change", "jump"]].sum() / size
        steps = inside.jump.abs().sum() / size
        smooth = (mean.change - mean.jump).abs().sum()
        rows.append({
            "batch": size, "jumps": (inside.jump != 0).sum() / length, "orders": inside.orders.sum() / length,
            "part": steps / (steps + smooth),
        })  # fmt: skip
    return pd.DataFrame(rows)


@eqx.filter_jit
def trust_of(
    loss: Any, network: ss.Network, task: Timing, sizes: Float[Array, " sizes"]
) -> tuple[Float[Array, " sizes"], Float[Array, ""]]:
    """Fall of the loss over what the gradient predicts, for steps against it of these sizes (norm of the weights).

    `loss(network, task)`; if its derivative is a surrogate, so is the prediction. And the gradient's norm.
    """
    start = weights_of(network)
    value, gradient = jax.value_and_grad(lambda weights: loss(with_weights(network, weights), task))(start)
    norm = jnp.linalg.norm(gradient)
    steps = sizes * jnp.linalg.norm(start)
    losses = jax.vmap(lambda step: loss(with_weights(network, start - step * gradient / norm), task))(steps)
    return (value - losses) / (steps * norm), norm


def trusted_size(sizes: Float[np.ndarray, " sizes"], ratios: Float[np.ndarray, " sizes"]) -> float:
    """The largest of ascending sizes up to which the ratio stays between 1/2 and 3/2; 0 if not even the first does."""
    good = np.abs(np.asarray(ratios) - 1) <= 0.5
    count = len(good) if good.all() else int(np.argmin(good))
    return float(sizes[count - 1]) if count else 0.0
