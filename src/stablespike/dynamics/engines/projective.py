"""The path of QIF neurons through a trial, spikes included, as prefix products of 2 x 2 matrices.

tau V' = V (V - 1) + I is a Riccati equation. With s = exp(-t/tau), u = 1 - s and V = s U it becomes dU/du = U^2 + I0
while the current only decays, I = s^2 I0: tau_s = tau/2 takes the time out of it. Riccati equations are linear in
homogeneous coordinates (Reid 1972): U = n/d obeys d/du (n, d) = (I0 d, -n), so that over an interval without input

    (n, d) <- M (n, d),   M = [[s C, s I0 u S], [-u S, C]],   C = cos sqrt z, S = sin sqrt z / sqrt z, z = I0 u^2,

det M = s > 0, up to a positive factor. An input changes I alone, and a spike, V = +inf, is the direction d = 0, beyond
which the path goes on from V = -inf: no reset interrupts the product. The currents at the inputs do not depend on the
voltage: they are prefixes of I <- s^2 I + w. So a trial is two associative scans over its inputs.

The direction (n, d) turns one way through d = 0, half a turn a spike. Rounding of long products can leave a path where
the factors first contract and later expand; as the matrices of single intervals are known to the last digits, a step of
Newton's method mends it: the angle from each direction to where its predecessor's is sent, carried on by the affine
recurrence e <- g e + r, with g = det M |x|^2/|M x|^2 the derivative of the angle. The derivative of the path is the
same recurrence: no sum in it cancels, and it needs nothing of the products.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.engines.prefixes import Entries, affine_prefixes, product_prefixes, rescaled
from stablespike.dynamics.neurons.stumpff import stumpff_pair
from stablespike.native.conventions import FAR

MOST_SWEEPS = 8
LOST = 0.01  # an angle by which a path may not be off after the last sweep


class Interval(NamedTuple):
    """Intervals between inputs: s = exp(-t/tau) and u = 1 - s, `[intervals, neurons]`; one column if tau is one."""

    decay: Array
    gone: Array


@jax.custom_jvp
def directions(
    start: Float[Array, "2 neurons"], currents: Float[Array, "intervals neurons"], over: Interval
) -> Float[Array, "2 bounds neurons"]:
    """(n, d), of length one, at the start and at the end of every interval; its sign changes at each spike.

    `start` is (n, d) at the beginning, `currents` I at the start of each interval. NaN where the path is lost: where a
    current is so large that it cannot be followed, or errors of rounding grow to `LOST`. Errors: those of rounding
    times the condition of the path. Derivatives of any order and mode.
    """
    return settled(start, currents, over)[0]


def settled(start: Array, currents: Array, over: Interval) -> tuple[Array, Array]:
    """The directions, and how many of Newton's steps were taken; no derivative."""
    matrices, determinant = interval_matrices(currents, over)
    nn, nd, dn, dd = product_prefixes(matrices)
    n, d = start
    path = _unit(jnp.concatenate([start[:, None], jnp.stack([nn * n + nd * d, dn * n + dd * d])], 1))
    enough = math.sqrt(float(jnp.finfo(path.dtype).eps))

    def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        path, _, count = carry
        off = _errors(path, matrices, determinant)
        step = jnp.clip(off, -0.5, 0.5)
        return _unit(jnp.stack([path[0] - step * path[1], path[1] + step * path[0]])), jnp.abs(off), count + 1

    def goes_on(carry: tuple[Array, Array, Array]) -> Array:
        return (carry[1].max() > enough) & (carry[2] < MOST_SWEEPS)

    carry = sweep((path, jnp.zeros_like(path[0]), jnp.zeros((), jnp.int32)))
    path, off, count = jax.lax.while_loop(goes_on, sweep, carry)
    return jnp.where(off < LOST, path, jnp.nan), count


@directions.defjvp
def _directions_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    start, currents, over = primals
    path = directions(*primals)
    before = path[:, :-1]
    sent, pushed = jax.jvp(lambda *of: _applied(interval_matrices(*of)[0], before), (currents, over), tangents[1:])
    determinant = interval_matrices(currents, over)[1]
    length = sent[0] ** 2 + sent[1] ** 2
    turned = (sent[0] * pushed[1] - sent[1] * pushed[0]) / length
    first = (start[0] * tangents[0][1] - start[1] * tangents[0][0]) / (start[0] ** 2 + start[1] ** 2)
    turns = affine_prefixes(_after_nothing(determinant / length), jnp.concatenate([first[None], turned]))
    return path, jnp.stack([-path[1] * turns, path[0] * turns])


def interval_matrices(
    currents: Float[Array, "intervals neurons"], over: Interval
) -> tuple[Entries, Float[Array, "intervals neurons"]]:
    """M of every interval for its current I at the start, times the factor that makes its largest entry 1; and det M.

    C and S come with a factor below 1 where they would overflow, as in the flow of `QIF`; it is in the determinant.
    """
    s, u = over
    z = currents * u**2
    limit = jnp.finfo(z.dtype).max * math.exp(-2 * FAR)  # as in the neuron's own flow
    cosine, sine = stumpff_pair(z, (currents < -limit) & (z < -1e-3))
    far = z < -(FAR**2)
    fading = jnp.where(far, jnp.exp(FAR - jnp.sqrt(jnp.where(far, -z, FAR**2))), 1)  # of cosine and sine, beyond FAR
    matrices, factor = rescaled((s * cosine, s * currents * u * sine, -u * sine, cosine))
    return matrices, s * (fading * factor) ** 2


def _applied(matrices: Entries, path: Array) -> Array:
    """M x for the direction x before each interval."""
    nn, nd, dn, dd = matrices
    n, d = path
    return jnp.stack([nn * n + nd * d, dn * n + dd * d])


def _errors(path: Array, matrices: Entries, determinant: Array) -> Array:
    """Angle by which each direction is off, to first order."""
    n, d = path[:, 1:]
    sent = _applied(matrices, path[:, :-1])
    off = jnp.arctan2(n * sent[1] - d * sent[0], n * sent[0] + d * sent[1])
    growth = determinant / (sent[0] ** 2 + sent[1] ** 2)
    return affine_prefixes(_after_nothing(growth), _after_nothing(off))


def _after_nothing(values: Array) -> Array:
    """With a row of zeros in front: at the trial's start nothing is off."""
    return jnp.concatenate([jnp.zeros_like(values[:1]), values])


def _unit(path: Array) -> Array:
    return path * jax.lax.rsqrt(path[0] ** 2 + path[1] ** 2)
