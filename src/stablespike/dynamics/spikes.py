"""Spike trains as data: times with the index of their channel or neuron."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from stablespike.native.conventions import Flag


class Spikes(eqx.Module):
    """Spikes of one trial in order of time.

    `times` `[events]` in the unit of the network's time constants, ascending, padded with inf; `sources` `[events]`:
    index of the input channel or neuron (anything where the time is inf). Trials are a leading axis of both.
    """

    times: Float[Array, "*trials events"]
    sources: Int[Array, "*trials events"]

    def __check_init__(self):
        """Refuse times and sources that are no arrays or do not go together."""
        for name, values in (("times", self.times), ("sources", self.sources)):
            if not hasattr(values, "dtype"):
                raise ValueError(f"{name} of spikes must be an array, not {type(values).__name__}: use jnp.asarray.")
        if jnp.shape(self.times) != jnp.shape(self.sources):
            raise ValueError(
                f"spike times {list(jnp.shape(self.times))} and sources {list(jnp.shape(self.sources))} must have the "
                "same shape."
            )
        if not jnp.issubdtype(jnp.result_type(self.sources), jnp.integer):
            raise ValueError(f"sources of spikes are indices, not {jnp.result_type(self.sources)}.")

    @property
    def real(self) -> Bool[Array, "*trials events"]:
        """True for spikes, False for padding."""
        return jnp.isfinite(self.times)

    @property
    def count(self) -> Int[Array, "*trials"]:
        """Number of spikes of each trial."""
        return self.real.sum(-1)


def in_order(times: Float[Array, " events"], sources: Int[Array, " events"]) -> Spikes:
    """Spikes of one trial from unordered `times` (inf = none) and `sources`; equal times keep their order."""
    order = jnp.argsort(times, stable=True)
    return Spikes(times[order], sources[order])


def input_flags(inputs: Spikes, channels: int, duration) -> Int[Array, ""]:
    """Flags of malformed input spikes and of an impossible duration, also known inside jit."""
    times = inputs.times
    ordered = jnp.all(times[1:] >= times[:-1]) & jnp.all(times >= 0)
    possible = jnp.isfinite(duration) & (jnp.asarray(duration) >= 0)
    known = jnp.all(~inputs.real | ((inputs.sources >= 0) & (inputs.sources < channels)))
    flags = jnp.where(ordered, 0, int(Flag.INPUT_TIMES)) | jnp.where(known, 0, int(Flag.INPUT_SOURCES))
    return flags | jnp.where(possible, 0, int(Flag.DURATION))
