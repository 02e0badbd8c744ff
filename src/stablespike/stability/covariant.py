"""Covariant Lyapunov vectors: the directions that the dynamics carry into each other, by the method of Ginelli et al.

Orthonormal tangent vectors depend on the metric; these do not. Forwards Z = Q D^T is made orthonormal, Z = L Q'; a
combination C Q of the vectors then goes into C L Q', so that C = N C' L^-1, with N to normalise, leads backwards from
any lower triangular C' to the covariant ones (Ginelli et al. 2007).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree

from stablespike.stability.lyapunov import SingularJacobian, Step, lyapunov_estimator, number_of_steps, push_tangents
from stablespike.stability.orthonormal import orthonormalise


class CovariantVectors(eqx.Module):
    """Unit `vectors` `[steps, count, dimension]`, one per row, in the state before each counted step.

    `growth` `[steps, count]` is the logarithm of the factor by which the step stretches each; their means are the
    leading exponents, in nats per step. `resolved` `[count]`: which the run defines; others must not be used.
    """

    vectors: Float[Array, "steps count dimension"]
    growth: Float[Array, "steps count"]
    resolved: Bool[Array, " count"]

    def cosines(self, first: int, second: int) -> Float[Array, " steps"]:
        """|cos| of the angle between two of the vectors before each step: 1 where they are tangent to each other."""
        return jnp.abs(jnp.sum(self.vectors[:, first] * self.vectors[:, second], -1))


def covariant_vectors(
    step: Step, state: PyTree, drives: PyTree, *, count: int, transient: int, settle: int, key: Key[Array, ""]
) -> CovariantVectors:
    """The `count` leading covariant vectors along a run over `drives` (leading axis: steps).

    The first `transient` steps turn the orthonormal vectors into the right flags, the last `settle` steps the
    coefficients on their way back; neither is counted. Memory grows with steps x count x dimension. Raises `ValueError`
    if nothing is left, or if there are more vectors than state dimensions, and `SingularJacobian` where a Jacobian is
    singular on the vectors; inside jit, where that is not known, look at `resolved`.
    """
    total = number_of_steps(drives)
    if min(transient, settle) < 0 or total - transient - settle < 1:
        raise ValueError(
            f"a transient of {transient} and {settle} steps to settle leave nothing of a run of {total}: lengthen it."
        )
    found = _run(step, state, drives, count, transient, settle, key)
    if not isinstance(found.resolved, jax.core.Tracer) and not bool(found.resolved.all()):
        raise SingularJacobian(
            f"Only the first {int(found.resolved.sum())} of {count} covariant vectors are defined: beyond them the "
            "Jacobian of a step is singular to rounding. Lower count."
        )
    if not isinstance(found.growth, jax.core.Tracer) and not bool(jnp.isfinite(found.growth).all()):
        raise SingularJacobian("The dynamics or their Jacobian are not finite: look at the states and the weights.")
    return found


@eqx.filter_jit
def _run(
    step: Step, state: PyTree, drives: PyTree, count: int, transient: int, settle: int, key: Key[Array, ""]
) -> CovariantVectors:
    def forwards(carry: tuple[PyTree, Array], drive: PyTree) -> tuple[tuple[PyTree, Array], tuple[Array, Array, Array]]:
        system, before = carry
        system, pushed = push_tangents(step, system, drive, before)
        basis, growth, independent = orthonormalise(pushed)
        # A row that depends on those above gets a 1, so that it stays out of theirs.
        lower = jnp.tril(pushed @ basis.T, -1) + jnp.diag(jnp.where(independent == 1, jnp.exp(growth), 1))
        return (system, basis), (before, lower, jnp.cumprod(independent) == 1)

    def backwards(after: Array, lower: Array) -> tuple[Array, tuple[Array, Array]]:
        before = jax.lax.linalg.triangular_solve(lower, after, left_side=False, lower=True)
        lengths = jnp.linalg.norm(before, axis=1)
        return before / lengths[:, None], (before / lengths[:, None], -jnp.log(lengths))

    start = lyapunov_estimator(step, count)[0](state, key)
    _, (bases, lowers, resolved) = jax.lax.scan(forwards, (start.system, start.basis), drives)
    bases, lowers, resolved = (kept[transient:] for kept in (bases, lowers, resolved))
    last = jnp.tril(jnp.ones((count, count), bases.dtype))
    last = last / jnp.linalg.norm(last, axis=1)[:, None]
    _, (coefficients, growth) = jax.lax.scan(backwards, last, lowers, reverse=True)
    counted = slice(0, bases.shape[0] - settle)
    return CovariantVectors(coefficients[counted] @ bases[counted], growth[counted], resolved.all(0))
