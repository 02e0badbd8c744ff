"""Lyapunov exponents of any differentiable step: tangent vectors carried along and kept orthonormal.

A step is a function `step(state, drive) -> state` of a pytree; its floating-point arrays are the state space, all else
(counters, flags) is carried along. Matrices of the size of the state are never formed: `count` tangent vectors go
through the linearised step. Networks are batched by `jax.vmap`.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key, PyTree

from stablespike.dynamics.arguments import require_whole
from stablespike.learning.requirements import require_key
from stablespike.stability.orthonormal import orthonormalise, random_basis

Step = Callable[[PyTree, PyTree], PyTree]
Duration = Callable[[PyTree, PyTree], Float[Array, ""] | float]
Exponents = Float[Array, " count"] | Float[np.ndarray, " count"]


class LyapunovState(eqx.Module):
    """What evolves: the state of the `system` and `basis` `[count, dimension]`, orthonormal tangent vectors as rows."""

    system: PyTree
    basis: Float[Array, "count dimension"]


class LyapunovInfo(eqx.Module):
    """What one interval adds: `growth` log|R_ii| `[count]`, its `duration`, and which growths are `resolved`.

    A growth is not resolved where the Jacobian of the interval is singular, to rounding, on the vectors up to this one.
    """

    growth: Float[Array, " count"]
    duration: Float[Array, ""]
    resolved: Bool[Array, " count"]


class LyapunovSpectrum(eqx.Module):
    """Leading `exponents` `[count]` in nats per unit of duration, with `standard_errors` from blocks of the run.

    `trace` `[intervals, count]` is the estimate from the beginning to each interval: how it converges. `duration` is
    the time averaged over, `resolved` `[count]` says which exponents may be used, `state` is where the run ended.
    """

    exponents: Float[Array, "*networks count"]
    standard_errors: Float[Array, "*networks count"]
    trace: Float[Array, "*networks intervals count"]
    duration: Float[Array, "*networks"]
    resolved: Bool[Array, "*networks count"]
    state: LyapunovState


class AbstractEventfulStep(eqx.Module):
    """A step that knows which of its runs have no events to average over."""

    @abc.abstractmethod
    def require_events(self, state: PyTree, drives: PyTree) -> None:
        """Raise `ValueError` for such a run; inside jit (values unknown) do nothing."""

    @abc.abstractmethod
    def require_ran(self, state: PyTree, steps: int) -> Any:
        """Raise for a run of so many steps to `state` that failed or was silent; inside jit do nothing."""


class SingularJacobian(RuntimeError):
    """An exponent was asked for that the dynamics do not define."""


def one_per_step(state: PyTree, drive: PyTree) -> float:
    """Duration of a step when exponents are per step."""
    del state, drive
    return 1.0


def tangent_dimension(state: PyTree) -> int:
    """Dimension of the state space: the number of floating-point entries."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array)))


def push_tangents(
    step: Step, state: PyTree, drive: PyTree, tangents: Float[Array, "count dimension"]
) -> tuple[PyTree, Float[Array, "count dimension"]]:
    """The state after a step, and D v for each tangent vector v `[count, dimension]`, D the Jacobian of the step.

    A derivative of both with respect to the state or the step's parameters is that of the state's own dynamics.
    """
    varied, rest = eqx.partition(state, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(varied)

    def flat_step(flat: Array) -> tuple[Array, PyTree]:
        moved, others = eqx.partition(step(eqx.combine(unravel(flat), rest), drive), eqx.is_inexact_array)
        return ravel_pytree(moved)[0], others

    def push(tangent: Array) -> tuple[Array, Array, PyTree]:
        return jax.jvp(flat_step, (flat,), (tangent,), has_aux=True)

    # Not `jax.linearize`: where a step is a scan (a window), JAX 0.10 then takes the derivative of the state without
    # the `custom_jvp` of what is inside, that is with spikes that have no slope.
    moved, pushed, others = jax.vmap(push, out_axes=(None, 0, None))(tangents)
    return eqx.combine(unravel(moved), others), pushed


def lyapunov_estimator(
    step: Step, count: int, *, interval: int = 1, duration: Duration = one_per_step
) -> tuple[Callable[..., LyapunovState], Callable[..., tuple[LyapunovState, LyapunovInfo]]]:
    """The pair (init, step) of the method of Benettin et al. (1980): Q <- D Q, QR, growth log|R_ii|.

    `init(state, key)` draws a random basis of `count` vectors; `step(carry, drives)` advances by `interval` steps,
    whose drives have a leading axis of that length, and orthonormalises once at the end. `duration(state, drive)` is
    the time that a step takes. Raises `ValueError` if there are more exponents than state dimensions.
    """
    if count < 1 or interval < 1:
        raise ValueError(f"count and interval must be at least 1, not {count} and {interval}.")

    def init(state: PyTree, key: Key[Array, ""]) -> LyapunovState:
        leaves = jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))
        dimension = tangent_dimension(state)
        if count > dimension:
            raise ValueError(
                f"{count} exponents were asked for, but the state has {dimension} dimensions: lower count."
            )
        if len({leaf.dtype for leaf in leaves}) > 1:
            raise ValueError(f"the state's arrays must share one floating type, not {[leaf.dtype for leaf in leaves]}.")
        return LyapunovState(state, random_basis(key, count, dimension, leaves[0].dtype))

    def advance(carry: LyapunovState, drives: PyTree) -> tuple[LyapunovState, LyapunovInfo]:
        def one(now: tuple[PyTree, Array, Array], drive: PyTree) -> tuple[tuple[PyTree, Array, Array], None]:
            system, tangents, time = now
            time = time + jnp.asarray(duration(system, drive), time.dtype)
            return (*push_tangents(step, system, drive, tangents), time), None

        start = carry.system, carry.basis, jnp.zeros((), carry.basis.dtype)
        if interval == 1:
            (system, tangents, time), _ = one(start, jax.tree.map(lambda leaf: leaf[0], drives))
        else:
            (system, tangents, time), _ = jax.lax.scan(one, start, drives, length=interval)
        basis, growth, independent = orthonormalise(tangents)
        resolved = jnp.cumprod(independent) == 1
        return LyapunovState(system, basis), LyapunovInfo(growth, time, resolved)

    return init, advance


def lyapunov_spectrum(step: Step, state: PyTree, drives: PyTree, **options: Any) -> LyapunovSpectrum:
    """The `count` leading exponents of a run, as `estimate_spectrum` finds them, and an error if one is not defined.

    Raises `SingularJacobian` where an exponent is -inf or lost in rounding; where a step can tell, `ValueError` for a
    run without events to average over and `SimulationError` for one that failed. Inside `jit` and `vmap` that cannot be
    known: there look at `resolved`, or give the result to `require_resolved` afterwards.
    """
    if isinstance(step, AbstractEventfulStep):
        step.require_events(state, drives)
    found = estimate_spectrum(step, state, drives, **options)
    if isinstance(step, AbstractEventfulStep):
        step.require_ran(found.state.system, number_of_steps(drives, options.get("steps")))
    require_resolved(found)
    return found


def estimate_spectrum(
    step: Step,
    state: PyTree,
    drives: PyTree,
    *,
    count: int,
    transient: int,
    key: Key[Array, ""],
    steps: int | None = None,
    interval: int = 1,
    blocks: int = 10,
    duration: Duration = one_per_step,
) -> LyapunovSpectrum:
    """The `count` leading exponents of a run over `drives` (leading axis: steps), or over `steps` steps of a free one.

    The first `transient` steps are run, with the tangent vectors, but not counted; `transient` and the steps after it
    are whole numbers of intervals. `interval` steps lie between two orthonormalisations. Standard errors: of the ratio
    of growth to duration, from `blocks` consecutive parts of the run, which should be longer than its correlations.
    Raises `ValueError` for a transient that leaves nothing to average over and for what does not divide.
    """
    require_key(key)
    if steps is not None:
        require_whole(1, steps=steps)
    total = number_of_steps(drives, steps)
    require_fitting(total, transient, count, interval, blocks)
    whole = map(int, (total, transient, count, interval, blocks))  # NumPy's would be traced
    return _run(step, duration, state, drives, key, *whole)


def require_fitting(total: int, transient: int, count: int, interval: int, blocks: int) -> None:
    """Raise `ValueError` unless a run of `total` steps can be cut into a transient, intervals and blocks."""
    require_whole(0, transient=transient)
    require_whole(1, count=count, interval=interval, blocks=blocks)
    measured = total - transient
    if measured <= 0:
        raise ValueError(f"a transient of {transient} steps leaves nothing of a run of {total}: lengthen the run.")
    if transient % interval or measured % interval:
        raise ValueError(
            f"the transient of {transient} steps and the {measured} after it must be multiples of the interval, "
            f"{interval}: change one of them."
        )
    if not 2 <= blocks <= measured // interval:
        raise ValueError(f"{blocks} blocks do not fit: there must be from 2 to {measured // interval} (intervals).")


@eqx.filter_jit
def _run(
    step: Step,
    duration: Duration,
    state: PyTree,
    drives: PyTree,
    key: Key[Array, ""],
    total: int,
    transient: int,
    count: int,
    interval: int,
    blocks: int,
) -> LyapunovSpectrum:
    init, advance = lyapunov_estimator(step, count, interval=interval, duration=duration)
    grouped = jax.tree.map(lambda leaf: leaf.reshape(total // interval, interval, *leaf.shape[1:]), drives)
    carry, infos = jax.lax.scan(advance, init(state, key), grouped, length=total // interval)
    infos = jax.tree.map(lambda leaf: leaf[transient // interval :], infos)
    growth, time = infos.growth, infos.duration[:, None]
    trace = jnp.cumsum(growth, 0) / jnp.cumsum(time, 0)
    errors = block_standard_errors(growth, infos.duration, blocks)
    return LyapunovSpectrum(trace[-1], errors, trace, jnp.sum(infos.duration), infos.resolved.all(0), carry)


def block_standard_errors(
    growth: Float[Array, "intervals count"], duration: Float[Array, " intervals"], blocks: int
) -> Float[Array, " count"]:
    """Standard error of l = sum(growth)/D from B consecutive blocks: sqrt(B/(B-1) sum_b (G_b - l D_b)^2)/D."""
    block = jnp.asarray(np.arange(growth.shape[0]) * blocks // growth.shape[0])
    parts = jax.ops.segment_sum(growth, block, blocks)
    times = jax.ops.segment_sum(duration, block, blocks)[:, None]
    deviations = parts - parts.sum(0) / times.sum() * times
    return jnp.sqrt(blocks / (blocks - 1) * jnp.sum(deviations**2, 0)) / times.sum()


def require_resolved(spectrum: LyapunovSpectrum) -> None:
    """Raise `SingularJacobian` if an exponent is not defined by the run; inside jit (values unknown) do nothing."""
    if isinstance(spectrum.resolved, jax.core.Tracer):
        return
    resolved = np.asarray(spectrum.resolved)
    if not resolved.all():
        defined = int(resolved.reshape(-1, resolved.shape[-1]).all(0).sum())
        raise SingularJacobian(
            f"Only the first {defined} of {resolved.shape[-1]} exponents are defined: beyond them the Jacobian of an "
            "interval is singular to rounding. Lower count, or shorten the interval if the Jacobian has full rank."
        )
    states = jax.tree.leaves(eqx.filter(spectrum.state.system, eqx.is_inexact_array))
    if not np.isfinite(np.asarray(spectrum.exponents)).all() or any(np.isnan(state).any() for state in states):
        raise SingularJacobian("The dynamics or their Jacobian are not finite: look at the states and the weights.")


def number_of_steps(drives: PyTree, steps: int | None = None) -> int:
    """Length of the run, from the drives if there are any; raises `ValueError` if they differ in it."""
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(drives)}
    if len(lengths) > 1 or (steps is not None and lengths - {steps}):
        raise ValueError(
            f"the drives have different lengths {sorted(lengths)} along their first axis (steps: {steps})."
        )
    if lengths:
        return lengths.pop()
    if steps is None:
        raise ValueError("a run without drives needs its number of steps: give it, or drives of that length.")
    return steps


def kaplan_yorke_dimension(exponents: Exponents) -> float:
    """Dimension j + (lambda_1 + ... + lambda_j)/|lambda_(j+1)| of the attractor, j the last with a sum that is >= 0.

    Kaplan & Yorke (1979). `ValueError` if the sum of the given exponents is not negative: then more are needed.
    """
    exponents = np.sort(np.asarray(exponents))[::-1]
    sums = np.cumsum(exponents)
    if not sums[-1] < 0:
        raise ValueError(
            f"the {exponents.size} given exponents sum to {sums[-1]:.4g}: the dimension needs so many that the sum is "
            "negative."
        )
    below = int(np.argmax(sums < 0))
    return below + (sums[below - 1] / -exponents[below] if below else 0.0)


def entropy_rate(exponents: Exponents) -> float:
    """Sum of the positive exponents in nats per unit of duration: an upper bound of the entropy rate (Pesin 1977).

    `ValueError` if all given exponents are positive: then more are needed.
    """
    exponents = np.asarray(exponents)
    if np.isnan(exponents).any():
        raise ValueError("an exponent is not a number: look at the states and the weights.")
    if np.min(exponents) > 0:
        raise ValueError(f"all {exponents.size} given exponents are positive: the entropy rate needs more of them.")
    return float(exponents[exponents > 0].sum())
