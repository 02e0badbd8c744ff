"""Poisson spike trains as input."""

import jax.numpy as jnp
import numpy as np

from stablespike.dynamics.spikes import Spikes


def poisson_spikes(
    generator: np.random.Generator, rate: float, channels: int, duration: float, *, room: int | None = None
) -> Spikes:
    """Spikes of `channels` independent Poisson processes of `rate` per unit of time until `duration`, in order.

    With `room` the arrays have that length, so that trials can be stacked; a train that does not fit is an error.
    """
    counts = generator.poisson(rate * duration, channels)
    times, sources = generator.uniform(0, duration, counts.sum()), np.repeat(np.arange(channels), counts)
    order = np.argsort(times, kind="stable")
    padding = (times.size if room is None else room) - times.size
    if padding < 0:
        raise ValueError(f"{times.size} Poisson spikes do not fit into a room of {room}: give more.")
    times, sources = np.pad(times[order], (0, padding), constant_values=np.inf), np.pad(sources[order], (0, padding))
    return Spikes(jnp.asarray(times), jnp.asarray(sources))
