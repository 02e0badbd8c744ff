"""Augmentations of spike trains: each an object that is called with a key and the padded spikes of one trial.

They are pure JAX, to be mapped over trials by `jax.vmap` and compiled. Spikes that an augmentation moves out of the
trial (before 0) or beside the channels are lost, as nobody is there to receive them; no other spike is. A spike
that is beside the channels from the start is an error outside of jit; inside, where nobody can be told, it is lost too.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from stablespike.dynamics.spikes import Spikes, in_order
from stablespike.tasks.recordings import Recordings, as_events, bins_per_time, gather, select
from stablespike.tasks.requirements import require, require_not_negative, require_positive

BLENDED_AT_ONCE = 100  # recordings


class Augmentation(eqx.Module):
    """What may be done to one trial: `augmentation(key, spikes)` with times and sources `[events]`."""

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The changed trial."""
        raise NotImplementedError


class TimeJitter(Augmentation):
    """Every spike is moved in time by its own normal variate of standard deviation `deviation` (unit of the times)."""

    deviation: float

    def __check_init__(self) -> None:
        """Refuse a deviation that is none."""
        require_not_negative(deviation=self.deviation)

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The jittered trial."""
        moves = self.deviation * jax.random.normal(key, spikes.times.shape, spikes.times.dtype)
        return _without_negative(spikes.times + moves, spikes.sources)


class ChannelJitter(Augmentation):
    """Every spike is moved across channels by its own rounded normal variate; those beside the `channels` are lost."""

    deviation: float
    channels: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse a deviation that is none, and no channels."""
        require_not_negative(deviation=self.deviation)
        require_positive(channels=self.channels)

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The jittered trial."""
        spikes = _known(spikes, self.channels)
        moves = jnp.rint(self.deviation * jax.random.normal(key, spikes.times.shape, spikes.times.dtype))
        return _within(spikes.times, spikes.sources + moves.astype(spikes.sources.dtype), self.channels)


class ChannelShift(Augmentation):
    """All spikes of a trial are moved across channels together, by up to `largest` either way: another pitch."""

    largest: int
    channels: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse a negative shift, and no channels."""
        require_not_negative(largest=self.largest)
        require_positive(channels=self.channels)

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The shifted trial."""
        spikes = _known(spikes, self.channels)
        move = jax.random.randint(key, (), -self.largest, self.largest + 1).astype(spikes.sources.dtype)
        return _within(spikes.times, spikes.sources + move, self.channels)


class MarginShift(Augmentation):
    """As `ChannelShift`, for trials between silent margins of at least `largest` channels (`recordings.with_margins`).

    No spike is lost, so that none has to be sorted out, which for thousands of spikes costs more than a simulation.
    Where a margin is too narrow, spikes beside all channels flag the simulation.
    """

    largest: int

    def __check_init__(self) -> None:
        """Refuse a negative shift."""
        require_not_negative(largest=self.largest)

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The shifted trial."""
        move = jax.random.randint(key, (), -self.largest, self.largest + 1).astype(spikes.sources.dtype)
        return Spikes(spikes.times, jnp.where(spikes.real, spikes.sources + move, 0))


class ChannelDrop(Augmentation):
    """Each of the `channels` falls silent for the whole trial with `probability`."""

    probability: float
    channels: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse what is no probability, and no channels."""
        within = (self.probability >= 0) & (self.probability <= 1)
        require(within, f"probability must lie between 0 and 1, not be {self.probability}.")
        require_positive(channels=self.channels)

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The trial without the silent channels."""
        spikes = _known(spikes, self.channels)
        silent = jax.random.bernoulli(key, self.probability, (self.channels,))
        return in_order(jnp.where(silent[spikes.sources], jnp.inf, spikes.times), spikes.sources)


class TimeStretch(Augmentation):
    """All times of a trial are multiplied by one factor, uniform from `least` to `most`."""

    least: float
    most: float

    def __check_init__(self) -> None:
        """Refuse factors that stop or reverse the time."""
        require_positive(least=self.least, most=self.most)
        require(self.least <= self.most, f"least must not be above most: {self.least} and {self.most}.")

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The stretched trial."""
        factor = jax.random.uniform(key, (), spikes.times.dtype, self.least, self.most)
        return Spikes(spikes.times * factor, spikes.sources)


class InTurn(Augmentation):
    """Several augmentations, one after the other, each with a key of its own."""

    parts: tuple[Augmentation, ...]

    def __call__(self, key: Key[Array, ""], spikes: Spikes) -> Spikes:
        """The trial after all of them."""
        for part, one in zip(self.parts, jax.random.split(key, max(len(self.parts), 1)), strict=False):
            spikes = part(one, spikes)
        return spikes


def blend(key: Key[Array, ""], first: Spikes, second: Spikes, channels: int) -> Spikes:
    """A new trial of a class from two: each spike of either is kept with probability 1/2 (Nowotny et al. 2025).

    The second is first moved so that its mean time and its mean channel (rounded) are those of the first. Both need the
    same room, and the blend has room for all spikes of both.
    """
    both = first.real.any() & second.real.any()  # a trial without spikes has nothing to be aligned by
    delay = jnp.where(both, _mean(first.times, first) - _mean(second.times, second), 0)
    aside = jnp.where(both, _mean(first.sources, first) - _mean(second.sources, second), 0)
    moved = second.sources + jnp.rint(aside).astype(second.sources.dtype)
    times = jnp.concatenate([first.times, jnp.where(second.real, second.times + delay, jnp.inf)])
    kept = jax.random.bernoulli(key, 0.5, times.shape)
    blended = _within(jnp.where(kept, times, jnp.inf), jnp.concatenate([first.sources, moved]), channels)
    return _without_negative(blended.times, blended.sources)


def blended(recordings: Recordings, generator: np.random.Generator) -> Recordings:
    """As many new recordings as there are, each a `blend` of one of them with another of its class, of any speaker.

    Times and channels of the second are moved to those of the first, whose label and speaker the blend keeps. A class
    of one recording is blended with itself.
    """
    one, key = recordings, jax.random.key(int(generator.integers(2**31)))
    partners = np.empty(len(one), np.int64)
    for label in np.unique(one.labels):
        of_class = np.flatnonzero(one.labels == label)
        steps = generator.integers(1, max(of_class.size, 2), of_class.size)  # never to itself, where there are others
        partners[of_class] = of_class[(np.arange(of_class.size) + steps) % of_class.size]
    every = jax.jit(jax.vmap(functools.partial(blend, channels=one.channel_count)))
    room, trains = int(one.counts.max(initial=0)), []
    for start in range(0, len(one), BLENDED_AT_ONCE):
        here = np.arange(start, min(start + BLENDED_AT_ONCE, len(one)))
        pair = (as_events(select(one, trials), room=room) for trials in (here, partners[here]))
        found = every(jax.random.split(jax.random.fold_in(key, start), here.size), *pair)
        times, sources = np.asarray(found.times), np.asarray(found.sources)
        trains += [(t[np.isfinite(t)], c[np.isfinite(t)]) for t, c in zip(times, sources, strict=True)]
    return gather(trains, one.labels, one.speakers, one.classes, one.channel_count, dtype=one.times.dtype)


def _mean(values: Array, spikes: Spikes) -> Array:
    """Mean over real spikes; 0 where there are none."""
    count = spikes.real.sum()
    total = jnp.where(spikes.real, values, 0).sum().astype(spikes.times.dtype)
    return jnp.where(count > 0, total / jnp.maximum(count, 1).astype(total.dtype), 0)


def _known(spikes: Spikes, channels: int) -> Spikes:
    """The spikes of the channels; one of another channel is refused, or lost inside jit, where nobody can be told."""
    known = (spikes.sources >= 0) & (spikes.sources < channels)
    require(
        ~spikes.real | known, f"A spike comes from none of the {channels} channels: give the number that there are."
    )
    return Spikes(jnp.where(known, spikes.times, jnp.inf), spikes.sources)


def _within(times: Array, sources: Array, channels: int) -> Spikes:
    inside = (sources >= 0) & (sources < channels)
    return in_order(jnp.where(inside, times, jnp.inf), jnp.where(inside, sources, 0))


def _without_negative(times: Array, sources: Array) -> Spikes:
    return in_order(jnp.where(times < 0, jnp.inf, times), sources)


def frames(
    spikes: Spikes, steps: int, duration: Float[Array, ""] | float, channels: int
) -> Int[Array, "steps channels"]:
    """Counts of one trial's spikes in `steps` bins of equal length up to `duration`, inside jit, without later ones.

    The counterpart of `recordings.binned` for spikes that were augmented, which may outlast the bins. Spikes before 0
    or beside the channels are errors; inside jit, where nobody can be told, they are not counted.
    """
    require_positive(steps=steps, duration=duration, channels=channels)
    require(~spikes.real | (spikes.times >= 0), "Spikes before 0 can't be counted: move them first.")
    spikes = _known(spikes, channels)
    inside = (spikes.times >= 0) & (spikes.times < duration)
    bins = jnp.where(inside, spikes.times * bins_per_time(steps, duration, spikes.times.dtype), 0).astype(jnp.int32)
    counts = jnp.zeros((steps, channels), jnp.int32)
    return counts.at[jnp.minimum(bins, steps - 1), spikes.sources].add(inside.astype(jnp.int32))
