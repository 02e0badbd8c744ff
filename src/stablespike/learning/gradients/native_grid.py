"""Native routes for networks on a time grid: products with spikes, and recurrent layers with their adjoint.

Both are primitives on trials (`native/trial_rule.py`): weights that trials share stay shared, and their cotangent is
summed in the kernel. Off the CPU and in forward mode the plain JAX form does the work.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stablespike.dynamics.grid.network import scan_for_backend
from stablespike.native.grid import adjoint as grid_lif_adjoint
from stablespike.native.grid import forward as grid_lif
from stablespike.native.grid import spike_rows
from stablespike.native.grid.forward import Gates
from stablespike.native.trial_rule import TrialRule, Trials, trial_primitive

WHOLE = jnp.dtype("int32")
DENSE_FROM = 0.25  # density of spikes from which a matrix product is taken: where the two cross in `grid-benchmarks`


class _Product(NamedTuple):
    dense_from: float


def spike_product(
    spikes: Float[Array, "steps channels"], weights: Float[Array, "channels neurons"], dense_from: float = DENSE_FROM
) -> Float[Array, "steps neurons"]:
    """spikes @ weights, where spikes are zeros and ones: as sums of the weights' rows while few channels spike.

    From a density of `dense_from` on, counted over all trials of a call, and where a number is neither 0 nor 1, it is a
    matrix product, with the same numbers up to rounding. The cotangent of the weights is made in the same way, that of
    the spikes always by a matrix product. Trials: `jax.vmap`.
    """
    return _product(_Product(float(dense_from)), spikes, weights)[0]


def _words(channels: int) -> int:
    return -(-channels // spike_rows.BITS)


def _product_shapes(use: _Product, operands: Any) -> list[jax.ShapeDtypeStruct]:
    (steps, channels), neurons, dtype = operands[0].shape[-2:], operands[1].shape[-1], operands[1].dtype
    shapes = [((steps, neurons), dtype), ((steps, _words(channels)), WHOLE), ((steps,), WHOLE)]
    return [jax.ShapeDtypeStruct(shape, one) for shape, one in shapes]


def _product_reference(use: _Product, spikes: Array, weights: Array) -> tuple[Array, Array, Array]:
    _, words, counts = _product_shapes(use, (spikes, weights))
    return spikes @ weights, jnp.zeros(words.shape, WHOLE), jnp.zeros(counts.shape, WHOLE)


def _is_sparse(use: _Product, counts: Array, channels: int) -> Array:
    return jnp.all(counts >= 0) & (jnp.mean(counts.astype(jnp.float32)) < use.dense_from * channels)


def _product_run(use: _Product, trials: Trials) -> tuple[Array, Array, Array]:
    spikes, weights = trials.flat
    channels = spikes.shape[2]
    words, counts = (one[trials.rows[:, 0]] for one in spike_rows.PACK(spikes, words=_words(channels)))

    def gathered() -> Array:
        return spike_rows.GATHER(weights, _table(trials.rows[:, 1:]), words)[0]

    def multiplied() -> Array:
        table = _Table(trials.rows[:, 1], weights.shape[0])
        return table.apart(table.together(spikes[trials.rows[:, 0]]) @ weights)

    return jax.lax.cond(_is_sparse(use, counts, channels), gathered, multiplied), words, counts


def _table(rows: Any) -> Array:
    return jnp.asarray(rows, WHOLE)


class _Table:
    """Trials `[trials, steps, a]` put together by the row of the weights that they use, `[rows, trials steps, a]`."""

    def __init__(self, rows: np.ndarray, count: Any) -> None:
        self.order, self.count = np.argsort(rows, kind="stable"), count
        self.trials = len(rows)

    def together(self, values: Array) -> Array:
        if self.count > 1:
            values = values[self.order]
        return values.reshape(self.count, -1, values.shape[-1])

    def apart(self, values: Array) -> Array:
        values = values.reshape(self.trials, -1, values.shape[-1])
        return values[np.argsort(self.order)] if self.count > 1 else values


def _product_pull(
    use: _Product, trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    (words, counts), (bar,), leads = kept, bars, dict(zip(wants, leads, strict=True))
    spikes, weights = trials.flat
    found = {}
    if 0 in wants:
        table = _Table(trials.rows[:, 1], weights.shape[0])
        spike_bars = table.apart(table.together(bar) @ jnp.swapaxes(weights, 1, 2))
        found[0] = trials.gathered(spike_bars, leads[0])
    if 1 in wants:
        rows = trials.rows_of(leads[1])
        table = _Table(rows, np.prod(leads[1], dtype=int))

        def scattered() -> Array:
            return _scattered(words, bar, rows, (table.count, *weights.shape[1:]))

        def multiplied() -> Array:
            return jnp.swapaxes(table.together(spikes[trials.rows[:, 0]]), 1, 2) @ table.together(bar)

        bars = jax.lax.cond(_is_sparse(use, counts, spikes.shape[2]), scattered, multiplied)
        found[1] = bars.reshape(*leads[1], *bars.shape[1:])
    return [found[i] for i in wants]


def _scattered(words: Array, bars: Any, rows: np.ndarray, shape: tuple[Any, ...]) -> Array:
    """Cotangents `[rows, channels, neurons]` of weights, from those of all results and the bits of the spikes."""
    bars = bars.reshape(-1, bars.shape[-1])
    tables, channels, _ = shape
    return spike_rows.SCATTER(words, bars, _table(rows), weights=int(tables), channels=channels)[0]


_product = trial_primitive(
    TrialRule(
        name="product_with_spikes",
        ranks=(2, 2),  # spikes [steps, channels], weights [channels, neurons]
        linear=(0, 1),
        carriers=(0,),
        kept=(1, 2),
        shapes=_product_shapes,
        reference=_product_reference,
        run=_product_run,
        pull=_product_pull,
    )
)


def recurrent_layer(
    use: "LayerUse",
    constants: Float[Array, "4 neurons"],
    weights: Float[Array, "pre neurons"],
    start: Float[Array, "3 neurons"],
    drive: Float[Array, "steps neurons"],
) -> tuple[Float[Array, "steps neurons"], Float[Array, "2 neurons"], Int[Array, ""]]:
    """Spikes of every step, V and I at the end, and the first step after which a number is not finite (or `steps`).

    The equations are those of `native/grid/forward.py`; `constants` are a, b, g and theta, `weights` R (with no rows:
    not recurrent), `start` V, I and s before the first step. Derivatives flow from all operands into spikes and final
    V and I. Trials: `jax.vmap`.
    """
    spikes, final, _, _, _, failed = _layer(use, constants, weights, start, drive)
    return spikes, final, failed


class LayerUse(NamedTuple):
    """What a layer's rule needs to know besides its operands; all of it can be hashed.

    `gates` are those of the kernel. `update(V, I, I', s, constants)` gives V' in JAX; the surrogate derivative is
    `slope`, a function of v = V/threshold - 1.
    """

    gates: Gates
    update: Callable
    slope: Callable


def _layer_shapes(use: "LayerUse", operands: Any) -> list[jax.ShapeDtypeStruct]:
    drive = operands[3]
    steps, neurons = drive.shape[-2:]
    trace = ((steps, neurons), drive.dtype)
    words = ((steps + 1, _words(neurons)), WHOLE)
    shapes = [trace, ((2, neurons), drive.dtype), trace, trace, words, ((), WHOLE)]
    return [jax.ShapeDtypeStruct(shape, one) for shape, one in shapes]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _surrogate(slope: Callable, v: Array) -> Array:
    del slope
    return (v >= 0).astype(v.dtype)


@_surrogate.defjvp
def _surrogate_jvp(slope: Callable, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _surrogate(slope, *primals), slope(*primals) * tangents[0]


def _layer_reference(
    use: "LayerUse", constants: Array, weights: Array, start: Array, drive: Array
) -> tuple[Array, ...]:
    a, threshold = constants[0], constants[3]

    def step(
        state: tuple[Array, Array, Array], drive: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        voltage, current, spiked = state
        new = a * current + drive + (spiked @ weights if weights.shape[0] else 0)
        voltage = use.update(voltage, current, new, spiked, constants)
        spiked = _surrogate(use.slope, (voltage - threshold) / threshold)
        return (voltage, new, spiked), (spiked, voltage, new)

    (voltage, current, _), (spikes, voltages, currents) = scan_for_backend(step, tuple(start), drive)
    words = _layer_shapes(use, (constants, weights, start, drive))[4]
    broken = ~jnp.all(jnp.isfinite(voltages) & jnp.isfinite(currents), 1)
    failed = jnp.where(jnp.any(broken), jnp.argmax(broken), drive.shape[0]).astype(WHOLE)
    return spikes, jnp.stack([voltage, current]), voltages, currents, jnp.zeros(words.shape, WHOLE), failed


def _kernel_operands(use: "LayerUse", trials: Trials) -> tuple[list[Array], Array]:
    return [*trials.flat, jnp.asarray(trials.rows)], jnp.asarray(use.gates, trials.flat[3].dtype)


def _layer_run(use: "LayerUse", trials: Trials) -> tuple[Array, ...]:
    operands, gates = _kernel_operands(use, trials)
    steps, neurons = trials.flat[3].shape[1:]
    sizes = {"stamps": steps + 1, "words": _words(neurons)}
    spikes, voltages, currents, words, failed = grid_lif.RUN(*operands, gates, **sizes)
    return spikes, jnp.stack([voltages[:, -1], currents[:, -1]], 1), voltages, currents, words, failed


def _slopes(use: "LayerUse", trials: Trials, voltages: Array) -> Array:
    """Surrogate derivatives in V of all trials."""
    threshold = trials.flat[0][:, 3, None]
    if len(threshold) > 1:
        threshold = threshold[trials.rows[:, 0]]
    return use.slope((voltages - threshold) / threshold) / threshold


def _layer_pull(
    use: "LayerUse", trials: Trials, kept: Any, bars: Any, wants: tuple[int, ...], leads: Any
) -> list[Array]:
    (spikes, voltages, currents, words), leads = kept, dict(zip(wants, leads, strict=True))
    weights, (operands, gates) = trials.flat[1], _kernel_operands(use, trials)
    own = (spikes, voltages, currents, _slopes(use, trials, voltages), *bars)
    results = grid_lif_adjoint.PULL(*operands, *own, gates, _blocks(trials.rows[:, 1]), kept=4 * (0 in wants))
    found = {i: trials.gathered(results[j], leads[i]) for i, j in ((0, 2), (2, 1), (3, 0)) if i in wants}
    if 1 in wants:
        rows, tables = trials.rows_of(leads[1]), np.prod(leads[1], dtype=int)
        sums = _scattered(words, results[0], rows, (tables, *weights.shape[1:]))
        found[1] = sums.reshape(*leads[1], *weights.shape[1:])
    return [found[i] for i in wants]


def _blocks(rows: np.ndarray) -> Array:
    """Trials `[blocks, BLOCK]` that use the same weights, padded with -1."""
    sets = [np.flatnonzero(rows == row) for row in np.unique(rows)]
    size = grid_lif_adjoint.BLOCK
    pieces = [piece for one in sets for piece in np.split(one, range(size, len(one), size))]
    blocks = np.full((len(pieces), size), -1, np.int32)
    for row, piece in zip(blocks, pieces, strict=True):
        row[: len(piece)] = piece
    return jnp.asarray(blocks)


_layer = trial_primitive(
    TrialRule(
        name="layer_on_a_grid",
        ranks=grid_lif.RUN.buffers.ranks,
        linear=(0, 1, 2, 3),
        carriers=(0, 1),
        kept=(0, 2, 3, 4),
        shapes=_layer_shapes,
        reference=_layer_reference,
        run=_layer_run,
        pull=_layer_pull,
    )
)
