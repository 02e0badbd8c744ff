"""One network and one input as steps of each kind: event by event and on a time grid, both from window to window.

A step is what Lyapunov exponents and gradients through time are taken of. Both kinds have the same weights and input
spikes and windows of the same length; what differs is the neuron, and how tangents move.
"""

import abc
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF
from stablespike.dynamics.grid.network import GridNetwork, Layer, LayerState
from stablespike.dynamics.grid.neuron import counts_on_grid
from stablespike.dynamics.grid.resets import Detached, Reset, ResetToZero
from stablespike.dynamics.neurons.lif import LIF
from stablespike.dynamics.neurons.neuron import initial_states
from stablespike.dynamics.neurons.qif import QIF
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.learning.surrogates import SuperSpike, SurrogateSpike
from stablespike.stability.event_tangent import AngleAndCurrent, AsItIs, EventNetworkState, Window
from stablespike.stability.lyapunov import LyapunovSpectrum, Step, estimate_spectrum, require_resolved
from studies.surrogate_versus_exact import Exact, TwinWeights


class GridWindowState(eqx.Module):
    """State of the `layers` between two steps, the `spikes` so far of all neurons, and `flags` (0 = well)."""

    layers: tuple[LayerState, ...]
    spikes: Int[Array, ""]
    flags: Int[Array, ""]


class GridWindow(eqx.Module):
    """A window of a network on a grid: as many steps as its drive `[steps, channels]` has."""

    network: GridNetwork

    def start(self) -> GridWindowState:
        """At rest."""
        none = jnp.zeros((), int)
        return GridWindowState(self.network.initial_state(), none, none)

    def __call__(self, state: GridWindowState, drive: Float[Array, "steps channels"]) -> GridWindowState:
        """All steps of the window."""

        def one(layers, signal):
            layers, _ = self.network.step(layers, signal)
            pairs = list(zip(self.network.layers, layers, strict=True))
            sent = jnp.sum(jnp.stack([jnp.sum(layer.cell.output(new.cell)) for layer, new in pairs]))
            flags = jnp.bitwise_or.reduce(jnp.stack([layer.cell.flags(new.cell) for layer, new in pairs]))
            return layers, (jax.lax.stop_gradient(sent).astype(int), flags)

        layers, (sent, flags) = jax.lax.scan(one, state.layers, drive)
        return GridWindowState(layers, state.spikes + sent.sum(), state.flags | jnp.bitwise_or.reduce(flags))


WindowState = EventNetworkState | GridWindowState


class AbstractTwin(eqx.Module):
    """How a network is stepped from window to window, each of length `window` in the unit of the time constants."""

    window: eqx.AbstractVar[float]

    @abc.abstractmethod
    def begin(self, weights: TwinWeights) -> tuple[Step, WindowState]:
        """The step, and the state at rest."""

    @abc.abstractmethod
    def drives(self, spikes: Spikes, channels: int, windows: int) -> PyTree:
        """The input of so many windows, with a leading axis of windows."""


class EventTwin(AbstractTwin):
    """Event by event: `neuron` is a `LIF` or `QIF`, with exact derivatives.

    `max_events` is the budget of spikes and inputs of one window, `room` that of its inputs.
    """

    neuron: LIF | QIF
    window: float
    max_events: int = eqx.field(static=True, default=128)
    room: int = eqx.field(static=True, default=64)

    def begin(self, weights):
        """A `Window` of all layers as one population."""
        network, _ = Exact(self.neuron, self.window).population(weights)
        chart = AsItIs() if isinstance(self.neuron, LIF) else AngleAndCurrent()
        step = Window(network, chart, self.window, self.max_events)
        return step, step.start(initial_states(self.neuron, jnp.zeros(network.size)))

    def drives(self, spikes, channels, windows):
        """The spikes of every window, from its start; `ValueError` if one holds more than `room`."""
        del channels
        return spikes_by_window(spikes, self.window, windows, self.room)


class GridTwin(AbstractTwin):
    """On a grid of `steps` steps per window: LIF neurons with SuperSpike of this `sharpness`, and this `reset`.

    `Detached(ResetToZero())` is the *gated* convention, `PUBLIC` the public, `ResetToZero()` the full.
    """

    membrane_time_constant: float
    window: float
    steps: int = eqx.field(static=True)
    sharpness: float = 10.0
    reset: Reset = Detached(ResetToZero())

    def begin(self, weights):
        """Layers of `GridLIF`, tau_syn = tau/2."""
        tau, spike = self.membrane_time_constant, SurrogateSpike(SuperSpike(self.sharpness))
        cell = GridLIF(tau, tau / 2, self.window / self.steps, spike=spike, reset=self.reset)
        layers = tuple(
            Layer(cell, Dense(inputs), None if loop is None else Dense(loop))
            for inputs, loop in zip(weights.inputs, weights.recurrent, strict=True)
        )
        step = GridWindow(GridNetwork(layers))
        return step, step.start()

    def drives(self, spikes, channels, windows):
        """Numbers of spikes in each step, `[windows, steps, channels]`."""
        counts = counts_on_grid(spikes, channels, self.window / self.steps, self.steps * windows)
        return counts.reshape(windows, self.steps, channels)


def spikes_by_window(spikes: Spikes, window: float, windows: int, room: int) -> Spikes:
    """Spikes of one trial cut into windows, each `[room]` with times from its start; what comes later is left out.

    Raises `ValueError` if a window holds more than `room`.
    """
    times, sources = np.asarray(spikes.times), np.asarray(spikes.sources)
    edges = np.searchsorted(times, window * np.arange(windows + 1))
    most = int(np.max(np.diff(edges)))
    if most > room:
        raise ValueError(f"a window holds {most} input spikes, more than its room of {room}: raise room.")
    cut_times, cut_sources = np.full((windows, room), np.inf), np.zeros((windows, room), sources.dtype)
    for place, (start, stop) in enumerate(itertools.pairwise(edges)):
        cut_times[place, : stop - start] = np.maximum(times[start:stop] - place * window, 0)
        cut_sources[place, : stop - start] = sources[start:stop]
    return Spikes(jnp.asarray(cut_times), jnp.asarray(cut_sources))


def twin_spectrum(
    twin: AbstractTwin,
    weights: TwinWeights,
    spikes: Spikes,
    windows: int,
    *,
    transient: int,
    count: int,
    key: Key[Array, ""],
    blocks: int = 10,
) -> tuple[LyapunovSpectrum, float]:
    """The `count` leading exponents per unit of time over `windows` windows of input, and the mean rate of a neuron.

    `transient` windows are not counted. Raises `ValueError` for a silent network, `SimulationError` if a window went
    wrong, and `SingularJacobian` for exponents that are not defined (those of spiking neurons that the gated convention
    erases).
    """
    step, state = twin.begin(weights)
    found = estimate_spectrum(
        step, state, twin.drives(spikes, weights.inputs[0].shape[1], windows), transient=transient, count=count,
        key=key, blocks=blocks, duration=eqx.Partial(_length, twin.window),
    )  # fmt: skip
    rate = mean_rate(twin, weights, found.state.system, windows)
    require_resolved(found)
    return found, rate


def mean_rate(twin: AbstractTwin, weights: TwinWeights, state: WindowState, windows: int) -> float:
    """Spikes per neuron and unit of time of a run from rest to `state`; raises if it failed or was silent."""
    raise_unless_ok(Status(state.flags, jnp.asarray(windows * twin.window), getattr(twin, "max_events", 0)))
    if int(state.spikes) == 0:
        raise ValueError("The network is silent: there are no spikes to average over. Raise its input or its weights.")
    return int(state.spikes) / sum(block.shape[0] for block in weights.inputs) / (windows * twin.window)


def _length(window, state, drive):
    del state, drive
    return window
