"""How gradients fare on their way through time, measured by probes that leave training untouched.

A probe adds zero to every state and every input of a run and asks for the derivative of the loss with respect to these
zeros: one pull-back gives dL/dstate(t) and dL/dinput(t) for all t. Statistics are running sums, so that long runs need
no storage.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from stablespike.stability.lyapunov import Step, number_of_steps, push_tangents, tangent_dimension


def gradients_through_time(
    step: Step, state: PyTree, drives: PyTree, loss: Callable[[PyTree], Float[Array, ""]]
) -> tuple[Float[Array, ""], PyTree, PyTree]:
    """The loss of a run, dL/dstate(t) and dL/dinput(t), t = 0 ... T - 1, as pytrees with a leading axis of T.

    `loss(states)` looks at the states 1 ... T after each step; dL/dstate(t) is what a change of the state before step t
    does, through all that follows. Only floating-point arrays are looked at; integer inputs get no derivative.
    """
    value, pull, _ = probed_run(step, state, drives, loss)
    return value, *pull(jnp.ones_like(value))


def probed_run(
    step: Step, state: PyTree, drives: PyTree, look: Callable[[PyTree], Float[Array, "*seen"]]
) -> tuple[Float[Array, "*seen"], Callable[[Float[Array, "*seen"]], tuple[PyTree, PyTree]], PyTree]:
    """What `look(states)` sees of a run, its pull-back to all states and inputs in time, and the state at the end.

    The pull-back of a direction c is that of c.look as in `gradients_through_time`.
    """
    steps = number_of_steps(drives)
    state_zeros = jax.tree.map(lambda leaf: jnp.zeros((steps, *leaf.shape), leaf.dtype), _floats(state))
    drive_zeros = jax.tree.map(jnp.zeros_like, _floats(drives))

    def perturbed(state_changes: PyTree, drive_changes: PyTree) -> tuple[Array, PyTree]:
        def one(state: PyTree, inputs: tuple[PyTree, PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            drive, state_change, drive_change = inputs
            new = step(_plus(state, state_change), _plus(drive, drive_change))
            return new, new

        final, states = jax.lax.scan(one, state, (drives, state_changes, drive_changes))
        return look(states), final

    return jax.vjp(perturbed, state_zeros, drive_zeros, has_aux=True)


def norms_through_time(gradients: PyTree) -> Float[Array, " steps"]:
    """Euclidean norm over all leaves at each time, for pytrees with a leading axis of time."""
    return _lengths(jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(gradients)], 1))


def group_norms(gradients: dict[str, PyTree]) -> dict[str, Float[Array, ""]]:
    """Norm of the gradient of each group of parameters."""
    return {name: _lengths(ravel_pytree(_floats(group))[0]) for name, group in gradients.items()}


def _lengths(rows: Array) -> Array:
    """Euclidean norm along the last axis, also where squares would leave the range of the type."""
    largest = jnp.max(jnp.abs(rows), -1, keepdims=True, initial=0)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return scale[..., 0] * jnp.sqrt(jnp.sum((rows / scale) ** 2, -1))


def alignment(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """Cosine of the angle between two gradients, pytrees of one structure.

    Raises `ValueError` if they are not of one structure, or if one of them is 0 or not finite; inside jit, where that
    cannot be known, the result is then NaN.
    """
    first, second = (
        [(path, jnp.shape(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)] for tree in (one, other)
    )
    if first != second:
        raise ValueError("gradients of different structure or shape have no angle between them.")
    a, b = ravel_pytree(one)[0], ravel_pytree(other)[0]
    lengths = _lengths(jnp.stack([a, b]))
    known = not isinstance(lengths, jax.core.Tracer)
    if known and not bool(jnp.all(jnp.isfinite(lengths) & (lengths > 0))):
        raise ValueError("a gradient is 0 or not finite, and has no direction: there is no alignment to speak of.")
    return jnp.vdot(a / lengths[0], b / lengths[1])


class GradientDimension(eqx.Module):
    """Running sums over `batches` of per-sample gradients: what the participation ratio is made of.

    `square_of_trace` and `trace_of_square` estimate (tr C)^2 and tr C^2 without bias, of gradients in units of `scale`,
    their largest entry so far; `naive` sums what each batch says by itself. Batches of zeros only do not count.
    """

    batches: Int[Array, ""]
    scale: Float[Array, ""]
    square_of_trace: Float[Array, ""]
    trace_of_square: Float[Array, ""]
    naive: Float[Array, ""]


def gradient_dimension(
    *, centred: bool, dtype: Any = jnp.float32
) -> tuple[Callable[[], GradientDimension], Callable[..., GradientDimension]]:
    """The pair (init, step) that estimates the dimensionality of per-sample gradients over batches.

    The participation ratio (sum s^2)^2 / sum s^4 of the singular values s of the gradients `[batch, parameters]` is
    (tr C)^2 / tr C^2 of their second moment C, about the mean if `centred`. In a batch of B it is at most B, and biased
    low. Here numerator and denominator are estimated without bias, from products of different samples only (Chen & Qin
    2010), and averaged over batches: `step(state, gradients)` takes batches of at least 4 samples.
    """

    def init() -> GradientDimension:
        zero = jnp.zeros((), dtype)
        return GradientDimension(jnp.zeros((), int), zero, zero, zero, zero)

    def step(state: GradientDimension, gradients: Float[Array, "batch parameters"]) -> GradientDimension:
        if gradients.shape[0] < 4:
            raise ValueError(f"a batch of {gradients.shape[0]} is too small: the estimates need 4 samples or more.")
        scale = jnp.maximum(state.scale, jnp.max(jnp.abs(gradients)).astype(state.scale.dtype))
        unit = jnp.where(scale > 0, scale, 1)
        scaled, before = gradients / unit, (state.scale / unit) ** 4
        gram = scaled @ scaled.T
        square_of_trace, trace_of_square = _unbiased_centred(gram) if centred else _unbiased(gram)
        some = jnp.any(gradients != 0)
        alone = gradients / jnp.where(some, jnp.max(jnp.abs(gradients)), 1)
        return GradientDimension(
            state.batches + some.astype(int),
            scale,
            before * state.square_of_trace + square_of_trace,
            before * state.trace_of_square + trace_of_square,
            state.naive + jnp.where(some, participation_ratio(alone @ alone.T, centred=centred), 0),
        )

    return init, step


def dimension_estimate(state: GradientDimension) -> tuple[float, float]:
    """The participation ratio with its finite-batch bias taken out, and as the mean of what each batch says by itself.

    Raises `ValueError` where there is no batch, or where so few samples were seen that the estimate is not positive.
    """
    if int(state.batches) == 0:
        raise ValueError("no batch was looked at that is not all 0.")
    if not bool(jnp.isfinite(state.scale)):
        raise ValueError("the gradients seen are not all finite: they have no dimensionality.")
    if not float(state.trace_of_square) > 0:
        raise ValueError("the gradients seen are too few to tell their dimensionality: look at more batches.")
    return float(state.square_of_trace / state.trace_of_square), float(state.naive) / int(state.batches)


def participation_ratio(gram: Float[Array, "batch batch"], *, centred: bool) -> Float[Array, ""]:
    """(tr K)^2 / tr K^2 of the matrix K of inner products of a batch, about its mean if `centred`."""
    if centred:
        gram = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    return jnp.trace(gram) ** 2 / jnp.sum(gram**2)


def _unbiased(gram: Array) -> tuple[Array, Array]:
    """(tr C)^2 and tr C^2, C = E[g g^T], from products of different samples."""
    size = gram.shape[0]
    diagonal = jnp.diagonal(gram)
    pairs = size * (size - 1)
    return (diagonal.sum() ** 2 - jnp.sum(diagonal**2)) / pairs, (jnp.sum(gram**2) - jnp.sum(diagonal**2)) / pairs


def _unbiased_centred(gram: Array) -> tuple[Array, Array]:
    """(tr C)^2 and tr C^2, C the covariance: means over all different i, j, k, l of (g_i - g_j) and (g_k - g_l).

    With h = g_i - g_j and h' = g_k - g_l independent, E[|h|^2 |h'|^2] = 4 (tr C)^2 and E[(h.h')^2] = 4 tr C^2.
    The sums over different indices are written through sums over all of them.
    """
    size = gram.shape[0]
    off = gram - jnp.diag(jnp.diagonal(gram))
    # |h|^2 is twice an entry of the matrix of half squared distances, whose diagonal is 0.
    half = (jnp.diagonal(gram)[:, None] + jnp.diagonal(gram)[None]) / 2 - gram
    rows = half.sum(1)
    fours = size * (size - 1) * (size - 2) * (size - 3)
    square_of_trace = (half.sum() ** 2 - 4 * jnp.sum(rows**2) + 2 * jnp.sum(half**2)) / fours
    squares, off_rows = jnp.sum(off**2), off.sum(1)
    triples = jnp.sum(off_rows**2) - squares
    quadruples = off.sum() ** 2 - 4 * triples - 2 * squares
    trace_of_square = (
        squares / (size * (size - 1)) - 2 * triples / (size * (size - 1) * (size - 2)) + quadruples / fours
    )
    return square_of_trace, trace_of_square


def condition_number(step: Step, state: PyTree, drives: PyTree) -> Float[Array, ""]:
    """Largest over smallest singular value of the Jacobian of a whole run, the product of those of its steps.

    In float64 at most about 1e15/dimension can be told; beyond, `ValueError` says so (inside jit the result is inf).
    Lyapunov exponents have no such limit.
    """
    dimension = tangent_dimension(state)

    def one(carry: tuple[PyTree, Array], drive: PyTree) -> tuple[tuple[PyTree, Array], None]:
        return push_tangents(step, carry[0], drive, carry[1]), None

    dtype = jax.tree.leaves(_floats(state))[0].dtype
    (_, rows), _ = jax.lax.scan(one, (state, jnp.eye(dimension, dtype=dtype)), drives)
    values = jnp.linalg.svd(rows, compute_uv=False)
    if not isinstance(values, jax.core.Tracer) and not bool(jnp.all(jnp.isfinite(values))):
        raise ValueError("the Jacobian is not finite: look at the states and the weights.")
    told = values[-1] > dimension * jnp.finfo(dtype).eps * values[0]
    if not isinstance(told, jax.core.Tracer) and not told:
        raise ValueError(
            f"the condition number exceeds what {dtype} can tell, or the Jacobian is singular: look at fewer steps, or "
            "at Lyapunov exponents."
        )
    return jnp.where(told, values[0] / jnp.where(told, values[-1], 1), jnp.inf)


class SilentNeurons(eqx.Module):
    """Which neurons have been seen to spike: `active` `[neurons]`."""

    active: Bool[Array, " neurons"]

    def seen(self, spikes: Float[Array, "*trials neurons"]) -> "SilentNeurons":
        """With these spikes (or counts of spikes), over any number of leading axes, looked at too."""
        return SilentNeurons(self.active | jnp.any(spikes != 0, tuple(range(spikes.ndim - 1))))

    @property
    def fraction(self) -> Float[Array, ""]:
        """Fraction of neurons that have not spiked."""
        return 1 - jnp.mean(self.active.astype(float))


def nobody_yet(neurons: int) -> SilentNeurons:
    """No neuron has spiked so far."""
    return SilentNeurons(jnp.asarray(np.zeros(neurons, bool)))


def _floats(tree: PyTree) -> PyTree:
    return eqx.filter(tree, eqx.is_inexact_array)


def _plus(tree: PyTree, change: PyTree) -> PyTree:
    """The tree with changes added to its floating-point arrays."""
    varied, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(jnp.add, varied, change), rest)
