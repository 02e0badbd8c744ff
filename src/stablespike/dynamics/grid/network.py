"""Networks on a time grid: layers of cells, with recurrent connections within a layer, and their run over time.

All is written for one trial, `[steps, channels]`; a batch is `jax.vmap` over trials, under which the products become
matrix products of the whole batch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from stablespike.dynamics.connections import Connection
from stablespike.dynamics.grid.cells import Cell
from stablespike.dynamics.neurons.neuron import AbstractNeuron, Scalar
from stablespike.dynamics.status import Status, raise_unless_ok
from stablespike.native.conventions import Flag

Signals = Num[Array, "steps channels"] | Bool[Array, "steps channels"]
# Steps that one turn of a loop does. Measured on CPU for the benchmark network (256 neurons, 64 trials): 1.15 times the
# processor time of 1 with 2, 1.65 times with 5. Elsewhere a longer body means fewer launches; 8 is a guess.
UNROLL = {"cpu": 1, "gpu": 8, "tpu": 8}


class LayerState(eqx.Module):
    """State of the `cell`s, and what the two connections remember (None where there are no delays)."""

    cell: Any
    inputs: Any
    recurrent: Any


class Layer(eqx.Module):
    """Cells with connections from the layer below (the first: from the input channels) and, or not, among themselves.

    What a layer receives from below acts in the same step, what it receives from itself one step later; `DelayedSteps`
    connections add to that.
    """

    cell: Cell
    inputs: Connection
    recurrent: Connection | None = None

    def __check_init__(self) -> None:
        """Refuse connections and parameters that do not fit."""
        if self.recurrent is not None and self.recurrent.shape != (self.size, self.size):
            raise ValueError(
                f"recurrent weights of a layer of {self.size} neurons must have shape [{self.size}, {self.size}], not "
                f"{list(self.recurrent.shape)}."
            )
        for parameter in _parameters(self.cell):
            if jnp.ndim(parameter) and jnp.shape(parameter) != (self.size,):
                raise ValueError(
                    f"parameters of {type(self.cell).__name__} must be numbers or have shape [{self.size}], not "
                    f"{list(jnp.shape(parameter))}."
                )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.inputs.shape[0]

    def initial_state(self) -> LayerState:
        """At rest, without spikes under way."""
        recurrent = None if self.recurrent is None else self.recurrent.initial_history()
        cell = self.cell.initial_state(self.size, self.inputs.dtype)
        return LayerState(cell, self.inputs.initial_history(), recurrent)

    def advance(
        self, cell: Any, past: Any, output: Float[Array, " neurons"], arriving: Float[Array, " neurons"]
    ) -> tuple[Any, Any]:
        """Cells and recurrent history one step later; `output` is that of `cell`, `arriving` comes from below."""
        if self.recurrent is not None:
            back, past = self.recurrent(past, output)
            arriving = arriving + back
        return self.cell.advance(cell, output, arriving), past


def _parameters(model: Cell | AbstractNeuron) -> Iterator[Array]:
    """The arrays among the parameters; those of a spike function are its own business."""
    for field in vars(model).values():
        if isinstance(field, Cell | AbstractNeuron):
            yield from _parameters(field)
        elif eqx.is_array(field):
            yield field


def time_steps(cell: Cell) -> Iterator[Scalar]:
    """The lengths of a step that a cell, or one within it, was built for."""
    for name, field in vars(cell).items():
        if isinstance(field, Cell):
            yield from time_steps(field)
        elif name == "dt":
            yield field


class GridNetwork(eqx.Module):
    """Layers one above the other; the output of the last one, often a `GridLeakyReadout`, is that of the network."""

    layers: tuple[Layer, ...]

    def __check_init__(self) -> None:
        """Refuse layers that do not fit together."""
        if not self.layers:
            raise ValueError("a network needs at least one layer.")
        for below, above in zip(self.layers[:-1], self.layers[1:], strict=True):
            if above.inputs.shape[1] != below.size:
                raise ValueError(
                    f"a layer of {below.size} neurons cannot feed weights of shape "
                    f"{list(above.inputs.shape)} [post, pre]."
                )
        steps = [dt for layer in self.layers for dt in time_steps(layer.cell) if not isinstance(dt, jax.core.Tracer)]
        if any(float(dt) != float(steps[0]) for dt in steps):
            raise ValueError(
                f"all layers of a network share one time step dt, not {sorted({float(s) for s in steps})}."
            )

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.layers[0].inputs.shape[1]

    def initial_state(self) -> tuple[LayerState, ...]:
        """At rest, without spikes under way."""
        return tuple(layer.initial_state() for layer in self.layers)

    def step(
        self, state: tuple[LayerState, ...], signal: Float[Array, " channels"]
    ) -> tuple[tuple[LayerState, ...], Float[Array, " outputs"]]:
        """One step: the new state, which is all that the future depends on, and the new output of the last layer."""
        new = []
        for layer, old in zip(self.layers, state, strict=True):
            arriving, inputs = layer.inputs(old.inputs, signal)
            cell, recurrent = layer.advance(old.cell, old.recurrent, layer.cell.output(old.cell), arriving)
            signal = layer.cell.output(cell)
            new.append(LayerState(cell, inputs, recurrent))
        return tuple(new), signal

    def flags(self) -> Int[Array, ""]:
        """Flags of parameters and weights that cannot be meant, also known inside jit."""
        allowed = sane = jnp.array(True)
        for layer in self.layers:
            for condition, _ in layer.cell.requirements():
                allowed &= jnp.all(condition)
            for leaf in jax.tree.leaves(eqx.filter((layer.inputs, layer.recurrent), eqx.is_inexact_array)):
                sane &= jnp.all(jnp.isfinite(leaf))
        return jnp.where(allowed, 0, int(Flag.PARAMETERS)) | jnp.where(sane, 0, int(Flag.WEIGHTS))


class GridRun(eqx.Module):
    """What a run gives, layer by layer: `outputs` and states of the `cells` after every step, the state at the end.

    The time in the `status` is counted in steps. What is not used is not kept, inside jit.
    """

    outputs: tuple[Float[Array, "*trials steps _"], ...]
    cells: tuple[Any, ...]
    final: tuple[LayerState, ...]
    status: Status

    @property
    def readout(self) -> Float[Array, "*trials steps outputs"]:
        """Output of the last layer."""
        return self.outputs[-1]


def scan_for_backend(step: Callable, start: Any, inputs: Any) -> tuple[Any, Any]:
    """`jax.lax.scan` with as many steps in one turn of the loop as suit the default backend (`UNROLL`)."""
    return jax.lax.scan(step, start, inputs, unroll=UNROLL.get(jax.default_backend(), 1))


def run_on_grid(
    network: GridNetwork,
    inputs: Signals,
    state: tuple[LayerState, ...] | None = None,
    *,
    scan: Callable[[Callable, Any, Any], tuple[Any, Any]] = scan_for_backend,
) -> GridRun:
    """Run a network over `inputs` `[steps, channels]` (spikes, counts or numbers) from `state`, by default from rest.

    Layer by layer, which gives the numbers of `GridNetwork.step` repeated: no layer feeds one below it, so all that
    arrives from below is one matrix product, and only recurrence is stepped. `scan` does the stepping: exchange it to
    change how the derivative through time is taken. Raises `SimulationError` outside jit; inside, look at the status.
    Trials: `jax.vmap(lambda one: run_on_grid(network, one))(batch)`.
    """
    require_inputs(network, inputs)
    state = network.initial_state() if state is None else state
    if len(state) != len(network.layers):
        raise ValueError(f"the state of {len(network.layers)} layers cannot have {len(state)} parts.")
    run = _run(network, inputs, state, scan)
    raise_unless_ok(run.status)
    return run


@eqx.filter_jit
def _run(network: GridNetwork, inputs: Array, state: tuple[LayerState, ...], scan: Callable) -> GridRun:
    return run_layers(network, inputs, state, lambda layer, old, signals: run_layer(layer, old, signals, scan))


def run_layers(network: GridNetwork, inputs: Signals, state: tuple[LayerState, ...], run: Callable) -> GridRun:
    """Layer after layer, each by `run(layer, state, signals)`, which gives what `run_layer` does; and the status."""
    signals = inputs.astype(network.layers[0].inputs.dtype)
    runs, flags = [], jnp.zeros(inputs.shape[0], int)
    for layer, old in zip(network.layers, state, strict=True):
        new, signals, cells, wrong = run(layer, old, signals)
        runs.append((signals, cells, new))
        flags |= wrong
    outputs, cells, final = zip(*runs, strict=True)
    return GridRun(outputs, cells, final, run_status(network, inputs, flags))


def run_status(network: GridNetwork, inputs: Signals, flags: Int[Array, " steps"]) -> Status:
    """The status of a run, from the flags of every step: the first of them, and what is wrong with the network."""
    input_flag = jnp.where(jnp.all(jnp.isfinite(inputs)), 0, int(Flag.NOT_FINITE))
    first = jnp.argmax(flags != 0).astype(float)
    return Status(network.flags() | input_flag | jnp.bitwise_or.reduce(flags), first, inputs.shape[0])


def require_inputs(network: GridNetwork, inputs: Signals) -> None:
    """Raise `ValueError` unless the inputs are those of one trial of this network."""
    if jnp.ndim(inputs) != 2 or jnp.shape(inputs)[1] != network.channels or not jnp.shape(inputs)[0]:
        raise ValueError(
            f"inputs must have shape [steps, {network.channels}], not {list(jnp.shape(inputs))}; batches go by `vmap`."
        )


def run_layer(
    layer: Layer, state: LayerState, signals: Float[Array, "steps pre"], scan: Callable = scan_for_backend
) -> tuple[LayerState, Float[Array, "steps neurons"], Any, Int[Array, " steps"]]:
    """One layer over all steps: its state at the end, and of every step its output, its cells and their flags."""
    arriving, inputs = layer.inputs.over_time(state.inputs, signals)

    def step(carry: tuple[Any, Any, Array], arriving: Array) -> tuple[tuple[Any, Any, Array], tuple[Array, Any, Array]]:
        cell, past, output = carry
        cell, past = layer.advance(cell, past, output, arriving)
        output = layer.cell.output(cell)
        return (cell, past, output), (output, cell, layer.cell.flags(cell))

    start = state.cell, state.recurrent, layer.cell.output(state.cell)
    (cell, past, _), (outputs, cells, flags) = scan(step, start, arriving)
    return LayerState(cell, inputs, past), outputs, cells, flags
