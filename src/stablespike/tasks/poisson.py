"""Poisson spike trains as input."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from stablespike.dynamics.spikes import Spikes


def poisson_train(
    generator: np.random.Generator, rate: float, channels: int, duration: float
) -> tuple[Float[np.ndarray, " spikes"], Int[np.ndarray, " spikes"]]:
    """Times, in order, and channels of spikes of independent Poisson processes of `rate` until `duration`."""
    counts = generator.poisson(rate * duration, channels)
    times = generator.uniform(0, duration, counts.sum())
    order = np.argsort(times, kind="stable")
    return times[order], np.repeat(np.arange(channels), counts)[order]


def poisson_spikes(
    generator: np.random.Generator, rate: float, channels: int, duration: float, *, room: int | None = None
) -> Spikes:
    """`poisson_train` as input of a network: `rate` and `duration` in its unit of time.

    With `room` the arrays have that length, so that trials can be stacked; a train that does not fit is an error.
    """
    times, sources = poisson_train(generator, rate, channels, duration)
    padding = (times.size if room is None else room) - times.size
    if padding < 0:
        raise ValueError(f"{times.size} Poisson spikes do not fit into a room of {room}: give more.")
    times = np.pad(times, (0, padding), constant_values=np.inf)
    return Spikes(jnp.asarray(times), jnp.asarray(np.pad(sources, (0, padding))))
