"""Event networks as steps whose Lyapunov exponents can be taken: spike to spike, or from one fixed time to the next.

The spectrum of the **event map** compares two trajectories at their own spikes: a shift along the trajectory is
projected out, and where the reset erases the state of the neuron that spikes, one exponent is -inf. The spectrum of the
**flow** compares them at the same time: the derivative of the event's time is undone by letting the neurons flow back
by it (saltation). An autonomous network then has one exponent 0 in its place, and all others are the same, per unit of
time.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.engines.events import run_events
from stablespike.dynamics.event_step import event_step, initial_network_state
from stablespike.dynamics.network import Recurrent, network_flags
from stablespike.dynamics.neurons.charts import AbstractChart, AsItIs
from stablespike.dynamics.neurons.neuron import AbstractNeuron, over_neurons
from stablespike.dynamics.spikes import Spikes, input_flags
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.conventions import Flag
from stablespike.stability.lyapunov import LyapunovSpectrum, estimate_spectrum, require_resolved


class EventNetworkState(eqx.Module):
    """`coordinates` `[neurons, freedoms]`, number of `spikes` so far, and `flags` of what went wrong (0 = nothing)."""

    coordinates: Float[Array, "neurons freedoms"]
    spikes: Int[Array, ""]
    flags: Int[Array, ""]


def at_the_event(
    neuron: AbstractNeuron, states: Float[Array, "neurons variables"], time: Float[Array, ""]
) -> Float[Array, "neurons variables"]:
    """States at the event, whose time has a derivative: the event map."""
    del neuron, time
    return states


def at_fixed_time(
    neuron: AbstractNeuron, states: Float[Array, "neurons variables"], time: Float[Array, ""]
) -> Float[Array, "neurons variables"]:
    """States at the time that the event has on the undisturbed trajectory: the flow."""
    return over_neurons(neuron, "flow")(states, _delay_undone(time))


@jax.custom_jvp
def _delay_undone(time: Array) -> Array:
    """0, with the derivative of -time. Its own derivative is none, which `stop_gradient(time) - time` would not give:
    flossing differentiates the tangent dynamics, in which the neurons are where they are at the event.
    """
    return jnp.zeros_like(time)


_delay_undone.defjvp(lambda primals, tangents: (jnp.zeros_like(primals[0]), -tangents[0]))


class NextSpike(eqx.Module):
    """The step of an autonomous network from spike to spike; `section` is `at_the_event` or `at_fixed_time`.

    Delays are not supported: pending deliveries would belong to the tangent space.
    """

    network: Recurrent
    chart: AbstractChart
    section: Callable = eqx.field(static=True, default=at_fixed_time)

    def __check_init__(self) -> None:
        """Refuse delays, and coordinates of which some are superfluous."""
        _require_tangent_space(self.network, self.chart)

    def start(self, states: Float[Array, "neurons variables"]) -> EventNetworkState:
        """The state of this step from states of the neurons."""
        return _start(self.network, self.chart, states)

    def __call__(self, state: EventNetworkState, drive: PyTree = None) -> EventNetworkState:
        """Flow to the next spike, reset, pulses."""
        points = _points(self.network, self.chart, state)
        waits = over_neurons(self.network.neuron, "time_to_spike")(points)
        after, _ = event_step(self.network, _no_inputs(), jnp.inf, initial_network_state(self.network, points))
        moved = self.section(self.network.neuron, after.neurons, after.time)
        silent, tied = jnp.isinf(jnp.min(waits)), jnp.sum(waits == jnp.min(waits)) > 1
        flags = state.flags | jnp.where(silent, int(Flag.SILENT), jnp.where(tied, int(Flag.TIED), 0))
        return EventNetworkState(_coordinates(self.network, self.chart, moved), state.spikes + 1, flags)

    def duration(self, state: EventNetworkState, drive: PyTree = None) -> Float[Array, ""]:
        """Time to the next spike."""
        return jnp.min(over_neurons(self.network.neuron, "time_to_spike")(_points(self.network, self.chart, state)))


class Window(eqx.Module):
    """The flow of a network over a fixed `length` of time; a drive is the input of the window, times from its start.

    `max_events` is the budget of spikes and inputs of one window; an exhausted one is flagged.
    """

    network: Recurrent
    chart: AbstractChart
    length: float
    max_events: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse delays, and coordinates of which some are superfluous."""
        _require_tangent_space(self.network, self.chart)

    def start(self, states: Float[Array, "neurons variables"]) -> EventNetworkState:
        """The state of this step from states of the neurons."""
        return _start(self.network, self.chart, states)

    def __call__(self, state: EventNetworkState, drive: Spikes | None = None) -> EventNetworkState:
        """All spikes and inputs of the window."""
        inputs = _no_inputs() if drive is None else drive
        before = initial_network_state(self.network, _points(self.network, self.chart, state))
        after, _ = run_events(self.network, before, inputs, self.length, self.max_events)
        flags = after.flags | network_flags(self.network) | jnp.where(after.ended, 0, int(Flag.BUDGET_EXHAUSTED))
        flags |= input_flags(inputs, self.network.input_weights.shape[1], self.length)
        coordinates = _coordinates(self.network, self.chart, after.neurons)
        return EventNetworkState(coordinates, state.spikes + after.counts.sum(), state.flags | flags)

    def duration(self, state: EventNetworkState, drive: PyTree = None) -> float:
        """The length of the window."""
        return self.length


def spike_to_spike_spectrum(
    step: NextSpike,
    states: Float[Array, "neurons variables"],
    *,
    spikes: int,
    transient: int,
    count: int,
    key: Key[Array, ""],
    interval: int = 1,
    blocks: int = 10,
) -> LyapunovSpectrum:
    """Exponents per unit of time of an autonomous network, over `spikes` network spikes of which `transient` are not
    counted.

    The rate of a neuron is (spikes - transient) / (neurons * duration). Raises `SimulationError` for a network that
    falls silent and for neurons that spike at the very same time, `SingularJacobian` for exponents that are not
    defined: of the event map with a reset that erases the state, the last one.
    """
    found = estimate_spectrum(
        step,
        step.start(states),
        None,
        steps=spikes,
        transient=transient,
        count=count,
        key=key,
        interval=interval,
        blocks=blocks,
        duration=step.duration,
    )
    raise_unless_ok(Status(found.state.system.flags, found.duration, spikes, "spikes"))
    require_resolved(found)
    return found


def window_spectrum(
    step: Window, states: Float[Array, "neurons variables"], drives: PyTree, **options: Any
) -> LyapunovSpectrum:
    """Exponents per unit of time of the flow of a network, window by window; options as in `estimate_spectrum`.

    Raises `ValueError` for a network that never spikes and `SimulationError` if a window goes wrong.
    """
    found = estimate_spectrum(step, step.start(states), drives, duration=step.duration, **options)
    system = found.state.system
    raise_unless_ok(Status(system.flags, jnp.full(jnp.shape(system.flags), step.length), step.max_events))
    if not isinstance(system.spikes, jax.core.Tracer) and np.any(np.asarray(system.spikes) == 0):
        raise ValueError("The network is silent: there are no spikes to average over. Raise its input or its weights.")
    require_resolved(found)
    return found


def _no_inputs() -> Spikes:
    return Spikes(jnp.zeros(0), jnp.zeros(0, int))


def _require_tangent_space(network: Recurrent, chart: AbstractChart) -> None:
    if network.delays is not None:
        raise ValueError("Lyapunov exponents of networks with delays are not supported: set delays to None.")
    own = network.neuron.chart()
    if isinstance(chart, AsItIs) and not isinstance(own, AsItIs):
        raise ValueError(
            f"The variables of {type(network.neuron).__name__} are not its degrees of freedom: its chart is "
            f"{type(own).__name__}()."
        )


def _start(network: Recurrent, chart: AbstractChart, states: Array) -> EventNetworkState:
    none = jnp.zeros((), int)
    return EventNetworkState(_coordinates(network, chart, states), none, none)


def _coordinates(network: Recurrent, chart: AbstractChart, states: Array) -> Array:
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, network.neuron)
    return jax.vmap(chart.coordinates, in_axes=(axes, 0))(network.neuron, states)


def _points(network: Recurrent, chart: AbstractChart, state: EventNetworkState) -> Array:
    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, network.neuron)
    return jax.vmap(chart.point, in_axes=(axes, 0))(network.neuron, state.coordinates)
