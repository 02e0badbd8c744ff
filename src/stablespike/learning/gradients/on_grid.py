"""A network on a time grid: neurons become cells, and backpropagation through time or another rule its derivative."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from stablespike.dynamics.arguments import shown
from stablespike.dynamics.connections import Connection, Delayed
from stablespike.dynamics.grid.cells import Cell, GridLIF, Heaviside
from stablespike.dynamics.grid.network import GridNetwork, GridRun, LayerState, run_on_grid, time_steps
from stablespike.dynamics.grid.network import Layer as GridLayer
from stablespike.dynamics.grid.neuron import GridNeuron
from stablespike.dynamics.memory import require_memory
from stablespike.dynamics.network import Network
from stablespike.dynamics.neurons.neuron import Scalar
from stablespike.dynamics.run import Run, Trains
from stablespike.dynamics.spikes import Spikes
from stablespike.dynamics.status import Status
from stablespike.dynamics.ways import Grid
from stablespike.learning.gradients.eprop import eligibility_propagation
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from stablespike.learning.gradients.real_time import gradient_in_real_time, real_time_recurrent_learning
from stablespike.learning.gradients.rules import EProp, ParallelInTime, RealTimeRecurrent, Recorded, Rule, TimeReversed
from stablespike.learning.gradients.through_time import Checkpointed, Truncated
from stablespike.learning.surrogates import SurrogateSpike


def run_on_a_grid(
    grid: GridNetwork,
    inputs: Spikes | Num[Array, "steps channels"],
    until: Scalar | None,
    on: Grid,
    gradient: Rule | None,
    initial: Any,
) -> Run:
    """One trial of what `as_grid_network` made; see `simulate`, which checks and raises."""
    if isinstance(gradient, EProp | RealTimeRecurrent) and any(one is not None for one in initial or ()):
        raise ValueError(f"{type(gradient).__name__}() starts from rest: leave `initial` out, or use Recorded().")
    if isinstance(inputs, Spikes):
        steps = whole_steps(until, on.dt)
        require_room(grid, steps)
        inputs = on.signals(inputs, grid.channels, steps)
    signals = inputs.astype(grid.layers[0].inputs.dtype)
    run = _run(grid, signals, _started(grid, initial), gradient)
    steps = signals.shape[0]
    at = on.dt * jnp.arange(1, steps + 1, dtype=signals.dtype)
    layers = tuple(Trains(output.sum(0), steps, at=at, signals=output) for output in run.outputs)
    status = Status(run.status.flags, on.dt * run.status.time, steps, "dt")
    return Run(layers, tuple(one.cell for one in run.final), status, run.cells if on.watched else None)


def require_room(grid: GridNetwork, steps: int) -> None:
    """Raise `MemoryError` where a trial's signals do not fit: all that comes in and goes out, and what arrives."""
    sizes = [layer.size for layer in grid.layers]
    numbers = steps * (grid.channels + sum(sizes) + max(sizes))
    what = f"A trial of {steps} steps of {grid.channels} channels and {sum(sizes)} neurons"
    require_memory(jnp.dtype(grid.layers[0].inputs.dtype).itemsize * numbers, what)


def as_grid_network(network: Network, on: Grid) -> GridNetwork:
    """The network with its neurons as cells, and its delays as whole steps."""
    layers = []
    for layer in network.layers:
        loop = None if layer.loop is None else _in_steps(layer.loop, on)
        layers.append(GridLayer(as_cell(layer.neuron, on), _in_steps(layer.inputs, on), loop))
    return GridNetwork(tuple(layers))


def as_cell(neuron: Any, on: Grid) -> Cell:
    """A neuron on the grid."""
    spike = Heaviside() if on.slope is None else SurrogateSpike(on.slope)
    if isinstance(neuron, Cell):
        if any(float(dt) != float(on.dt) for dt in time_steps(neuron) if not isinstance(dt, jax.core.Tracer)):
            raise ValueError(f"{type(neuron).__name__} was made for another step than Grid(dt={on.dt}).")
        return neuron
    return neuron.on_grid(on, spike)


def whole_steps(until: Scalar | None, dt: Scalar) -> int:
    """Number of steps of a trial; `ValueError` unless it is whole, to rounding."""
    if isinstance(until, jax.core.Tracer) or isinstance(dt, jax.core.Tracer) or until is None:
        raise ValueError("on a grid, give `until` and `dt` as plain numbers: the number of steps follows from them.")
    steps = round(float(until) / float(dt))
    if steps < 1 or abs(steps * float(dt) - float(until)) > 1e-6 * float(dt):
        raise ValueError(f"a trial until {until} is no whole number of steps of {dt}: change one of the two.")
    return steps


def _in_steps(connection: Connection, on: Grid) -> Connection:
    return connection.in_steps(on.dt) if isinstance(connection, Delayed) else connection


def _started(grid: GridNetwork, initial: Any) -> tuple[LayerState, ...]:
    """Rest, with the neurons' states where they are given."""
    rest = grid.initial_state()
    if initial is None:
        return rest
    return tuple(
        one if given is None else eqx.tree_at(lambda state: state.cell, one, _like_rest(layer.cell, given, one.cell))
        for one, given, layer in zip(rest, initial, grid.layers, strict=True)
    )


def _like_rest(cell: Cell, given: Any, rest: Any) -> Any:
    """The state of a cell; `ValueError` unless it is made as the one at rest."""
    state = _cell_state(cell, given)
    made, wanted = (
        [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(one)] for one in (state, rest)
    )
    if type(state) is not type(rest) or made != wanted:
        raise ValueError(
            f"initial states of {type(cell).__name__} must be made as those at rest, {type(rest).__name__} with arrays "
            f"{[list(shape) for shape, _ in wanted]} of {wanted[0][1]}, not {shown(given)}."
        )
    return state


def _cell_state(cell: Cell, given: Any) -> Any:
    if isinstance(cell, GridNeuron) and eqx.is_array(given):
        return cell.state_at(given)
    if isinstance(cell, GridLIF) and eqx.is_array(given):
        return type(cell.initial_state(given.shape[0], given.dtype))(given[:, 0], given[:, 1])
    return given


def _run(grid: GridNetwork, signals: Array, state: tuple[LayerState, ...], gradient: Rule | None) -> GridRun:
    if isinstance(gradient, TimeReversed):
        raise ValueError("TimeReversed() exists by events only: on a grid use Checkpointed() to save memory.")
    if isinstance(gradient, ParallelInTime):
        raise ValueError("ParallelInTime() exists by events only: on a grid use Recorded().")
    if gradient is None:
        return run_on_grid_natively(grid, signals, state)
    if isinstance(gradient, Recorded):
        return run_on_grid(grid, signals, state)
    if isinstance(gradient, EProp | RealTimeRecurrent):
        return _forwards_in_time(grid, signals, state, gradient)
    if isinstance(gradient, Checkpointed | Truncated):
        return run_on_grid(grid, signals, state, scan=gradient)
    raise ValueError(f"there is no gradient rule {shown(gradient)} on a grid: use Recorded().")


def _forwards_in_time(
    grid: GridNetwork, signals: Array, state: tuple[LayerState, ...], gradient: EProp | RealTimeRecurrent
) -> GridRun:
    """A run whose derivative in the network comes from a rule that goes forwards in time, from rest.

    The cotangents of the output of every step are the errors that the rule asks for, so that any loss on the last
    layer's signals will do; what else a run gives is a constant to the derivative.
    """
    varied, rest = eqx.partition(grid, eqx.is_inexact_array)
    run = jax.lax.stop_gradient(run_on_grid(grid, signals, state))
    output = _output(varied, rest, jax.lax.stop_gradient(signals), gradient)
    return eqx.tree_at(lambda one: one.outputs, run, (*run.outputs[:-1], output))


@eqx.filter_custom_vjp
def _output(
    varied: PyTree, rest: PyTree, signals: Array, gradient: EProp | RealTimeRecurrent
) -> Float[Array, "steps outputs"]:
    del gradient
    return run_on_grid(eqx.combine(varied, rest), signals).readout


@_output.def_fwd
def _forwards(
    perturbed: PyTree, varied: PyTree, rest: PyTree, signals: Array, gradient: EProp | RealTimeRecurrent
) -> tuple[Array, None]:
    del perturbed
    return _output(varied, rest, signals, gradient), None


@_output.def_bwd
def _backwards(
    kept: None,
    bars: Any,
    perturbed: PyTree,
    varied: PyTree,
    rest: PyTree,
    signals: Array,
    gradient: Any,
) -> PyTree:
    del kept, perturbed

    def error(output: Array, bar: Array) -> Array:
        return jnp.vdot(output, bar)

    eprop = isinstance(gradient, EProp)
    rule = eligibility_propagation(error, gradient.feedback) if eprop else real_time_recurrent_learning(error)
    return gradient_in_real_time(rule, eqx.combine(varied, rest), signals, bars)[1]
