"""One event of a network: the step that simulation, gradients and Lyapunov exponents share.

The step is made of ordinary differentiable operations (with `custom_jvp` inside the neurons where a formula is
singular), so forward mode, reverse mode, second derivatives and `linearize` all work through it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neurons.neuron import Scalar, over_neurons, require_states
from stablespike.dynamics.spikes import Spikes
from stablespike.native.conventions import Flag

SPIKE, INPUT, DELIVERY, END = range(4)


class Pending(eqx.Module):
    """Spikes under way: `arrivals` `[slots, targets]` (inf = nothing), with the presynaptic neuron `sources` `[slots]`.

    `targets` is 1 where a spike arrives everywhere at once (one delay per presynaptic neuron), else `[neurons]`.
    """

    arrivals: Float[Array, "slots targets"]
    sources: Int[Array, " slots"]


class NetworkState(eqx.Module):
    """State between events: `time`, `neurons` `[neurons, variables]`, `counts` of spikes so far, `due` spikes.

    A neuron is due when it reached its spike at the very time of another event and still has to be handled: its `lags`
    entry is 0 and carries the derivative of its spike time minus `time`. `cursor` is the next input spike; `flags`
    collects what went wrong.
    """

    time: Float[Array, ""]
    neurons: Float[Array, "neurons variables"]
    counts: Int[Array, " neurons"]
    due: Bool[Array, " neurons"]
    lags: Float[Array, " neurons"]
    cursor: Int[Array, ""]
    pending: Pending | None
    ended: Bool[Array, ""]
    flags: Int[Array, ""]


class Event(eqx.Module):
    """What happened: `time`, `index` of neuron or channel, `kind`; for a spike its `ordinal` in its neuron's train."""

    time: Float[Array, ""]
    index: Int[Array, ""]
    kind: Int[Array, ""]
    ordinal: Int[Array, ""]


def initial_network_state(network: Recurrent, states: Float[Array, "neurons variables"]) -> NetworkState:
    """State at time 0 from the neurons' states."""
    require_states(network.neuron, states, network.size)
    zero = jnp.zeros((), states.dtype)
    pending = None
    if network.delays is not None:
        targets = 1 if network.delays.ndim == 1 else network.size
        slots = network.max_pending
        pending = Pending(jnp.full((slots, targets), jnp.inf, states.dtype), jnp.zeros(slots, int))
    counts = jnp.zeros(network.size, int)
    nobody = jnp.zeros(network.size, bool)
    lags, none = jnp.zeros(network.size, states.dtype), jnp.zeros((), int)
    return NetworkState(zero, states, counts, nobody, lags, none, pending, jnp.array(False), none)


def event_step(network: Recurrent, inputs: Spikes, duration: Scalar, state: NetworkState) -> tuple[NetworkState, Event]:
    """Advance to the next spike, input, delivery or the end of the trial, whichever is first, and let it take effect.

    At equal times own spikes come first; a neuron that spikes is reset before its weight on itself acts. Neurons that
    reach their spike at the same time are handled one after the other by index, each as if it were the first; a spike
    that such a pulse triggers at once comes before the next of them, as in a layer-parallel simulation. After the end
    the step does nothing.
    """
    left = jnp.asarray(duration, state.time.dtype) - state.time
    waits = over_neurons(network.neuron, "time_to_spike_within")(state.neurons, left)
    lifted = jnp.any(state.due) & (waits <= 0)
    spiking = jnp.argmin(jnp.where(state.due, -1, jnp.where(lifted, -2, waits)))
    lags = jnp.where(state.due, state.lags, waits)
    wait = lags[spiking]
    input_time, channel = _next_input(inputs, state)
    arrival, slot, target = _next_arrival(state)
    times = jnp.stack([state.time + wait, input_time, arrival, jnp.asarray(duration, state.time.dtype)])
    kind = jnp.where(jnp.any(state.due), SPIKE, jnp.argmin(times))
    time = times[kind]
    dt = jnp.where(kind == SPIKE, wait, time - state.time)
    index = jnp.where(kind == SPIKE, spiking, jnp.where(kind == INPUT, channel, target))
    moved = over_neurons(network.neuron, "flow")(state.neurons, dt)
    spiked = (kind == SPIKE) & (jnp.arange(network.size) == spiking)
    moved = jnp.where(spiked[:, None], over_neurons(network.neuron, "reset")(moved), moved)
    pulse, pending, full = _pulse(network, state, kind, index, time, slot)
    arrived = over_neurons(network.neuron, "jump")(moved, pulse)
    due = (state.due | ((waits == wait) & (kind == SPIKE))) & ~spiked
    bad = ~(jnp.isfinite(dt) & jnp.all(jnp.isfinite(arrived)) & ~jnp.any(jnp.isnan(waits)))
    flags = jnp.where(bad, int(Flag.NOT_FINITE), 0) | jnp.where(full, int(Flag.DELIVERIES_EXHAUSTED), 0)
    new = NetworkState(
        time=time,
        neurons=arrived,
        counts=state.counts + spiked.astype(int),
        due=due,
        lags=jnp.where(due, lags, 0) - jnp.where(due, wait, 0),
        cursor=state.cursor + (kind == INPUT).astype(int),
        pending=pending,
        ended=(kind == END) | (flags != 0),
        flags=state.flags | flags,
    )
    new = jax.tree.map(lambda old, fresh: jnp.where(state.ended, old, fresh), state, new)
    return new, Event(new.time, index, jnp.where(state.ended, END, kind), state.counts[spiking])


def _next_input(inputs: Spikes, state: NetworkState) -> tuple[Array, Array]:
    """Time and channel of the next input spike."""
    if not inputs.times.shape[0]:
        return jnp.asarray(jnp.inf, state.time.dtype), jnp.zeros((), int)
    cursor = jnp.minimum(state.cursor, inputs.times.shape[0] - 1)
    time = jnp.where(state.cursor >= inputs.times.shape[0], jnp.inf, inputs.times[cursor])
    return time.astype(state.time.dtype), inputs.sources[cursor].astype(int)


def _next_arrival(state: NetworkState) -> tuple[Array, Array, Array]:
    """Time, slot and target of the next delivery."""
    if state.pending is None:
        nothing = jnp.zeros((), int)
        return jnp.asarray(jnp.inf, state.time.dtype), nothing, nothing
    arrivals = state.pending.arrivals
    flat = jnp.argmin(arrivals)
    return arrivals.ravel()[flat], flat // arrivals.shape[1], flat % arrivals.shape[1]


def _pulse(
    network: Recurrent, state: NetworkState, kind: Array, index: Array, time: Array, slot: Array
) -> tuple[Array, Pending | None, Array]:
    """Weights `[neurons]` that take effect at this event, the spikes then under way, and whether no slot was free."""
    if network.input_weights.shape[1]:
        from_input = jnp.where(kind == INPUT, network.input_weights[:, jnp.where(kind == INPUT, index, 0)], 0)
    else:  # nothing to choose from
        from_input = jnp.zeros_like(state.neurons[:, 0])
    source = jnp.where(kind == SPIKE, index, 0)
    if network.delays is None or state.pending is None:
        return jnp.where(kind == SPIKE, network.weights[:, source], from_input), None, jnp.array(False)
    pending = state.pending
    everywhere = pending.arrivals.shape[1] == 1
    column = network.weights[:, pending.sources[slot]]
    reached = jnp.where(everywhere | (jnp.arange(network.size) == index), column, 0)
    pulse = jnp.where(kind == DELIVERY, reached, from_input)
    delivered = (jnp.arange(pending.arrivals.shape[0]) == slot)[:, None] & (kind == DELIVERY)
    delivered &= everywhere | (jnp.arange(pending.arrivals.shape[1]) == index)
    arrivals = jnp.where(delivered, jnp.inf, pending.arrivals)
    free = jnp.all(jnp.isinf(arrivals), 1)
    put = (jnp.arange(free.shape[0]) == jnp.argmax(free)) & (kind == SPIKE)
    delay = network.delays[source][None] if everywhere else network.delays[:, source]
    arrivals = jnp.where(put[:, None], time + delay[None], arrivals)
    sources = jnp.where(put, source, pending.sources)
    return pulse, Pending(arrivals, sources), (kind == SPIKE) & ~jnp.any(free)
