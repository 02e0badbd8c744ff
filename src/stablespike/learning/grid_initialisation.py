"""Initial weights of networks on a time grid: by fan-in, orthogonal, at the critical gain, driven by fluctuations.

Weights are `[post, pre]`; random keys are explicit.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from stablespike.dynamics.grid.cells import GridLIF, approach
from stablespike.dynamics.neurons.neuron import Scalar, require

NODES = 200  # of the Gauss-Hermite rule: enough for the kinks of SuperSpike and triangle to one part in a thousand


def normal_by_fan_in(key: Key[Array, ""], post: int, pre: int, gain: Scalar = 1.0) -> Float[Array, "post pre"]:
    """Independent normal weights of mean 0 and variance gain^2/pre (He et al. 2015)."""
    return gain / np.sqrt(pre) * jax.random.normal(key, (post, pre))


def orthogonal(key: Key[Array, ""], post: int, pre: int, gain: Scalar = 1.0) -> Float[Array, "post pre"]:
    """A random matrix with orthonormal rows or columns (whichever are fewer) times `gain` (Saxe et al. 2014)."""
    return jax.nn.initializers.orthogonal(gain)(key, (post, pre))


def critical_gain(
    cell: GridLIF, slope: Callable[[Float[Array, "..."]], Float[Array, "..."]], mean: float, deviation: float
) -> Float[Array, "*neurons"]:
    """Gain g at which recurrent weights N(0, g^2/N) neither shrink nor amplify small surrogate perturbations.

    g = (1 - a) threshold/sqrt(<slope(v)^2>), v = (V - threshold)/threshold with V normal of this `mean` and
    `deviation`. Mean field for N -> infinity, slopes independent of the weights and constant in time, the reset left
    out of the derivative: a mode of the random matrix with eigenvalue m obeys (z - a)(z - b) = m (1 - b) z, and
    |z| = 1 is first reached at z = 1, where m = 1 - a. Source: derived for this package; the surrogate plays the part
    of the slope in Sompolinsky et al. (1988).
    """
    require(jnp.asarray(deviation) > 0, "deviation must be positive.")
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    threshold = _column(cell.threshold)
    v = (mean + deviation * jnp.asarray(nodes) - threshold) / threshold
    mean_square = jnp.sum(jnp.asarray(weights / weights.sum()) * slope(v) ** 2, -1)
    return approach_of_current(cell) * cell.threshold / jnp.sqrt(mean_square)


class Drive(eqx.Module):
    """A group of `sources` inputs to each neuron that spike at `rate` (per unit of time of the time constants).

    `share` is the part of the membrane's variance that the group contributes; all shares add up to 1.
    """

    sources: int
    rate: float
    share: float = 1.0


def fluctuation_driven(
    key: Key[Array, ""], cell: GridLIF, neurons: int, drives: tuple[Drive, ...], *, mean: float = 0.0, distance: float
) -> tuple[Float[Array, "post pre"], ...]:
    """Normal weights `[post, pre]`, one array per group, that give the membrane a mean and fluctuations that spike.

    Without spikes the membrane then has the mean mu_U = `mean` and the standard deviation (threshold - mu_U)/xi, with
    xi = `distance`, the distance of the mean from threshold in standard deviations:

        mu_w = mu_U/(ebar sum n nu),    sigma_w^2 = share S/(n nu ehat) - mu_w^2,    S = ((threshold - mu_U)/xi)^2,

    with n sources of rate nu, ebar = dt sum_k e_k and ehat = dt sum_k e_k^2 of the cell's response e_k to a spike of
    weight 1, on its own grid (Rossbroich et al. 2022 give their limits for dt -> 0). These are averages over neurons:
    the realised mean scatters between them. `ValueError` where the mean alone brings more variance than is asked for.
    """
    if not np.isclose(sum(drive.share for drive in drives), 1):
        raise ValueError(f"shares must add up to 1, not {sum(drive.share for drive in drives)}.")
    if not isinstance(cell, GridLIF) or neurons < 1:
        raise ValueError(f"fluctuation_driven is for at least one neuron of a GridLIF, not {neurons} of {cell!r}.")
    if not all(drive.sources >= 1 and drive.rate > 0 and drive.share > 0 for drive in drives):
        raise ValueError("every group needs at least one source, a positive rate and a positive share.")
    require(jnp.asarray(distance) > 0, "distance must be positive.")
    require(jnp.asarray(cell.threshold) > mean, f"the mean {mean} must lie below the threshold.")
    area, energy = response_area(cell), response_energy(cell)
    variance = ((cell.threshold - mean) / distance) ** 2
    centre = mean / (area * sum(drive.sources * drive.rate for drive in drives))
    weights = []
    for one, drive in zip(jax.random.split(key, len(drives)), drives, strict=True):
        spread = drive.share * variance / (drive.sources * drive.rate * energy) - centre**2
        require(
            spread >= 0,
            "the mean alone brings more variance than is asked for: lower `mean` or `distance`, or add sources.",
        )
        normal = jax.random.normal(one, (neurons, drive.sources))
        weights.append(_column(centre) + _column(jnp.sqrt(spread)) * normal)
    return tuple(weights)


def response_area(cell: GridLIF) -> Float[Array, "*neurons"]:
    """ebar = dt/(1 - a): area under the membrane's response to a spike of weight 1 (unit of time)."""
    return cell.dt / approach_of_current(cell)


def response_energy(cell: GridLIF) -> Float[Array, "*neurons"]:
    """ehat: area under the square of that response (unit of time); tau_syn^2/(2 (tau_syn + tau_mem)) for dt -> 0.

    The response is e_k = (1 - b)(a^k + a^(k-1) b + ... + b^k), whose squares sum to
    (1 - b)^2 (1 + a b)/((1 - a^2)(1 - b^2)(1 - a b)).
    """
    a, b = 1 - approach_of_current(cell), 1 - approach(cell.membrane_time_constant, cell.dt)
    return cell.dt * (1 - b) ** 2 * (1 + a * b) / ((1 - a**2) * (1 - b**2) * (1 - a * b))


def approach_of_current(cell: GridLIF) -> Float[Array, "*neurons"]:
    """1 - a; 1 without a synaptic filter."""
    if cell.synaptic_time_constant is None:
        return jnp.ones(())
    return jnp.asarray(approach(cell.synaptic_time_constant, cell.dt))


def _column(values: Any) -> Array:
    """Numbers of the postsynaptic neurons as a column, if they have their own."""
    return jnp.asarray(values)[..., None]
