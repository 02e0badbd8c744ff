"""States and voltages of a simulated network at any time, from its spikes: what a recording electrode would see."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.network import Recurrent
from stablespike.dynamics.neuron import AbstractNeuron, one_neuron, require
from stablespike.dynamics.simulate import Solution
from stablespike.dynamics.spikes import Spikes

BISECTIONS = 60  # of an interval in search of its highest voltage: more than the digits of a float64


class History(eqx.Module):
    """What happens to one neuron, in order of time: `times`, own spikes `own`, `weights` of arriving pulses."""

    times: Float[Array, " events"]
    own: Bool[Array, " events"]
    weights: Float[Array, " events"]


def sampled_states(
    network: Recurrent,
    states: Float[Array, "neurons variables"],
    inputs: Spikes,
    solution: Solution,
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

    def single(neuron, state, index):
        history, place = neuron_history(network, inputs, spikes, times, index)
        _, after = jax.lax.scan(_passage(neuron), (jnp.zeros_like(history.times[0]), state), history)
        return after[place]

    sampled = jnp.moveaxis(_over_network(single, network, states), 0, 1)
    return jnp.where(within[:, None, None], sampled, jnp.nan)


def voltages(network: Recurrent, states, inputs: Spikes, solution: Solution, times) -> Float[Array, "samples neurons"]:
    """Voltages at `times`; arguments as for `sampled_states`. Infinite at a spike of a neuron without threshold."""
    sampled = sampled_states(network, states, inputs, solution, times)
    traces = _over_network(
        lambda neuron, trace, _: jax.vmap(neuron.voltage)(trace), network, jnp.moveaxis(sampled, 1, 0)
    )
    return traces.T


def highest_voltages(network: Recurrent, states, inputs: Spikes, solution: Solution) -> Float[Array, " neurons"]:
    """Highest voltage of every neuron in the trial; that of a spike is the threshold, or +inf where there is none.

    Arguments as for `sampled_states`. The time of a maximum within an interval is found by bisection of the voltage's
    slope; it is stationary, so that the derivative is that of the voltage at this time.
    """

    end, spikes = jnp.asarray(solution.status.time, states.dtype)[None], solution.spikes

    def single(neuron, state, index):
        history, _ = neuron_history(network, inputs, spikes, end, index)
        passage = _passage(neuron)

        def step(carry, event):
            time, before = carry
            highest = _highest(neuron, before, event.times - time, event.own)
            (time, after), _ = passage(carry, event)
            return (time, after), jnp.maximum(highest, jnp.where(event.own, -jnp.inf, neuron.voltage(after)))

        _, highest = jax.lax.scan(step, (jnp.zeros_like(history.times[0]), state), history)
        return jnp.maximum(highest.max(), neuron.voltage(state))

    return _over_network(single, network, states)


def neuron_history(
    network: Recurrent, inputs: Spikes, spikes: Spikes, times, index
) -> tuple[History, Int[Array, " samples"]]:
    """The history of the neuron `index`, and after which of its events each sample is taken (the last of its time).

    What comes after the last sample is left out: moved there, without effect.
    """
    delays = jnp.zeros(network.size, spikes.times.dtype) if network.delays is None else network.delays
    delays = delays if delays.ndim == 1 else delays[index]
    sources = jnp.where(spikes.real, spikes.sources, 0)
    channels = jnp.where(inputs.real, inputs.sources, 0)
    own = spikes.real & (spikes.sources == index)
    samples = jnp.zeros(times.shape[0], network.weights.dtype)
    kinds = [
        (jnp.where(own, spikes.times, jnp.inf), own, jnp.zeros_like(samples, shape=own.shape)),
        (spikes.times + delays[sources], jnp.zeros_like(own), network.weights[index, sources]),
        (inputs.times, jnp.zeros_like(inputs.real), network.input_weights[index, channels]),
        (times, jnp.zeros(times.shape, bool), samples),
    ]
    moments, resets, weights = (jnp.concatenate(part) for part in zip(*kinds, strict=True))
    end = jnp.max(times)
    happens = moments <= end
    moments = jnp.where(happens, moments, end)
    order = jnp.argsort(moments, stable=True)
    place = jnp.argsort(order)[-times.shape[0] :]
    return History(moments[order], (resets & happens)[order], jnp.where(happens, weights, 0)[order]), place


def _passage(neuron: AbstractNeuron):
    """From just after one event to just after the next, as the body of a scan."""

    def step(carry, event):
        time, state = carry
        state = neuron.flow(state, event.times - time)
        state = jnp.where(event.own, neuron.reset(state), state)
        state = neuron.jump(state, event.weights)
        return (event.times, state), state

    return step


def _highest(neuron, state, dt, own):
    """Highest voltage of the free flow over `dt` that ends with a spike or not."""

    def voltage(time):
        return neuron.voltage(neuron.flow(state, time))

    def slope(time):
        return jax.jvp(voltage, (time,), (jnp.ones_like(time),))[1]

    def halve(bounds, _):
        low, high = bounds
        middle = (low + high) / 2
        rising = ~(slope(middle) <= 0)
        return (jnp.where(rising, middle, low), jnp.where(rising, high, middle)), None

    bounds = jax.lax.stop_gradient((jnp.zeros_like(dt), dt))
    inside = ~(slope(bounds[0]) <= 0) & (slope(bounds[1]) < 0) & ~own
    (_, peak), _ = jax.lax.scan(halve, bounds, length=BISECTIONS)
    spiked = jnp.where(jnp.isinf(neuron.voltage(neuron.reset(state))), jnp.inf, voltage(dt))
    return jnp.where(own, spiked, voltage(jnp.where(inside, jax.lax.stop_gradient(peak), dt)))


def _over_network(single, network: Recurrent, states):
    """`single(neuron, state, index)` for all neurons of a network."""
    places = jnp.arange(network.size)
    return jax.vmap(lambda state, index: single(one_neuron(network.neuron, index), state, index))(states, places)
