"""Spike trains as data: times with the index of their channel or neuron."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from stablespike.dynamics.arguments import Told, is_number
from stablespike.native.conventions import Flag


class Spikes(Told):
    """Spikes of one trial in order of time.

    `times` `[events]` in the unit of the network's time constants, ascending, padded with inf; `sources` `[events]`:
    index of the input channel or neuron (anything where the time is inf). Trials are a leading axis of both.
    """

    times: Float[Array, "*trials events"]
    sources: Int[Array, "*trials events"]

    def __check_init__(self) -> None:
        """Refuse times and sources that are no arrays or do not go together."""
        for name, values in (("times", self.times), ("sources", self.sources)):
            if not hasattr(values, "dtype"):
                raise ValueError(f"{name} of spikes must be an array, not {type(values).__name__}: use jnp.asarray.")
        if jnp.shape(self.times) != jnp.shape(self.sources):
            raise ValueError(
                f"spike times {list(jnp.shape(self.times))} and sources {list(jnp.shape(self.sources))} must have the "
                "same shape."
            )
        if not is_number(self.times) or not jnp.issubdtype(self.times.dtype, jnp.floating):
            raise ValueError(f"times of spikes must be floating-point numbers, not {self.times.dtype}.")
        if not is_number(self.sources) or not jnp.issubdtype(self.sources.dtype, jnp.integer):
            raise ValueError(f"sources of spikes are indices, not {self.sources.dtype}.")

    @property
    def real(self) -> Bool[Array, "*trials events"]:
        """True for spikes, False for padding."""
        return jnp.isfinite(self.times)

    @property
    def count(self) -> Int[Array, "*trials"]:
        """Number of spikes of each trial."""
        return self.real.sum(-1)

    def before(self, end: float) -> "Spikes":
        """Without the spikes that come after `end`, in whose place is padding."""
        return Spikes(jnp.where(self.times <= end, self.times, jnp.inf), self.sources)


def in_order(times: Float[Array, " events"], sources: Int[Array, " events"]) -> Spikes:
    """Spikes of one trial from unordered `times` (inf = none) and `sources`; equal times keep their order."""
    given = Spikes(times, sources)
    if given.times.ndim != 1:
        raise ValueError(f"times of one trial are a vector, not {list(given.times.shape)}: batch by jax.vmap.")
    order = jnp.argsort(given.times, stable=True)
    return Spikes(given.times[order], given.sources[order])


def require_inputs(inputs: Spikes, channels: int, until: Any, ordered: bool = True) -> None:
    """Raise `ValueError` for known input spikes that cannot be meant; any trial axes.

    Times that are negative, no numbers or (where they must be `ordered`) not ascending, channels that are not there,
    and spikes of which most come after the end of the trial: a slip of the unit, or of the end.
    """
    if any(isinstance(one, jax.core.Tracer) for one in (inputs.times, inputs.sources)):
        return
    times, sources = np.asarray(inputs.times), np.asarray(inputs.sources)
    if not (np.all(times >= 0) and (not ordered or np.all(times[..., 1:] >= times[..., :-1]))):
        raise ValueError(
            "input spike times must be ascending numbers, not negative, with inf as padding at the end: "
            "in_order(times, sources) sorts them."
        )
    real = np.isfinite(times)
    if np.any(wrong := real & ((sources < 0) | (sources >= channels))):
        raise ValueError(
            f"an input spike comes from channel {sources[wrong][0]}, but the input weights [post, pre] have {channels} "
            f"channels, 0 to {channels - 1}: give other sources or a column for each channel."
        )
    if until is None or isinstance(until, jax.core.Tracer):
        return
    late = int(np.sum(real & (times > float(until))))
    if 2 * late > np.sum(real):
        raise ValueError(
            f"{late} of {np.sum(real)} input spikes come after the end of the trial, until = {until:g}: give both in "
            "one unit of time, or, if they are to be left out, inputs.before(until)."
        )


def input_flags(inputs: Spikes, channels: int, duration: Any) -> Int[Array, ""]:
    """Flags of malformed input spikes and of an impossible duration, also known inside jit."""
    times = inputs.times
    ordered = jnp.all(times[1:] >= times[:-1]) & jnp.all(times >= 0)
    possible = jnp.isfinite(duration) & (jnp.asarray(duration) >= 0)
    known = jnp.all(~inputs.real | ((inputs.sources >= 0) & (inputs.sources < channels)))
    flags = jnp.where(ordered, 0, int(Flag.INPUT_TIMES)) | jnp.where(known, 0, int(Flag.INPUT_SOURCES))
    return flags | jnp.where(possible, 0, int(Flag.DURATION))
