"""Losses on spike times, spike counts and voltages; each for one trial."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def first_spike_cross_entropy(
    times: Float[Array, " classes"],
    label: Int[Array, ""],
    *,
    time_scale: Float[Array, ""] | float | int = 1.0,
    late_cost: Float[Array, ""] | float | int = 0.0,
    duration: Float[Array, ""] | float | int = 1.0,
) -> Float[Array, ""]:
    """-log softmax(-t/time_scale)[label] + late_cost (exp(t_label/duration) - 1).

    `times` are first spike or pseudospike times `[classes]` (finite). The second term keeps the right output from
    drifting out of the trial (Goeltz 2021; Klos 2025 uses time_scale 1 and late_cost 0.01).
    """
    return -jax.nn.log_softmax(-times / time_scale)[label] + late_cost * jnp.expm1(times[label] / duration)


def first_to_spike(times: Float[Array, " classes"]) -> Int[Array, ""]:
    """Class whose output spikes first, -1 if none of them does."""
    return jnp.where(jnp.any(jnp.isfinite(times)), jnp.argmin(times), -1)


def spike_time_error(times: Float[Array, "*spikes"], targets: Float[Array, "*spikes"]) -> Float[Array, ""]:
    """Mean squared distance of spike times from their targets, in squared units of time."""
    return jnp.mean((times - targets) ** 2)


def count_error(counts: Float[Array, " neurons"], targets: Float[Array, " neurons"]) -> Float[Array, ""]:
    """Mean squared distance of rates or spike counts from their targets."""
    return jnp.mean((counts - targets) ** 2)


def voltage_error(voltages: Float[Array, "*samples"], targets: Float[Array, "*samples"]) -> Float[Array, ""]:
    """Mean squared distance of sampled voltages from their targets (dimensionless, both finite)."""
    return jnp.mean((voltages - targets) ** 2)
