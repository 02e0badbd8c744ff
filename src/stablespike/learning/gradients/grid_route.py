"""Networks on a time grid run by native kernels that count spikes: the values and derivatives of `run_on_grid`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from stablespike.dynamics.connections import Dense
from stablespike.dynamics.grid.cells import GridLIF, Heaviside, MembraneState, approach, decayed
from stablespike.dynamics.grid.network import (
    GridNetwork,
    GridRun,
    Layer,
    LayerState,
    Signals,
    require_inputs,
    run_layer,
    run_layers,
)
from stablespike.dynamics.grid.resets import (
    Detached,
    NewCurrent,
    NoReset,
    OldCurrent,
    ResetBeforeInput,
    ResetBySubtraction,
    ResetToZero,
    Unfelt,
)
from stablespike.dynamics.status import raise_unless_ok
from stablespike.learning.gradients.native_grid import DENSE_FROM, LayerUse, recurrent_layer, spike_product
from stablespike.learning.surrogates import SurrogateSpike
from stablespike.native.conventions import Flag
from stablespike.native.grid.forward import Gates

TERMS = {NoReset: (0, 0, 0), ResetToZero: (1, 1, 0), ResetBeforeInput: (1, 0, 0), ResetBySubtraction: (0, 0, 1)}


class _Update(eqx.Module):
    """V' from V, I, I', s and the constants a, b, g, theta."""

    reset: Callable
    driving: Callable

    def __call__(self, voltage: Array, current: Array, new: Array, spiked: Array, constants: Array) -> Array:
        _, b, g, threshold = constants
        return self.reset(b * voltage, g * self.driving(current, new), spiked, threshold)


def _no_slope(v: Array) -> Array:
    return jnp.zeros_like(v)


def run_on_grid_natively(
    network: GridNetwork,
    inputs: Signals,
    state: tuple[LayerState, ...] | None = None,
    *,
    dense_from: float = DENSE_FROM,
) -> GridRun:
    """Run a network as `run_on_grid` does, with the same values and derivatives up to rounding.

    Layers of `GridLIF` cells with a reset of this package and `Heaviside` or `SurrogateSpike` spikes, without delays in
    the recurrent connection, run in native kernels on CPU, forwards and backwards; all other layers, and all layers on
    other devices and in forward mode, as in `run_on_grid`. Products of spikes with `Dense` weights are sums of rows up
    to a density of `dense_from` (`spike_product`). The states of native `cells` are computed from the spikes where they
    are used. Second derivatives raise `NotImplementedError`. Errors and trials (`jax.vmap`): as in `run_on_grid`.
    """
    require_inputs(network, inputs)
    state = network.initial_state() if state is None else state
    if len(state) != len(network.layers):
        raise ValueError(f"the state of {len(network.layers)} layers cannot have {len(state)} parts.")
    if not dense_from >= 0:
        raise ValueError(f"dense_from is a density of spikes, at least 0, not {dense_from}.")
    run = _run(network, inputs, state, dense_from)
    raise_unless_ok(run.status)
    return run


@eqx.filter_jit
def _run(network: GridNetwork, inputs: Array, state: tuple[LayerState, ...], dense_from: float) -> GridRun:
    def run(layer: Any, old: LayerState, signals: Array) -> tuple[LayerState, Array, Any, Array]:
        use = layer_use(layer)
        known = use is not None
        return _run_native(use, layer, old, signals, dense_from) if known else run_layer(layer, old, signals)

    return run_layers(network, inputs, state, run)


def layer_use(layer: Layer) -> LayerUse | None:
    """What the kernels need to know of a layer, or None if they do not know its cells or connections."""
    cell = layer.cell
    if type(cell) is not GridLIF or type(layer.recurrent) not in (Dense, type(None)):
        return None
    terms, felt, spikes_felt = _terms(cell.reset)
    slope = _slope(cell.spike)
    if terms is None or slope is None or type(cell.driving) not in (NewCurrent, OldCurrent):
        return None
    old = int(type(cell.driving) is OldCurrent)
    return LayerUse(Gates(*(*terms, *felt, spikes_felt, old)), _Update(cell.reset, cell.driving), slope)


def _terms(reset: Any) -> tuple[Any, Any, int]:
    """rho, sigma, kappa; the same for the derivative; whether the spikes are differentiated."""
    if type(reset) is Detached:
        terms, felt, _ = _terms(reset.reset)
        return terms, felt, 0
    if type(reset) is Unfelt:
        return _terms(reset.reset)[0], (0, 0, 0), 0
    terms = TERMS.get(type(reset))
    return terms, terms, 1


def _slope(spike: Any) -> Callable | None:
    """The surrogate derivative, if it can be hashed: a function, or an object without arrays."""
    if type(spike) is Heaviside:
        return _no_slope
    known = type(spike) is SurrogateSpike and not any(map(eqx.is_array, jax.tree.leaves(spike)))
    return spike.slope if known else None


def _run_native(
    use: Any, layer: Any, old: LayerState, signals: Array, dense_from: float
) -> tuple[LayerState, Array, Any, Array]:
    cell, dtype = layer.cell, layer.inputs.weights.dtype
    if type(layer.inputs) is Dense:
        arriving, inputs = spike_product(signals, layer.inputs.weights.T, dense_from), old.inputs
    else:
        arriving, inputs = layer.inputs.over_time(old.inputs, signals)
    weights = jnp.zeros((0, layer.size), dtype) if layer.recurrent is None else layer.recurrent.weights.T
    before = cell.output(old.cell)
    start = jnp.stack([old.cell.voltage, old.cell.current, before])
    constants = _constants(cell, layer.size, dtype)
    spikes, final, failed = recurrent_layer(use, constants, weights, start, arriving)
    wrong = jnp.where(jnp.arange(len(spikes), dtype=failed.dtype) >= failed, int(Flag.NOT_FINITE), 0)
    cells = _cells(layer, old, jnp.concatenate([before[None], spikes[:-1]]), arriving)
    return LayerState(MembraneState(*final), inputs, old.recurrent), spikes, cells, wrong


def _constants(cell: Any, size: int, dtype: Any) -> Array:
    one = jnp.ones(size, dtype)
    a = decayed(one, cell.synaptic_time_constant, cell.dt)
    b = decayed(one, cell.membrane_time_constant, cell.dt)
    return jnp.stack([a, b, approach(cell.membrane_time_constant, cell.dt) * one, cell.threshold * one]).astype(dtype)


def _cells(layer: Any, old: LayerState, spikes: Array, arriving: Array) -> Any:
    """States of the cells after every step, from the spikes before every step: dropped inside jit where not used."""
    if layer.recurrent is not None:
        arriving = arriving + layer.recurrent.over_time(old.recurrent, spikes)[0]

    def step(cell: Any, given: tuple[Array, Array]) -> tuple[Any, Any]:
        cell = layer.cell.advance(cell, *given)
        return cell, cell

    return jax.lax.scan(step, old.cell, (spikes, arriving))[1]
