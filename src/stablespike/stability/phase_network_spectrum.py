"""Lyapunov spectra of large theta networks: a native restatement of `NextSpike(network, Phase())`.

With equal neurons all phases grow alike, so that in phases a free flow changes no tangent vector, and a spike of neuron
i touches only the neurons that it reaches: d_j <- H'(phi_j) (d_j - d_i) + d_i. In the coordinates (x, y) of `Theta` a
pulse w is x' = x + (w/a) y, and H' = (x^2 + y^2)/(x'^2 + y^2). A spike costs as many operations as it has targets times
exponents, and one orthonormalisation serves a few hundred spikes.
"""

from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numba import njit

from stablespike.dynamics.neurons.theta import Theta
from stablespike.native.gram_schmidt import orthonormalise_rows
from stablespike.stability.lyapunov import (
    LyapunovSpectrum,
    LyapunovState,
    block_standard_errors,
    require_fitting,
    require_resolved,
)


def theta_network_spectrum(
    neuron: Theta,
    weights: Float[np.ndarray, "post pre"],
    phases: Float[np.ndarray, " neurons"],
    *,
    spikes: int,
    transient: int,
    count: int,
    generator: np.random.Generator,
    interval: int = 100,
    blocks: int = 10,
) -> LyapunovSpectrum:
    """Leading exponents per unit of time of the flow of a homogeneous, autonomous theta network, in float64.

    `phases` `[neurons]` from 0 to the period; `spikes` network spikes are run, of which `transient` are not counted, in
    intervals of `interval` between orthonormalisations. The rate of a neuron is (spikes - transient) / (neurons *
    duration). Raises `ValueError` for settings that do not fit and for neurons that are not all alike.
    """
    size, phases = len(phases), np.array(phases, float)
    _require_fitting(neuron, weights, phases, spikes, transient, count, interval, blocks)
    period = float(neuron.period)
    vectors = generator.normal(size=(count, size))
    growth, durations = np.empty((spikes // interval, count)), np.empty(spikes // interval)
    independent = np.empty((spikes // interval, count), np.int32)
    _orthonormal(vectors, np.empty(count), np.empty(count, np.int32))
    _advance(
        phases,
        vectors,
        *_outgoing(np.asarray(weights, float) / float(neuron.amplitude)),
        period,
        interval,
        growth,
        durations,
        independent,
    )
    kept = slice(transient // interval, None)
    found = _spectrum(
        jnp.asarray(growth[kept]),
        jnp.asarray(durations[kept]),
        jnp.asarray(np.cumprod(independent[kept], 1).all(0)),
        LyapunovState(jnp.asarray(phases), jnp.asarray(vectors)),
        blocks,
    )
    require_resolved(found)
    return found


def _require_fitting(
    neuron: Theta,
    weights: np.ndarray,
    phases: np.ndarray,
    spikes: int,
    transient: int,
    count: int,
    interval: int,
    blocks: int,
) -> None:
    """Raise `ValueError` for what does not fit together."""
    size = len(phases)
    if np.ndim(neuron.drive) or np.ndim(neuron.membrane_time_constant):
        raise ValueError("the native spectrum is for equal neurons: use NextSpike for a heterogeneous population.")
    if not 1 <= count <= size or weights.shape != (size, size):
        raise ValueError(
            f"count must be from 1 to {size} and weights [{size}, {size}], not {count} and {list(weights.shape)}."
        )
    require_fitting(spikes, transient, count, interval, blocks)
    if not np.all((phases >= 0) & (phases <= float(neuron.period))):
        raise ValueError(f"phases must lie between 0 and the period, {float(neuron.period):.6g}.")


def _spectrum(growth: Array, durations: Array, resolved: Array, state: LyapunovState, blocks: int) -> LyapunovSpectrum:
    """Exponents, errors and convergence from the growth and duration of each interval."""
    trace = jnp.cumsum(growth, 0) / jnp.cumsum(durations)[:, None]
    errors = block_standard_errors(growth, durations, blocks)
    return LyapunovSpectrum(trace[-1], errors, trace, durations.sum(), resolved, state)


def _outgoing(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each neuron's connections start, their targets and weights, one neuron after the other."""
    sources, targets = np.nonzero(weights.T)
    starts = np.searchsorted(sources, np.arange(weights.shape[0] + 1))
    return starts, targets, weights.T[sources, targets]


@njit(cache=True)
@no_type_check
def _orthonormal(vectors, growth, independent):
    """Orthonormal rows in place, log|R_ii| and which are independent."""
    lower = np.empty((vectors.shape[0], vectors.shape[0]))
    orthonormalise_rows(vectors, growth, lower, independent, np.float64)


@njit(cache=True, error_model="numpy")
@no_type_check
def _spike(phases, tangents, starts, targets, weights, period):
    """To the next spike and through it; `tangents` `[neurons, count]`; the time that passes."""
    i = np.argmax(phases)
    wait = period - phases[i]
    for j in range(phases.shape[0]):
        phases[j] += wait
    phases[i] = 0
    for c in range(starts[i], starts[i + 1]):
        j = targets[c]
        angle = np.pi * phases[j] / period
        x, y = -np.cos(angle), np.sin(angle)
        x += weights[c] * y
        phases[j] = period * (1 - np.arctan2(y, x) / np.pi)
        slope = 1 / (x * x + y * y)
        for v in range(tangents.shape[1]):
            tangents[j, v] = slope * (tangents[j, v] - tangents[i, v]) + tangents[i, v]
    return wait


@njit(cache=True, error_model="numpy")
@no_type_check
def _advance(phases, vectors, starts, targets, weights, period, interval, growth, durations, independent):
    """All intervals: `growth` `[intervals, count]`, `durations` and `independent` are filled."""
    tangents = np.empty((vectors.shape[1], vectors.shape[0]))
    for m in range(growth.shape[0]):
        for v in range(vectors.shape[0]):
            for j in range(vectors.shape[1]):
                tangents[j, v] = vectors[v, j]
        durations[m] = 0
        for _ in range(interval):
            durations[m] += _spike(phases, tangents, starts, targets, weights, period)
        for v in range(vectors.shape[0]):
            for j in range(vectors.shape[1]):
                vectors[v, j] = tangents[j, v]
        _orthonormal(vectors, growth[m], independent[m])
