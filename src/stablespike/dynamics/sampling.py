"""States and voltages of a simulated network at any time, from its spikes: what a recording electrode would see."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.connections import Delayed, Dense
from stablespike.dynamics.engines.events import Solution
from stablespike.dynamics.network import Network, Recurrent
from stablespike.dynamics.neurons.neuron import AbstractNeuron, initial_states, one_neuron, require
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status

BISECTIONS = 60  # of an interval in search of its highest voltage: more than the digits of a float64


class History(eqx.Module):
    """What happens to one neuron, in order of time: `times`, own spikes `own`, `weights` of arriving pulses.

    A pulse may lift an `OscillatoryLIF` neuron to a spike of the same time. There `ahead` stands where the neuron's
    own spike would, had it been due without the pulses `from_outside` that come between: these find it reset then.
    """

    times: Float[Array, " events"]
    own: Bool[Array, " events"]
    weights: Float[Array, " events"]
    ahead: Bool[Array, " events"]
    from_outside: Bool[Array, " events"]


class Seen(NamedTuple):
    """What of a simulation is needed: its `spikes`, and the `status` with the time that it reached."""

    spikes: Spikes
    status: Status


def sampled_states(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    solution: Solution | Seen,
    times: Float[Array, " samples"],
) -> Float[Array, "samples neurons variables"]:
    """States at `times`, in any order, of a network that was simulated.

    `states` and `inputs` are those that the simulation started from, `solution` what it returned. Exact: every neuron
    is taken through the recorded spikes in one pass. A sample at the time of an event shows the state after it.
    Differentiable, also through the spikes and in `times`. Times outside of the trial raise `ValueError`; inside jit
    their samples are NaN.
    """
    times, spikes = jnp.asarray(times, states.dtype), solution.spikes
    within = (times >= 0) & (times <= solution.status.time)
    require(within, "Samples can be taken from time 0 to the end of the trial only.")
    if not times.shape[0]:
        return jnp.zeros((0, *states.shape), states.dtype)
    times = jnp.where(within, times, 0)

    def single(neuron: AbstractNeuron, state: Array, index: Array) -> Array:
        history, place = neuron_history(network, inputs, spikes, times, index)
        _, after = jax.lax.scan(_passage(neuron), _beginning(state), history)
        return after[place]

    sampled = jnp.moveaxis(_over_network(single, network, states), 0, 1)
    return jnp.where(within[:, None, None], sampled, jnp.nan)


def voltages(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    solution: Solution | Seen,
    times: Float[Array, " samples"],
) -> Float[Array, "samples neurons"]:
    """Voltages at `times`; arguments as for `sampled_states`. Infinite at a spike of a neuron without threshold."""
    sampled = sampled_states(network, states, inputs, solution, times)
    traces = _over_network(
        lambda neuron, trace, _: jax.vmap(neuron.voltage)(trace), network, jnp.moveaxis(sampled, 1, 0)
    )
    return traces.T


def layer_voltages(
    network: Network, inputs: Spikes, run: Run, times: Float[Array, " samples"], layer: int = 0
) -> Float[Array, "samples neurons"]:
    """Voltages at `times` of the neurons of one layer, in a run by events from rest; see `voltages`.

    `network` and `inputs` are those that `simulate` was given, `run` is what it returned.
    """
    one, sent = network.layers[layer], run.layers[layer]
    dense = isinstance(one.inputs, Dense) and isinstance(one.loop, Dense | Delayed | None)
    if sent.signals is not None or not dense:
        raise ValueError("voltages are sampled of runs by events, of layers with Dense connections from below.")
    loop = jnp.zeros((one.size, one.size), one.inputs.dtype) if one.loop is None else one.loop.weights
    delays = one.loop.delays if isinstance(one.loop, Delayed) else None
    alone = Recurrent(one.neuron, loop, one.inputs.weights, delays)
    arriving = run.layers[layer - 1].spikes if layer else inputs
    states = initial_states(one.neuron, jnp.zeros(one.size, one.inputs.dtype))
    return voltages(alone, states, arriving, Seen(sent.spikes, run.status), times)


def highest_voltages(
    network: Recurrent, states: Float[Array, "neurons variables"], inputs: Spikes, solution: Solution
) -> Float[Array, " neurons"]:
    """Highest voltage of every neuron in the trial; that of a spike is the threshold, or +inf where there is none.

    Arguments as for `sampled_states`. The time of a maximum within an interval is found by bisection of the voltage's
    slope; it is stationary, so that the derivative is that of the voltage at this time.
    """

    end, spikes = jnp.asarray(solution.status.time, states.dtype)[None], solution.spikes

    def single(neuron: AbstractNeuron, state: Array, index: Array) -> Array:
        history, _ = neuron_history(network, inputs, spikes, end, index)
        passage = _passage(neuron)

        def step(carry: _Passed, event: History) -> tuple[_Passed, Array]:
            highest = _highest(neuron, carry.state, event.times - carry.time, event.own)
            carry, after = passage(carry, event)
            return carry, jnp.maximum(highest, jnp.where(event.own, -jnp.inf, neuron.voltage(after)))

        _, highest = jax.lax.scan(step, _beginning(state), history)
        return jnp.maximum(highest.max(), neuron.voltage(state))

    return _over_network(single, network, states)


def neuron_history(
    network: Recurrent, inputs: Spikes, spikes: Spikes, times: Float[Array, " samples"], index: Any
) -> tuple[History, Int[Array, " samples"]]:
    """The history of the neuron `index`, and after which of its events each sample is taken (the last of its time).

    What comes after the last sample is left out: moved there, without effect.
    """
    delays = jnp.zeros(network.size, spikes.times.dtype) if network.delays is None else network.delays
    delays = delays if delays.ndim == 1 else delays[index]
    sources = jnp.where(spikes.real, spikes.sources, 0)
    channels = jnp.where(inputs.real, inputs.sources, 0)
    own = spikes.real & (spikes.sources == index)
    fired = jnp.where(own, spikes.times, jnp.inf)
    resets = _events(fired, own=own)
    pulses = _events(spikes.times + delays[sources], weights=network.weights[index, sources])
    arrivals = _events(inputs.times, weights=network.input_weights[index, channels])
    samples = _events(times.astype(spikes.times.dtype))
    kinds = [resets, pulses, arrivals, samples]
    if network.neuron.spikes_on_arrival():
        kinds = _with_lifts(fired, resets, pulses, arrivals, samples, delayed=network.delays is not None)
    history = jax.tree.map(lambda *parts: jnp.concatenate(parts), *kinds)
    end = jnp.max(times)
    happens = history.times <= end
    history = jax.tree.map(lambda part: jnp.where(happens, part, jnp.zeros_like(part)), history)
    history = eqx.tree_at(lambda one: one.times, history, jnp.where(happens, history.times, end))
    order = jnp.argsort(history.times, stable=True)
    place = jnp.argsort(order)[-times.shape[0] :]
    return jax.tree.map(lambda part: part[order], history), place


def _events(
    times: Array,
    *,
    own: Array | None = None,
    weights: Array | None = None,
    ahead: Array | None = None,
    from_outside: Array | None = None,
) -> History:
    """Events of one kind; what is not given is none of them."""
    flags = (jnp.zeros(times.shape, bool) if one is None else one for one in (own, ahead, from_outside))
    own, ahead, from_outside = flags
    return History(times, own, jnp.zeros_like(times) if weights is None else weights, ahead, from_outside)


def _with_lifts(
    fired: Array, resets: History, pulses: History, arrivals: History, samples: History, *, delayed: bool
) -> list[History]:
    """Events in the order of a simulation: what comes from outside, then spike after spike, each with its pulses."""
    outside = [arrivals, pulses] if delayed else [arrivals]
    outside = [eqx.tree_at(lambda one: one.from_outside, one, jnp.ones(one.times.shape, bool)) for one in outside]
    spikes = resets
    if not delayed:
        spikes = jax.tree.map(lambda one, other: jnp.stack([one, other], 1).ravel(), resets, pulses)
    return [_events(fired, ahead=resets.own), *outside, spikes, samples]


class _Passed(eqx.Module):
    """`time` and `state` after an event; whether a spike at this time is `due`, and whether its reset is `done`."""

    time: Float[Array, ""]
    state: Float[Array, "variables"]
    due: Bool[Array, ""]
    done: Bool[Array, ""]


def _beginning(state: Array) -> _Passed:
    return _Passed(jnp.zeros((), state.dtype), state, jnp.zeros((), bool), jnp.zeros((), bool))


def _passage(neuron: AbstractNeuron) -> Callable[..., tuple[_Passed, Array]]:
    """From just after one event to just after the next, as the body of a scan."""

    def step(carry: _Passed, event: History) -> tuple[_Passed, Array]:
        state, same = neuron.flow(carry.state, event.times - carry.time), event.times == carry.time
        first = event.from_outside & carry.due & same
        state = jnp.where(first | (event.own & ~(carry.done & same)), neuron.reset(state), state)
        due = carry.due & same & ~first & ~event.own
        if neuron.spikes_on_arrival():
            due |= event.ahead & _is_due(neuron, state, event.times)
        done = first | (carry.done & same & ~event.own)
        state = neuron.jump(state, event.weights)
        return _Passed(event.times, state, due, done), state

    return step


def _is_due(neuron: AbstractNeuron, state: Array, time: Array) -> Array:
    """Whether the neuron spikes now, to rounding; without a derivative."""
    wait = neuron.time_to_spike(jax.lax.stop_gradient(state))
    return wait <= jnp.sqrt(jnp.finfo(state.dtype).eps) * (1 + time)


def _highest(neuron: AbstractNeuron, state: Array, dt: Array, own: Array) -> Array:
    """Highest voltage of the free flow over `dt` that ends with a spike or not."""

    def voltage(time: Array) -> Any:
        return neuron.voltage(neuron.flow(state, time))

    def slope(time: Array) -> Array:
        return jax.jvp(voltage, (time,), (jnp.ones_like(time),))[1]

    def halve(bounds: tuple[Array, Array], _: Any) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = (low + high) / 2
        rising = ~(slope(middle) <= 0)
        return (jnp.where(rising, middle, low), jnp.where(rising, high, middle)), None

    bounds = jax.lax.stop_gradient((jnp.zeros_like(dt), dt))
    inside = ~(slope(bounds[0]) <= 0) & (slope(bounds[1]) < 0) & ~own
    (_, peak), _ = jax.lax.scan(halve, bounds, length=BISECTIONS)
    spiked = jnp.where(jnp.isinf(neuron.voltage(neuron.reset(state))), jnp.inf, voltage(dt))
    return jnp.where(own, spiked, voltage(jnp.where(inside, jax.lax.stop_gradient(peak), dt)))


def _over_network(single: Callable, network: Recurrent, states: Array) -> Array:
    """`single(neuron, state, index)` for all neurons of a network."""
    places = jnp.arange(network.size)
    return jax.vmap(lambda state, index: single(one_neuron(network.neuron, index), state, index))(states, places)
