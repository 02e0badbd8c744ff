"""Order of spike times in which most entries say that there was no spike, and the ordinal of each spike."""

from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numba import njit

from stablespike.native.kernel import Buffers, Kernel, number, whole
from stablespike.native.overrides.lines import PLAIN


def spike_order(times: Float[Array, "*trials events"]) -> Int[Array, "*trials events"]:
    """Indices that bring `times` (inf = none) into ascending order; equal times keep theirs. No derivative."""
    times = jax.lax.stop_gradient(times)
    return jax.lax.platform_dependent(times, cpu=_native_order, default=_xla_order)


def _xla_order(times):
    return jnp.argsort(times, stable=True).astype(np.int32)


def _native_order(times):
    return ORDER(times)[0]


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
    return ORDINALS(times, sources, counts)[0]


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


ORDER = Kernel(
    Buffers(f"{__name__}.ORDER", own={"times": number("events")}, results={"order": whole("events")}),
    trial=order_one,
)


@njit(**PLAIN)
@no_type_check
def count_before(times, sources, counts, ordinals):
    """How many spikes of the same neuron came before each of one row."""
    before = np.zeros(counts.shape[0], np.int32)
    for k in range(times.shape[0]):
        ordinals[k] = 0
        if times[k] < np.inf:
            ordinals[k] = before[sources[k]]
            before[sources[k]] += 1


ORDINALS = Kernel(
    Buffers(
        f"{__name__}.ORDINALS",
        own={"times": number("events"), "sources": whole("events"), "counts": whole("neurons")},
        results={"ordinals": whole("events")},
    ),
    trial=count_before,
    parallel=False,
)
