"""Networks on a time grid on a GPU: layers by the kernels of `native.cuda.grid`, products with spikes by XLA.

`gradients.on_gpu.launch_kernels` has programs for a GPU do this.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from stablespike.learning.gradients import native_grid
from stablespike.native.cuda.machine_code import GRID_LAYER, GRID_LAYER_ADJOINT, GRID_LOOP, GRID_LOOP_ADJOINT
from stablespike.native.cuda.team import GROUP
from stablespike.native.trial_rule import Trials

EXACT = jax.lax.Precision.HIGHEST  # by default XLA rounds factors of type float32 to ten bits on such a GPU


def layer_run(launcher: Callable, use: Any, trials: Trials) -> list[Array]:
    """The results of a layer as the rule `layer_on_a_grid` has them; the bits of the spikes are not kept."""
    (pre, neurons), steps, dtype = trials.flat[1].shape[1:], trials.flat[3].shape[1], trials.flat[3].dtype
    operands = [*trials.flat, jnp.asarray(trials.rows), jnp.asarray(use.gates, dtype)]
    kind, threads = (GRID_LOOP, trials.count) if pre else (GRID_LAYER, trials.count * neurons)
    sizes = {"listed": neurons, "groups": -(-neurons // GROUP)} if pre else {"listed": 0, "groups": 0}
    found = launcher(kind, None, operands, threads, **sizes)
    voltages, currents = found["voltages"], found["currents"]
    words = jnp.zeros((trials.count, steps + 1, native_grid._words(neurons)), native_grid.WHOLE)
    final = jnp.stack([voltages[:, -1], currents[:, -1]], 1)
    return [found["spikes"], final, voltages, currents, words, found["failed"].min(1)]


def layer_pull(
    launcher: Callable, use: Any, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    """The cotangents of a layer's operands that are wanted."""
    constants, weights, start, _ = trials.flat
    (spikes, voltages, currents, _), leads = kept, dict(zip(wants, leads, strict=True))
    (pre, neurons), recorded = weights.shape[1:], (spikes, voltages, currents)
    given = constants, jnp.swapaxes(weights, 1, 2) if pre else weights, start, jnp.asarray(trials.rows[:, :3])
    own = *recorded, native_grid._slopes(use, trials, voltages), *bars
    kind, threads = (GRID_LOOP_ADJOINT, trials.count) if pre else (GRID_LAYER_ADJOINT, trials.count * neurons)
    operands = [*given, jnp.asarray(use.gates, constants.dtype), *own]
    results = launcher(kind, None, operands, threads, three=3, kept=4 if 0 in wants else 0)
    names = ((0, "constant_bars"), (2, "start_bars"), (3, "current_bars"))
    found = {i: trials.gathered(results[name], leads[i]) for i, name in names if i in wants}
    if 1 in wants:
        before = jnp.concatenate([start[trials.rows[:, 2], 2:], spikes[:, :-1]], 1)[..., :pre]
        found[1] = _weight_bars(before, results["current_bars"], trials.rows_of(leads[1]), leads[1])
    return [found[i] for i in wants]


def _weight_bars(spikes: Array, bars: Array, rows: np.ndarray, lead: tuple[int, ...]) -> Array:
    """Cotangents `[*lead, channels, neurons]` of weights, from spikes and cotangents of the products of all trials."""
    if not spikes.shape[-1]:
        return jnp.zeros((*lead, 0, bars.shape[-1]), bars.dtype)
    table = native_grid._Table(rows, int(np.prod(lead, dtype=int)))
    sums = jnp.matmul(jnp.swapaxes(table.together(spikes), 1, 2), table.together(bars), precision=EXACT)
    return sums.reshape(*lead, *sums.shape[1:])


def _of_trials(trials: Trials, operand: int) -> Array:
    """An operand of every trial: as it is, without a copy, where each trial has its own."""
    flat, rows = trials.flat[operand], trials.rows[:, operand]
    return flat if np.array_equal(rows, np.arange(flat.shape[0])) else flat[rows]


def product_run(launcher: Any, use: Any, trials: Trials) -> list[Array]:
    """The results of the rule `product_with_spikes`, by a matrix product; the spikes are not counted."""
    del launcher
    spikes, weights = _of_trials(trials, 0), trials.flat[1]
    table = native_grid._Table(trials.rows[:, 1], weights.shape[0])
    product = table.apart(jnp.matmul(table.together(spikes), weights, precision=EXACT))
    _, words, counts = native_grid._product_shapes(use, (spikes, weights))
    lead = (trials.count,)
    return [product, jnp.zeros((*lead, *words.shape), words.dtype), jnp.zeros((*lead, *counts.shape), counts.dtype)]


def product_pull(
    launcher: Any, use: Any, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    """The cotangents of the operands of that product that are wanted."""
    del launcher, use, kept
    weights, (bar,), leads, found = trials.flat[1], bars, dict(zip(wants, leads, strict=True)), {}
    if 0 in wants:
        table = native_grid._Table(trials.rows[:, 1], weights.shape[0])
        back = jnp.matmul(table.together(bar), jnp.swapaxes(weights, 1, 2), precision=EXACT)
        found[0] = trials.gathered(table.apart(back), leads[0])
    if 1 in wants:
        found[1] = _weight_bars(_of_trials(trials, 0), bar, trials.rows_of(leads[1]), leads[1])
    return [found[i] for i in wants]


RULES: tuple[tuple[Callable, Callable, Callable], ...] = (
    (native_grid._layer, layer_run, layer_pull),
    (native_grid._product, product_run, product_pull),
)
