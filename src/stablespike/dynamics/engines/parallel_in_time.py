"""Layers of QIF neurons in parallel over time: a trial at a depth that grows with the logarithm of its inputs.

No loop goes over the inputs: currents and directions at all of them are prefixes (`projective`), spikes are counted in
all intervals at once and only then found, each by the closed form of its interval. Work and memory are those of all
inputs times all neurons.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.engines.layers import LayerSolution, require_capacity
from stablespike.dynamics.engines.prefixes import affine_prefixes
from stablespike.dynamics.engines.projective import Interval, directions
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.neurons.logarithm import log1p
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, require_population, require_states
from stablespike.dynamics.neurons.qif import QIF, spike_coordinate
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import Status
from stablespike.native.conventions import Flag

MOST = 2.0**20  # spikes in an interval
NUMBERS = 12  # at the least that are there at a time, for each input and neuron
OFF = 0.4  # exponent of the unit of rounding by which a spike may miss its interval


class _Path(NamedTuple):
    """A layer at the start (and the last end) of every interval: `bounds` `[bounds]`, the rest `[bounds, neurons]`.

    `n`, `d` with d >= 0, `currents` just after an input, `counts` of spikes since the start, `over` the intervals.
    """

    bounds: Array
    n: Array
    d: Array
    currents: Array
    counts: Array
    over: Interval


def parallel_in_time_layer(
    neuron: AbstractNeuron,
    weights: Float[Array, "neurons channels"],
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    duration: Scalar,
    capacity: int,
) -> LayerSolution:
    """One layer of `QIF` neurons from its input spikes, as `simulate_layer`, in parallel over time.

    (n, d) at input k is M_k ... M_1 (n, d) at the start, M of `projective`: an associative scan (Blelloch 1990). The
    sign of d tells whether spikes were odd or even in an interval, and sqrt(I) u/pi, the half turns of an undisturbed
    rotation, which of the odd or even numbers it was; their times are -tau log1p(-u*), u* = u*_1 + k pi/sqrt I.
    Derivatives of any order and mode, with respect to weights, states, input times, time constants and duration, flow
    into spike times and final state: those of the path are affine recurrences, those of a spike in its interval those
    of the implicit function. They keep some 30 numbers for each input and neuron.

    Shapes: times `[neurons, capacity]`; parameters are numbers or `[neurons]`. Trials: `jax.vmap`. For layers whose
    neurons do not see each other: `simulate_layers(..., layer=parallel_in_time_layer)`. Errors are those of rounding
    times the condition of the path, as of the loop over inputs; that of rounded spike times, from which the loop goes
    on (`Events`), is not among them. A budget that does not suffice is flagged, as is a path that cannot be followed.
    Raises `ValueError` for other neurons and for shapes that do not fit.
    """
    require_capacity(capacity)
    if not isinstance(neuron, QIF):
        raise ValueError(
            f"layers in parallel over time are for QIF, whose flow is linear and whose spikes need no reset, not for "
            f"{type(neuron).__name__}: use simulate_layer or time_reversed_layer."
        )
    if weights.ndim != 2:
        raise ValueError(f"weights must have shape [neurons, channels], not {list(weights.shape)}.")
    require_population(neuron, weights.shape[0])
    require_states(neuron, states, weights.shape[0])
    size, count = weights.shape[0], inputs.times.shape[-1]
    require_memory(NUMBERS * weights.dtype.itemsize * size * count, f"A layer of {size} neurons at {count} inputs")
    return _layer(neuron, weights, states, inputs, duration, capacity)


@eqx.filter_jit
def _layer(
    neuron: QIF, weights: Array, states: Array, inputs: Spikes, duration: Scalar, capacity: int
) -> LayerSolution:
    dtype = jnp.result_type(weights)
    tau = jnp.asarray(neuron.membrane_time_constant, dtype)
    inputs = Spikes(inputs.times.astype(dtype), inputs.sources)
    path, found = _path(tau, weights, states.astype(dtype), inputs, jnp.asarray(duration, dtype))
    times, missed = _spike_times(path, tau, capacity)
    fits = found <= capacity
    lost = ~jnp.all(jnp.isfinite(path.n) & jnp.isfinite(path.currents), 1)
    flags = input_flags(inputs, weights.shape[1], duration)
    flags |= jnp.where(jnp.all(neuron.requirements()[0][0]), 0, int(Flag.PARAMETERS))
    flags |= jnp.where(jnp.all(jnp.isfinite(weights)), 0, int(Flag.WEIGHTS))
    flags |= jnp.where(jnp.all(fits), 0, int(Flag.BUDGET_EXHAUSTED))
    flags |= jnp.where(jnp.any(lost) | jnp.isfinite(missed), int(Flag.NOT_FINITE), 0)
    overflow = jnp.min(jnp.where(fits, jnp.inf, times[:, capacity]))
    broken = jnp.minimum(jnp.min(jnp.where(lost, path.bounds, jnp.inf)), missed)
    end = jnp.minimum(jnp.minimum(overflow, broken), path.bounds[-1])
    state = jnp.stack([path.n[-1], path.d[-1], path.currents[-1]], 1)
    return LayerSolution(times[:, :capacity], path.counts[-1], state, Status(flags, end, capacity, "capacity"))


def _path(tau: Array, weights: Array, states: Array, inputs: Spikes, duration: Array) -> tuple[_Path, Array]:
    """The layer at all inputs, and the number of spikes of each neuron as a float, which cannot wrap around.

    Inputs after the trial's end, and padding, come at its end and do nothing.
    """
    arrives = inputs.times <= duration
    bounds = jnp.concatenate([jnp.zeros_like(duration)[None], jnp.where(arrives, inputs.times, duration)])
    bounds = jnp.concatenate([bounds, duration[None]])
    waits = jnp.diff(bounds)[:, None] / tau
    over = Interval(jnp.exp(-waits), -jnp.expm1(-waits))
    pulses = jnp.where(arrives[:, None], weights.T[jnp.where(arrives, inputs.sources, 0)], 0)
    begin = states[:, 2][None]
    factors = jnp.concatenate([jnp.zeros_like(over.decay[:1]), over.decay**2])
    currents = affine_prefixes(factors, jnp.concatenate([begin, pulses, jnp.zeros_like(begin)]))
    path = directions(states[:, :2].T, currents[:-1], over)
    n, d = jax.lax.stop_gradient(path)
    passed = (d < 0) | ((d == 0) & (n > 0))
    sides = jnp.where(passed, -1, 1).at[0].set(1)  # a spike that is due at the start is still to come
    n, d = path * sides.astype(path.dtype)
    found = _found(n, currents, over, sides)
    counts = jnp.concatenate([jnp.zeros(found[:1].shape, int), jnp.cumsum(found.astype(int), 0)])
    return _Path(bounds, n, d, currents, counts, over), found.sum(0)


def _found(n: Array, currents: Array, over: Interval, sides: Array) -> Float[Array, "intervals neurons"]:
    """Number of spikes in each interval, at most `MOST`.

    Zeros of d are pi/sqrt I apart in u, so that an interval has floor(w) or floor(w) + 1 of them, w = sqrt(I) u/pi.
    Half the turns between the first zero and the interval's end are w - phi, phi in [0, 1) and below 1/2 where n > 0:
    the number of the right parity that is nearest to w + 1/4 or w - 1/4 stays right where w is a whole number to
    rounding. It may be -1 where rounding carried a direction back across a spike: that spike is then yet to come.
    """
    n, currents, gone = jax.lax.stop_gradient((n[:-1], currents[:-1], over.gone))
    odd = (sides[1:] != sides[:-1]).astype(n.dtype)
    turns = jnp.sqrt(jnp.maximum(currents, 0)) * gone / math.pi
    found = odd + 2 * jnp.round((turns + jnp.sign(n) / 4 - odd) / 2)
    return jnp.where(jnp.isfinite(found), jnp.minimum(found, MOST), 0)


def _spike_times(path: _Path, tau: Array, capacity: int) -> tuple[Array, Array]:
    """Times of the first `capacity` + 1 spikes `[neurons, spikes]`, and the first bound where one was missed (or inf).

    A spike belongs to the first interval at whose end there were as many; it is missed where the closed form has it far
    outside of that interval.
    """
    ordinals = jnp.arange(capacity + 1)
    reached = jax.lax.cummax(path.counts[1:], 0)
    search = jax.vmap(lambda one: jnp.searchsorted(one, ordinals, "right", method="scan_unrolled"), 1, 1)
    place = search(reached)
    there = (place < reached.shape[0]) & (ordinals[:, None] < path.counts[-1])
    place = jnp.minimum(place, reached.shape[0] - 1)

    def at(values: Array) -> Array:
        return jnp.take_along_axis(jnp.broadcast_to(values, (values.shape[0], place.shape[1])), place, 0)

    n, d, current, gone = at(path.n), at(path.d), at(path.currents), at(path.over.gone)
    first = jax.vmap(jax.vmap(spike_coordinate))(n, d, current)
    later = there & (ordinals[:, None] > at(path.counts))
    turns = jnp.where(later, ordinals[:, None] - at(path.counts), 0).astype(n.dtype)
    u = first + turns * math.pi / jnp.sqrt(jnp.where(later, current, 1))
    inside = jax.lax.stop_gradient(jnp.clip(u, 0, jnp.minimum(gone, 1 - jnp.finfo(u.dtype).eps)))
    off = jax.lax.stop_gradient(jnp.abs(u - inside))
    missed = there & ~(off < float(jnp.finfo(u.dtype).eps) ** OFF)
    u = jnp.where(there & ~missed, u + jax.lax.stop_gradient(inside - u), 0)
    begin = path.bounds[place]
    times = begin - tau * log1p(-u)
    times += jax.lax.stop_gradient(jnp.clip(times, begin, path.bounds[place + 1]) - times)
    return jnp.where(there, times, jnp.inf).T, jnp.min(jnp.where(missed, begin, jnp.inf))
