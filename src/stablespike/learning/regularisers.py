"""Penalties on activity that are added to a loss."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stablespike.dynamics.connections import Delayed, Dense
from stablespike.dynamics.network import Layer, Network
from stablespike.dynamics.neurons.readout import Readout
from stablespike.dynamics.run import Run
from stablespike.dynamics.spikes import Spikes


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


class CountCeiling(eqx.Module):
    """Penalty on spike counts of single trials above `upper`: strength times the mean of max(0, n - upper)^2.

    Counts n `[..., neurons]` are not averaged first, as those of a `RateBand` are: a neuron that hardly spikes but in a
    few loud trials, for which an event-based simulation needs room in all of them, is seen.
    """

    upper: float
    strength: float = 1.0

    def __check_init__(self) -> None:
        """Refuse a ceiling below 0."""
        if not self.upper >= 0:
            raise ValueError(f"a ceiling of spike counts must not be negative or nan, as {self.upper} is.")

    def __call__(self, counts: Float[Array, "*trials neurons"]) -> Float[Array, ""]:
        """The penalty."""
        return self.strength * jnp.mean(jnp.maximum(counts - self.upper, 0) ** 2)


class DrivenRates(eqx.Module):
    """A `RateBand` or `CountCeiling` on all hidden layers that also moves the weights of exact networks, silent or not.

    A spike count has no derivative in weights; here it is given that of the count of a neuron without leak
    (`driven_counts`), so that a neuron below the band is driven more by all that arrives at it, and one above it less
    (after the heuristic of Nowotny et al. 2025; straight-through: Bengio et al. 2013). Values are the true counts, by
    events as on a grid. Only the penalty has this derivative: that of the loss stays exact.
    """

    band: RateBand | CountCeiling

    def __call__(self, network: Network, spikes: Spikes, run: Run) -> Float[Array, ""]:
        """The penalty of a batch: spikes and run with a leading axis of trials."""
        below = jax.vmap(lambda one: _channel_counts(one, network))(spikes)
        total = jnp.zeros((), below.dtype)
        for layer, trains in zip(network.layers, run.layers, strict=True):
            if isinstance(layer.neuron, Readout):
                break
            own = jax.lax.stop_gradient(trains.counts).astype(below.dtype)
            total += self.band(driven_counts(layer, below, own))
            below = own
        return total


def driven_counts(
    layer: Layer, below: Float[Array, "trials pre"], own: Float[Array, "trials post"]
) -> Float[Array, "trials post"]:
    """The counts `own`, with the derivative of (W below + L own)/2 in the weights W from below and L of the loop.

    A pulse w charges a membrane without leak by w tau_s/tau_m, half of w for the synapses of this package; each spike
    takes one threshold, here one unit of V, away.
    """
    drive = below @ _matrix(layer.inputs).T / 2
    if layer.loop is not None:
        drive = drive + own @ _matrix(layer.loop).T / 2
    return own + drive - jax.lax.stop_gradient(drive)


def _matrix(connection: Any) -> Float[Array, "post pre"]:
    if not isinstance(connection, Dense | Delayed):
        raise ValueError(f"driven rates know Dense and Delayed connections, not {type(connection).__name__}.")
    return connection.weights


def _channel_counts(spikes: Spikes, network: Network) -> Float[Array, " channels"]:
    dtype = network.layers[0].inputs.dtype
    return jnp.zeros(network.channels, dtype).at[spikes.sources].add(spikes.real.astype(dtype), mode="drop")
