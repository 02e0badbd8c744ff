"""Gradient flossing: Lyapunov exponents pushed to a target by gradient descent on the network's parameters.

Engelken (2023) for rate networks, Engelken & Abbott (2024) for surrogate networks; here for any step, exact event
networks included. The derivative goes through the orthonormalisation and through the trajectory of the state.

The loss is that of tangent vectors along the states of the run. Three gradients of it are in use for surrogate
networks: *frozen*, the states held (`memory` 0); *analog*, spikes on the trajectory with their true derivative, zero
(not offered); and *surrogate trajectory*, spikes on the trajectory with the surrogate's slope (`memory` 1). The last is
taken here. It is exact for smooth spikes of which the slope is the derivative. What the spikes of the reset are to it
is said by the cell's reset: in the full convention (`ResetToZero`) they have that slope, in tangent vectors and on the
trajectory; in the gated (`Detached`) they are constants in both, so that 1 - s is a fixed gate; in the public one
(`PUBLIC`, `Unfelt(Detached(...))`) tangent vectors leave the reset out, while the trajectory feels it as that gate.
Leaving it out of the trajectory's derivative, too, gives what is no gradient of the loss.
"""

import abc
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree

from stablespike.dynamics.status import Status
from stablespike.native.conventions import Flag
from stablespike.stability.lyapunov import LyapunovInfo, LyapunovState, lyapunov_estimator


class Flossing(eqx.Module):
    """What flossing asks for: the `count` leading exponents at `target`, from runs with these settings.

    `transient` steps are run, with the tangent vectors, and not counted (their derivative is); `interval` steps lie
    between two orthonormalisations, `target` is in nats per unit of `duration`. `memory` is the part of the
    trajectory's derivative that is handed from one interval to the next: 1 is the exact gradient (of a surrogate
    network: that of its surrogate trajectory), 0 freezes the trajectory between intervals, and with an `interval` of 1
    the gradient is then that of the Jacobians alone. The exact gradient grows with the length of the run where the
    leading exponent of the trajectory is positive: in the public convention not the one that is flossed, but the gated.
    """

    count: int = eqx.field(static=True)
    target: float = 0.0
    transient: int = eqx.field(static=True, default=0)
    interval: int = eqx.field(static=True, default=1)
    duration: Callable | None = None
    memory: float | Float[Array, ""] = 1.0

    def __check_init__(self) -> None:
        """Refuse counts and intervals below 1 and transients that end within an interval."""
        if self.count < 1 or self.interval < 1:
            raise ValueError(f"count and interval must be at least 1, not {self.count} and {self.interval}.")
        if self.transient < 0 or self.transient % self.interval:
            raise ValueError(
                f"the transient of {self.transient} steps must be a multiple of {self.interval} (interval)."
            )


def exponents_of_run(
    flossing: Flossing, step: Callable, state: PyTree, drives: PyTree, key: Key[Array, ""], steps: int | None = None
) -> tuple[Float[Array, " count"], Bool[Array, " count"], PyTree]:
    """Leading exponents of one run, which of them are defined, and the state at the end: differentiable in everything.

    `drives` have a leading axis of steps, or are None for a run of `steps`; what remains after the last whole interval
    is not run. Raises `ValueError` for a transient that leaves nothing.
    """
    total = jax.tree.leaves(drives)[0].shape[0] if drives is not None else steps
    if total is None or total - flossing.transient < flossing.interval:
        raise ValueError(
            f"a transient of {flossing.transient} steps leaves no interval of {flossing.interval} in a run of {total}."
        )
    intervals = total // flossing.interval
    options: dict[str, Any] = {} if flossing.duration is None else {"duration": flossing.duration}
    init, advance = lyapunov_estimator(step, flossing.count, interval=flossing.interval, **options)
    grouped = jax.tree.map(
        lambda leaf: leaf[: intervals * flossing.interval].reshape(intervals, flossing.interval, *leaf.shape[1:]),
        drives,
    )

    def remembered(carry: LyapunovState, drives: PyTree) -> tuple[LyapunovState, LyapunovInfo]:
        return advance(eqx.tree_at(lambda c: c.system, carry, _faded(carry.system, flossing.memory)), drives)

    carry, infos = jax.lax.scan(remembered, init(state, key), grouped, length=intervals)
    counted: LyapunovInfo = jax.tree.map(lambda leaf: leaf[flossing.transient // flossing.interval :], infos)
    return counted.growth.sum(0) / counted.duration.sum(), infos.resolved.all(0), carry.system


def _faded(system: PyTree, memory: float | Array) -> PyTree:
    """The same state with `memory` times its derivative."""
    varied, rest = eqx.partition(system, eqx.is_inexact_array)
    faded = jax.tree.map(lambda leaf: leaf + (memory - 1) * (leaf - jax.lax.stop_gradient(leaf)), varied)
    return eqx.combine(faded, rest)


def flossing_loss(
    flossing: Flossing, step: Callable, state: PyTree, drives: PyTree, key: Key[Array, ""], steps: int | None = None
) -> tuple[Float[Array, ""], tuple[Status, Float[Array, " count"]]]:
    """mean_i (lambda_i - target)^2 over the leading exponents, with the status (all defined?) and the exponents.

    In the form that `gradient_training` takes; several runs, `vmap`ped, are averaged by whoever calls.
    """
    exponents, defined, _ = exponents_of_run(flossing, step, state, drives, key, steps)
    flags = jnp.where(defined.all(), 0, int(Flag.NOT_DEFINED))
    status = Status(flags, jnp.zeros(()), flossing.count, "count")
    return jnp.mean((exponents - flossing.target) ** 2), (status, exponents)


def network_flossing(flossing: Flossing, key: Key[Array, ""]) -> Callable:
    """`flossing_loss` of a network that is its own step and knows its state at `rest()`, for `gradient_training`.

    The parameters are the network, the batch its drives. All steps use the same first tangent vectors, from `key`, so
    that the descent is of one function.
    """

    def loss(network: Any, drives: PyTree, unused: Any) -> tuple[Array, tuple[Status, Any]]:
        del unused
        return flossing_loss(flossing, network, network.rest(), drives, key)

    return loss


def with_flossing(task_loss: Callable, regulariser: Callable, strength: float) -> Callable:
    """The loss `task_loss + strength * regulariser`, both `(parameters, batch, key) -> (value, (status, extra))`.

    For `gradient_training`; status and `extra` become pairs of both.
    """

    def loss(parameters: PyTree, batch: PyTree, key: Key[Array, ""]) -> tuple[Array, tuple[Any, Any]]:
        for_task, for_flossing = jax.random.split(key)
        value, (status, extra) = task_loss(parameters, batch, for_task)
        penalty, (more, exponents) = regulariser(parameters, batch, for_flossing)
        return value + strength * penalty, ((status, more), (extra, exponents))

    return loss


class AbstractSchedule(eqx.Module):
    """When to floss during training."""

    @abc.abstractmethod
    def due(self, epoch: int, now: int, done: int, exponents: Callable[[], Float[Array, " count"]]) -> int:
        """Flossing steps that are due before an epoch.

        `now` steps were done before this epoch already, `done` before all epochs so far; `exponents()` measures.
        """


class Never(AbstractSchedule):
    """No flossing."""

    def due(self, epoch: int, now: int, done: int, exponents: Callable[[], Float[Array, " count"]]) -> int:
        """None."""
        return 0


class Before(AbstractSchedule):
    """Floss `steps` steps before training."""

    steps: int = 500

    def __check_init__(self) -> None:
        """Refuse a negative number of steps."""
        _require_not_negative(self.steps)

    def due(self, epoch: int, now: int, done: int, exponents: Callable[[], Float[Array, " count"]]) -> int:
        """All of them before epoch 0."""
        return self.steps - now if epoch == 0 else 0


class Between(AbstractSchedule):
    """Floss `steps` steps before each of the `epochs` (Engelken 2023: 500 steps before epochs 0, 100 and 200)."""

    steps: int = 500
    epochs: tuple[int, ...] = (0, 100, 200)

    def __check_init__(self) -> None:
        """Refuse a negative number of steps."""
        _require_not_negative(self.steps)

    def due(self, epoch: int, now: int, done: int, exponents: Callable[[], Float[Array, " count"]]) -> int:
        """All of them before one of the epochs."""
        return self.steps - now if epoch in self.epochs else 0


class Adaptive(AbstractSchedule):
    """Floss where the exponents say that gradients would not survive the task.

    Over the task's `horizon` h (in the exponents' unit of duration) a tangent vector of exponent lambda grows by
    exp(lambda h). While max_i |lambda_i| h over the leading ones exceeds `tolerance` nats, another block of `steps`
    steps is due, at most `most` steps in the whole training. No rule is published; this one is ours.
    """

    horizon: float
    tolerance: float = 3.0
    steps: int = 50
    most: int = 1500

    def __check_init__(self) -> None:
        """Refuse a negative number of steps, and a horizon or tolerance that says nothing."""
        _require_not_negative(self.steps)
        if not (self.horizon > 0 and self.tolerance > 0):
            raise ValueError(f"horizon and tolerance must be positive, not {self.horizon} and {self.tolerance}.")

    def due(self, epoch: int, now: int, done: int, exponents: Callable[[], Float[Array, " count"]]) -> int:
        """A block, as long as the exponents ask for it."""
        left = min(self.steps, self.most - done)
        if left <= 0:
            return 0
        largest = float(jnp.max(jnp.abs(exponents())))
        if np.isnan(largest):
            raise ValueError("An exponent is not a number: look at the states and the weights.")
        return left if largest * self.horizon > self.tolerance else 0


def _require_not_negative(steps: int) -> None:
    if steps < 0:
        raise ValueError(f"the number of flossing steps must not be negative, {steps}.")


def floss_if_due(
    schedule: AbstractSchedule,
    epoch: int,
    state: PyTree,
    *,
    block: Callable[[PyTree, int], PyTree],
    exponents: Callable[[PyTree], Float[Array, " count"]],
    done: int = 0,
) -> tuple[PyTree, int]:
    """Run the blocks that are due before an epoch: the new state, and the flossing steps done so far.

    `block(state, steps)` does that many steps (with `descend`, say), `exponents(state)` measures the leading exponents.
    """
    now = 0
    while due := schedule.due(epoch, now, done, functools.partial(exponents, state)):
        state = block(state, due)
        now, done = now + due, done + due
    return state, done
