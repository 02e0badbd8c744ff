"""Order of spike times in which most entries say that there was no spike, and the ordinal of each spike."""

from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numba import njit, prange
from numba.extending import register_jitable

from stablespike.native import bridge as native
from stablespike.native.bridge import ARGUMENTS, RESULTS, rows
from stablespike.native.layer.forward import PRANGE_ONLY
from stablespike.native.overrides.lines import PLAIN


def spike_order(times: Float[Array, "*trials events"]) -> Int[Array, "*trials events"]:
    """Indices that bring `times` (inf = none) into ascending order; equal times keep theirs. No derivative."""
    times = jax.lax.stop_gradient(times)
    return jax.lax.platform_dependent(times, cpu=_native_order, default=_xla_order)


def _xla_order(times):
    return jnp.argsort(times, stable=True).astype(np.int32)


def _native_order(times):
    target = native.target(order_entry, nothing, np.dtype(times.dtype).type)
    shape = jax.ShapeDtypeStruct(times.shape, np.int32)
    return jax.ffi.ffi_call(target, shape, vmap_method="broadcast_all")(times)


def spike_ordinals(
    times: Float[Array, " events"], sources: Int[Array, " events"], counts: Int[Array, " neurons"]
) -> Int[Array, " events"]:
    """How many spikes of the same neuron came before each, 0 where there is none; `counts` are those of the list."""
    operands = jax.lax.stop_gradient(times), sources.astype(np.int32), counts.astype(np.int32)
    return jax.lax.platform_dependent(*operands, cpu=_native_ordinals, default=_xla_ordinals).astype(int)


def _xla_ordinals(times, sources, counts):
    keys = jnp.where(jnp.isfinite(times), sources, counts.size)
    order, starts = jnp.argsort(keys, stable=True), jnp.cumsum(counts, dtype=np.int32) - counts
    found = jnp.arange(keys.size, dtype=np.int32) - starts.at[keys[order]].get(mode="clip")
    return jnp.where(jnp.isfinite(times), jnp.zeros_like(found).at[order].set(found), 0)


def _native_ordinals(times, sources, counts):
    target = native.target(ordinals_entry, nothing, np.dtype(times.dtype).type)
    shape = jax.ShapeDtypeStruct(times.shape, np.int32)
    return jax.ffi.ffi_call(target, shape, vmap_method="broadcast_all")(times, sources, counts)


@njit(**PLAIN)
@no_type_check
def order_one(times, order):
    """One row: the finite times sorted, then the places of the others."""
    count = 0
    for k in range(times.shape[0]):
        if times[k] < np.inf:
            order[count] = k
            count += 1
    found = np.empty(count, times.dtype)
    for k in range(count):
        found[k] = times[order[k]]
    places, kept = np.argsort(found, kind="mergesort"), order[:count].copy()
    for k in range(count):
        order[k] = kept[places[k]]
    for k in range(times.shape[0]):
        if not times[k] < np.inf:
            order[count] = k
            count += 1


@njit(**PLAIN)
@no_type_check
def order_row(b, frame, dtype):
    """Row `b` of a call."""
    order_one(rows(frame, ARGUMENTS, 0, dtype)[b], rows(frame, RESULTS, 0, np.int32)[b])


@njit(parallel=PRANGE_ONLY, **PLAIN)
@no_type_check
def order_rows(count, frame, dtype):
    """All rows."""
    for b in prange(count):
        order_row(np.int64(b), frame, dtype)


@register_jitable
@no_type_check
def nothing(array):
    """There are no constants."""
    return array


@register_jitable
@no_type_check
def order_entry(frame, unpack, dtype):
    """Argument: times `[..., events]`. Result: their order."""
    order_rows(rows(frame, ARGUMENTS, 0, dtype).shape[0], frame, dtype)
    return 0


@njit(**PLAIN)
@no_type_check
def ordinals_all(times, sources, counts, ordinals):
    """All rows."""
    for b in range(times.shape[0]):
        before = np.zeros(counts.shape[1], np.int32)
        for k in range(times.shape[1]):
            ordinals[b, k] = 0
            if times[b, k] < np.inf:
                ordinals[b, k] = before[sources[b, k]]
                before[sources[b, k]] += 1


@register_jitable
@no_type_check
def ordinals_entry(frame, unpack, dtype):
    """Arguments: times and sources `[..., events]`, counts `[..., neurons]`. Result: ordinals of the spikes."""
    sources, counts = rows(frame, ARGUMENTS, 1, np.int32), rows(frame, ARGUMENTS, 2, np.int32)
    ordinals_all(rows(frame, ARGUMENTS, 0, dtype), sources, counts, rows(frame, RESULTS, 0, np.int32))
    return 0
