"""Leading Lyapunov exponents of sparse networks: a spike costs its targets times the number of exponents."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from stablespike.dynamics.abilities import abilities, lines_of
from stablespike.dynamics.engines.sparse import (
    WHOLE,
    SparseNetwork,
    as_in_kernels,
    no_inputs,
    require_feasible,
    run_sparse,
)
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.neurons.charts import AsItIs
from stablespike.dynamics.neurons.neuron import require
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.learning.gradients.sparse import line_constants
from stablespike.native.sparse import tangent as sparse_tangent
from stablespike.stability.lyapunov import (
    LyapunovSpectrum,
    LyapunovState,
    block_standard_errors,
    require_fitting,
    require_resolved,
)
from stablespike.stability.orthonormal import orthonormalise


def sparse_network_spectrum(
    network: SparseNetwork,
    states: Float[Array, "neurons variables"],
    *,
    spikes: int,
    transient: int,
    count: int,
    key: Key[Array, ""],
    interval: int,
    blocks: int = 10,
) -> LyapunovSpectrum:
    """The `count` leading exponents per unit of time of the flow of an autonomous sparse network, in native code.

    As `spike_to_spike_spectrum` with `at_fixed_time`: `spikes` network spikes are run, of which `transient` are not
    counted, `interval` of them between two orthonormalisations (about as many as there are neurons: each costs all
    neurons times count^2). Angles and currents of all neurons are the coordinates. Raises `ValueError` for settings
    that do not fit, `SimulationError` where an excitatory pulse lifts an `OscillatoryLIF` neuron to its spike and for a
    network that falls silent. Of neurons whose kernels are derived from their class the coordinates are their states,
    and those whose states have other coordinates (`chart`) are refused.
    """
    require_feasible(network, states, interval)
    size, variables = states.shape
    if not 1 <= count <= size * variables:
        raise ValueError(f"count must lie between 1 and {size * variables}, not be {count}.")
    require_fitting(spikes, transient, count, interval, blocks)
    require_memory(5 * 8 * size * variables * count, f"{count} tangent vectors of {size} neurons")
    require(
        abilities(network.neuron).rows is not None or isinstance(network.neuron.chart(), AsItIs),
        f"exponents of sparse networks of {type(network.neuron).__name__} would count directions that are none: put "
        "the weights into Dense and use `lyapunov_spectrum`.",
    )
    network, states = as_in_kernels(network, states)
    tangents = jax.random.normal(key, (size, count, variables), states.dtype)
    state, basis, found = _intervals(network, states, tangents, interval, spikes // interval)
    growth, durations, independent, flags = found
    raise_unless_ok(Status(flags, jnp.cumsum(durations), interval, "interval"))
    kept = slice(transient // interval, None)
    growth, durations = growth[kept], durations[kept]
    state = state[:, :variables]
    trace = jnp.cumsum(growth, 0) / jnp.cumsum(durations)[:, None]
    resolved = jnp.cumprod(independent[kept], 1).all(0)
    errors = block_standard_errors(growth, durations, blocks)
    spectrum = LyapunovSpectrum(trace[-1], errors, trace, durations.sum(), resolved, LyapunovState(state, basis))
    require_resolved(spectrum)
    return spectrum


def push_sparse_tangents(
    network: SparseNetwork,
    states: Float[Array, "neurons variables"],
    spikes: Any,
    tangents: Float[Array, "neurons count variables"],
) -> list[Array]:
    """Tangents at the last of the network's `spikes`, from those at time 0 with the states given; and flags.

    Of states that hold parameters (`as_in_kernels`) these have no tangents: they stay what they are.
    """
    network, states = as_in_kernels(network, states)
    lines, weights = lines_of(network.neuron, kind=states.dtype), network.weights
    net = (line_constants(network, lines, states.dtype), weights.starts, weights.targets, weights.values)
    sources, variables = spikes.sources.astype(WHOLE), tangents.shape[2]
    whole = jnp.pad(tangents, ((0, 0), (0, 0), (0, states.shape[1] - variables)))
    pushed, flags = sparse_tangent.PUSH(*net, states, spikes.times, sources, whole, unpack=lines.unpack)
    return [pushed[:, :, :variables], flags]


@eqx.filter_jit
def _intervals(
    network: SparseNetwork, states: Array, tangents: Array, interval: int, count: int
) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """All intervals: the last state and basis, and of each growth, duration, independence and flags."""
    size, vectors, variables = tangents.shape

    def orthonormal(tangents: Array) -> tuple[Array, Array, Array]:
        rows = tangents.transpose(1, 0, 2).reshape(vectors, -1)
        basis, growth, independent = orthonormalise(rows)
        return basis.reshape(vectors, size, variables).transpose(1, 0, 2), growth, independent

    def advance(carry: tuple[Array, Array], _: Any) -> tuple[tuple[Array, Array], tuple[Array, Array, Array, Array]]:
        states, tangents = carry
        solution, _ = run_sparse(network, states, no_inputs(states.dtype), jnp.inf, interval)
        pushed, flags = push_sparse_tangents(network, states, solution.spikes, tangents)
        basis, growth, independent = orthonormal(pushed)
        made = solution.status
        return (solution.state, basis), (growth, made.time, independent, made.flags | flags[0].astype(int))

    (state, tangents), found = jax.lax.scan(advance, (states, orthonormal(tangents)[0]), length=count)
    return state, tangents.transpose(1, 0, 2).reshape(vectors, -1), found
