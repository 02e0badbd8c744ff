"""Penalties on activity that are added to a loss."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class RateBand(eqx.Module):
    """Penalty on spike counts outside a band: strength times the mean of max(0, lower - n)^2 + max(0, n - upper)^2.

    `lower` and `upper` are spikes per trial. The counts n `[..., neurons]` are averaged over all axes but the last, so
    that a neuron may be silent in some trials; the penalty of a network of several layers is the sum over layers
    (Zenke & Vogels 2021). Counts of an exact network have no derivative; sums of its rates or of surrogate spikes do.
    """

    lower: float = 0.0
    upper: float = jnp.inf
    strength: float = 1.0

    def __check_init__(self) -> None:
        """Refuse a band that is none."""
        if not 0 <= self.lower <= self.upper:
            raise ValueError(f"a band of rates needs 0 <= lower <= upper, not {self.lower} and {self.upper}.")

    def __call__(self, counts: Float[Array, "*trials neurons"]) -> Float[Array, ""]:
        """The penalty."""
        mean = counts.reshape(-1, counts.shape[-1]).mean(0)
        below, above = jnp.maximum(self.lower - mean, 0), jnp.maximum(mean - self.upper, 0)
        return self.strength * jnp.mean(below**2 + above**2)
