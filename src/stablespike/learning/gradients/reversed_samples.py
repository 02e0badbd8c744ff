"""Voltages at given times, whose gradient stores no trajectory: for losses on voltages."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.neuron import require
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.learning.gradients.time_reversed import reversal_plan, time_reversed_simulate
from stablespike.native.order import spike_order


def time_reversed_samples(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    times: Float[Array, " samples"],
    *,
    max_events: int,
    tolerance: float | None = None,
) -> tuple[Float[Array, "samples neurons variables"], Status]:
    """States at ascending `times`, each the end of a stretch that `time_reversed_simulate` runs, and the status.

    A sample at the time of an event shows the state after it, to the rounding of the time within its stretch.
    `max_events` is the budget of one stretch, between two samples, `tolerance` that of the reversal. In reverse mode a
    stretch keeps what a trial of its length would keep; every stretch looks through all inputs, so that a few hundred
    samples are what this is for. `dynamics.sampling` has the same values at any times, with a gradient that records.
    Voltages: `jax.vmap(jax.vmap(neuron.voltage))`. Times that do not ascend from 0 raise `ValueError`; under `jit` they
    must be known, and so be an array of NumPy.
    """
    if isinstance(times, jax.core.Tracer):
        raise ValueError("under jit, give times of samples as an array of NumPy, since checkpoints follow from them.")
    known = np.asarray(times, states.dtype)
    if known.ndim != 1:
        raise ValueError(f"times of samples must have shape [samples], not {list(known.shape)}.")
    steps = np.diff(known, prepend=0)
    if not known.size or not np.all(np.isfinite(steps)) or np.any(steps < 0):
        raise ValueError("times of samples must be finite and ascend from 0.")
    tolerance, checkpoints = reversal_plan(network, float(steps.max()), tolerance, None)
    require(jnp.all(inputs.times >= 0), "Input times must not be negative.")
    samples, flags, ends = _sampled(network, states, inputs, jnp.asarray(known), max_events, tolerance, checkpoints)
    status = Status(flags, ends, max_events)
    raise_unless_ok(status)
    return samples, status


@eqx.filter_jit
def _sampled(
    network: Recurrent,
    states: Array,
    inputs: Spikes,
    times: Array,
    max_events: int,
    tolerance: float | None,
    checkpoints: int | None,
) -> tuple[Array, Array, Array]:
    starts = jnp.concatenate([jnp.full(1, -math.inf, times.dtype), times[:-1]])

    def stretch(state: Array, span: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array, Array]]:
        start, end = span
        begin = jnp.maximum(start, 0)
        here = jnp.where((inputs.times > start) & (inputs.times <= end), inputs.times - begin, jnp.inf)
        order = spike_order(here)
        solution = time_reversed_simulate(
            network, state, Spikes(here[order], inputs.sources[order]), end - begin,
            max_events=max_events, tolerance=tolerance, checkpoints=checkpoints,
        )  # fmt: skip
        return solution.state, (solution.state, solution.status.flags, begin + solution.status.time)

    _, (samples, flags, ends) = jax.lax.scan(stretch, states, (starts, times.astype(states.dtype)))
    return samples, jnp.bitwise_or.reduce(flags), ends[-1]
