"""Any network as a step from window to window: what exponents, flossing and gradients through time are taken of."""

import abc
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, PyTree

from stablespike.dynamics.arguments import require_number, require_whole, shown
from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.network import LayerState
from stablespike.dynamics.network import Network, Recurrent
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar, initial_states
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.dynamics.ways import DEFAULT_BUDGET, Events, Grid
from stablespike.learning.gradients.on_grid import as_grid_network, whole_steps
from stablespike.stability.event_tangent import (
    EventNetworkState,
    Window,
)
from stablespike.stability.lyapunov import AbstractEventfulStep

MOST_WINDOWS = 10**8  # more fit into no memory


class GridWindowState(eqx.Module):
    """State of the `layers` between two steps, the `spikes` so far of all neurons, and `flags` (0 = well)."""

    layers: tuple[LayerState, ...]
    spikes: Int[Array, ""]
    flags: Int[Array, ""]


class AbstractWindow(AbstractEventfulStep):
    """A `network` run `on` events or a grid, from window to window of length `window` (unit: the time constants).

    `step(state, drive)` is the state one window later; `rest()` where to start, `drives(inputs, windows)` the input of
    each window.
    """

    network: eqx.AbstractVar[Network]
    window: eqx.AbstractVar[float]

    @abc.abstractmethod
    def rest(self) -> Any:
        """V = 0 without current, no spikes so far."""

    @abc.abstractmethod
    def drives(self, inputs: Spikes, windows: int) -> PyTree:
        """Input spikes of one trial cut into so many windows; what comes later is left out."""

    @abc.abstractmethod
    def __call__(self, state: Any, drive: Any) -> Any:
        """One window."""

    def duration(self, state: Any, drive: Any) -> float:
        """The length of a window."""
        del state, drive
        return self.window

    def require_events(self, state: Any, drives: PyTree) -> None:
        """Nothing: the spikes of the run itself are counted."""

    def require_ran(self, state: Any, steps: int) -> float:
        """Spikes per neuron and unit of time of a run of so many windows from rest to `state`; nan inside jit.

        Raises `SimulationError` if it failed and `ValueError` if it was silent.
        """
        if isinstance(state.spikes, jax.core.Tracer):
            return float("nan")
        raise_unless_ok(Status(state.flags, jnp.asarray(steps * self.window), self.room, "budget"))
        if int(state.spikes) == 0:
            raise ValueError(
                "The network is silent: there are no spikes to average over. Raise its input or its weights."
            )
        return int(state.spikes) / sum(self.network.sizes) / (steps * self.window)

    @property
    def room(self) -> int:
        """The budget, where there is one."""
        return 0


class EventWindow(AbstractWindow):
    """Event by event, all layers as one population of one kind of neuron, dense and without delays.

    The state holds coordinates with as many entries as a neuron has degrees of freedom. `budget` spikes of a neuron
    have room in a window, shared by all neurons.
    """

    network: Network
    window: float
    budget: int = eqx.field(static=True, default=DEFAULT_BUDGET)

    def __check_init__(self) -> None:
        """Refuse networks that are no one population."""
        population(self.network)

    @property
    def room(self) -> int:
        """The budget."""
        return self.budget

    def rest(self) -> EventNetworkState:
        """V = 0 without current."""
        one = population(self.network)
        return self._window(0).start(initial_states(one.neuron, jnp.zeros(one.size, one.weights.dtype)))

    def _window(self, inputs: int) -> Window:
        one = population(self.network)
        return Window(one, one.neuron.chart(), self.window, self.budget * one.size + inputs + 1)

    def __call__(self, state: EventNetworkState, drive: Spikes | None = None) -> EventNetworkState:
        """All spikes and inputs of the window."""
        return self._window(0 if drive is None else drive.times.shape[0])(state, drive)

    def drives(self, inputs: Spikes, windows: int) -> Spikes:
        """Spikes of every window `[windows, most of one window]`, with times from its start."""
        return spikes_by_window(inputs, self.window, windows)


class GridWindow(AbstractWindow):
    """On a grid: `network` `on` it, as many steps a window as its drive `[steps, channels]` has."""

    network: Network
    window: float
    on: Grid

    def __check_init__(self) -> None:
        """Refuse windows that are no whole steps."""
        whole_steps(self.window, self.on.dt)

    def rest(self) -> GridWindowState:
        """At rest."""
        none = jnp.zeros((), int)
        return GridWindowState(as_grid_network(self.network, self.on).initial_state(), none, none)

    def __call__(self, state: GridWindowState, drive: Num[Array, "steps channels"]) -> GridWindowState:
        """All steps of the window."""
        network = as_grid_network(self.network, self.on)

        def one(layers: tuple[LayerState, ...], signal: Array) -> tuple[tuple[LayerState, ...], tuple[Array, Array]]:
            layers, _ = network.step(layers, signal)
            pairs = list(zip(network.layers, layers, strict=True))
            sent = jnp.sum(jnp.stack([jnp.sum(layer.cell.output(new.cell)) for layer, new in pairs]))
            flags = jnp.bitwise_or.reduce(jnp.stack([layer.cell.flags(new.cell) for layer, new in pairs]))
            return layers, (jax.lax.stop_gradient(sent).astype(int), flags)

        layers, (sent, flags) = jax.lax.scan(one, state.layers, drive)
        return GridWindowState(layers, state.spikes + sent.sum(), state.flags | jnp.bitwise_or.reduce(flags))

    def drives(self, inputs: Spikes, windows: int) -> Float[Array, "windows steps channels"]:
        """What arrives in each step."""
        require_whole(1, windows=windows)
        steps = whole_steps(self.window, self.on.dt)
        return self.on.signals(inputs, self.network.channels, steps * windows).reshape(windows, steps, -1)


def as_step(network: Network, *, on: Events | Grid | None = None, window: Scalar) -> AbstractWindow:
    """The network as a step over a `window` of time, by events (the default) or on a grid.

    Raises `ValueError` for networks that have no tangent space here: with delays or sparse connections, or of several
    kinds of neuron by events.
    """
    if not isinstance(network, Network):
        raise ValueError(f"as_step takes a Network(Layer(...), ...), not {shown(network)}.")
    if not isinstance(on, Events | Grid | None):
        raise ValueError(f"on must be Events() or Grid(dt, slope), not {shown(on)}.")
    require_number("window", window)
    if not 0 < float(window) < float("inf"):
        raise ValueError(f"a window must be finite and longer than 0, not {window}.")
    if isinstance(on, Grid):
        return GridWindow(network, float(window), on)
    return EventWindow(network, float(window), DEFAULT_BUDGET if on is None or on.budget is None else on.budget)


def population(network: Network) -> Recurrent:
    """All layers as one population, one after the other; `ValueError` where they are not of one kind and dense."""
    kinds = {type(layer.neuron) for layer in network.layers}
    dense = all(isinstance(layer.inputs, Dense) and isinstance(layer.loop, Dense | None) for layer in network.layers)
    if len(kinds) > 1 or not issubclass(next(iter(kinds)), AbstractNeuron) or not dense:
        raise ValueError(
            "by events a step is made of layers of one kind of neuron with Dense connections, without delays and "
            "readout: take the others off, or use Grid(dt, slope)."
        )
    sizes = network.sizes
    ends = np.cumsum(sizes)
    weights = jnp.zeros((sum(sizes), sum(sizes)), network.layers[0].inputs.dtype)
    for below, end, layer in zip((None, *network.layers[:-1]), ends, network.layers, strict=True):
        rows = slice(end - layer.size, end)
        if below is not None:
            weights = weights.at[rows, end - layer.size - below.size : end - layer.size].set(layer.inputs.weights)
        if layer.loop is not None:
            weights = weights.at[rows, rows].set(layer.loop.weights)
    inputs = jnp.zeros((sum(sizes), network.channels), weights.dtype)
    inputs = inputs.at[: sizes[0]].set(network.layers[0].inputs.weights)
    return Recurrent(_joined([layer.neuron for layer in network.layers], sizes), weights, inputs)


def _joined(neurons: list[AbstractNeuron], sizes: tuple[int, ...]) -> AbstractNeuron:
    """One neuron whose parameters are those of all layers: numbers where these are the same."""

    def join(*leaves: Any) -> Any:
        if all(leaf is leaves[0] or (not jnp.ndim(leaf) and leaf == leaves[0]) for leaf in leaves):
            return leaves[0]
        return jnp.concatenate([jnp.broadcast_to(leaf, (size,)) for leaf, size in zip(leaves, sizes, strict=True)])

    return neurons[0] if len(neurons) == 1 else jax.tree.map(join, *neurons)


def spikes_by_window(spikes: Spikes, window: float, windows: int) -> Spikes:
    """Spikes of one trial cut into windows `[windows, most of one]`, with times from the start of each.

    What comes after the last window is left out. The spikes must be known: not inside jit.
    """
    require_whole(1, windows=windows)
    if not isinstance(spikes, Spikes) or spikes.times.ndim != 1 or windows > MOST_WINDOWS:
        raise ValueError(
            f"inputs of one trial must be Spikes(times, sources) in at most {MOST_WINDOWS} windows, not "
            f"{shown(spikes)} in {windows}."
        )
    if isinstance(spikes.times, jax.core.Tracer):
        raise ValueError("spikes are cut into windows outside jit, where their times are known.")
    times, sources = np.asarray(spikes.times), np.asarray(spikes.sources)
    edges = np.searchsorted(times, window * np.arange(windows + 1))
    room = max(1, int(np.max(np.diff(edges), initial=0)))
    cut_times = np.full((windows, room), np.inf, times.dtype)
    cut_sources = np.zeros((windows, room), sources.dtype)
    for place, (start, stop) in enumerate(itertools.pairwise(edges)):
        cut_times[place, : stop - start] = np.maximum(times[start:stop] - place * window, 0)
        cut_sources[place, : stop - start] = sources[start:stop]
    return Spikes(jnp.asarray(cut_times), jnp.asarray(cut_sources))
