"""Labelled spike trains of any data set behind one interface: flat arrays, binned counts and padded events."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from stablespike.dynamics.spikes import Spikes
from stablespike.tasks.requirements import require, require_numbers, require_positive, require_whole


class Recordings(eqx.Module):
    """Spikes of many trials in flat form, with what is known about each trial.

    `times` `[spikes]` in s since the trial's begin, ascending within each trial, and `channels` `[spikes]` of trial k
    lie at `offsets[k]:offsets[k + 1]`. `labels` index `classes`; `speakers` (or users) are any numbers, None where
    nobody is named. `channel_count` channels exist, also those that are silent.
    """

    times: Float[np.ndarray, " spikes"]
    channels: Int[np.ndarray, " spikes"]
    offsets: Int[np.ndarray, " bounds"]
    labels: Int[np.ndarray, " trials"]
    speakers: Int[np.ndarray, " trials"] | None
    classes: tuple[str, ...] = eqx.field(static=True)
    channel_count: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse recordings that contradict themselves, with the first contradiction."""
        for wrong, sentence in _contradictions(self):
            if wrong:
                raise ValueError(sentence)

    def __len__(self) -> int:
        return self.labels.size

    @property
    def counts(self) -> Int[np.ndarray, " trials"]:
        """Number of spikes of each trial."""
        return np.diff(self.offsets)

    @property
    def trials(self) -> Int[np.ndarray, " spikes"]:
        """Trial of each spike."""
        return np.repeat(np.arange(len(self)), self.counts)

    def trial(self, index: int) -> tuple[Float[np.ndarray, " some"], Int[np.ndarray, " some"]]:
        """Times in s and channels of one trial; those before 0 count from the end."""
        require_whole(trial=index)
        require(-len(self) <= index < len(self), f"There is no trial {index} among {len(self)} recordings.")
        part = slice(*self.offsets[index % len(self) :][:2])
        return self.times[part], self.channels[part]


def _contradictions(one: Recordings) -> Iterator[tuple[bool, str]]:
    yield (
        one.offsets.size != one.labels.size + 1 or one.offsets[0] != 0 or one.offsets[-1] != one.times.size,
        f"Recordings of {one.labels.size} trials and {one.times.size} spikes need offsets from 0 to the last.",
    )
    yield bool((np.diff(one.offsets) < 0).any()), "Offsets of recordings must ascend."
    yield one.times.size != one.channels.size, "Recordings need a channel for every spike time."
    known = (one.labels >= 0) & (one.labels < len(one.classes))
    yield (
        not known.all(),
        f"Label {one.labels[np.argmin(known)] if not known.all() else ''} of a recording is none of the "
        f"{len(one.classes)} classes: the labels are wrong, or names of classes are missing.",
    )
    yield (
        one.speakers is not None and one.speakers.size != one.labels.size,
        "Recordings need a speaker for every trial, or none at all.",
    )
    inside = (one.channels >= 0) & (one.channels < one.channel_count)
    yield not inside.all(), f"A recording has spikes in channels beyond its {one.channel_count}."
    yield not (np.isfinite(one.times) & (one.times >= 0)).all(), "Spike times must be finite and not negative."
    falls = np.diff(one.times) < 0 if one.times.size else np.zeros(0, bool)
    bounds = one.offsets[1:-1]
    falls[bounds[(bounds > 0) & (bounds < one.times.size)] - 1] = False
    yield bool(falls.any()), "Spike times of a trial must ascend: sort them first."


def gather(
    trains: Sequence[tuple[np.ndarray, np.ndarray]],
    labels: Shaped[np.ndarray, " trials"],
    speakers: Shaped[np.ndarray, " trials"] | None,
    classes: tuple[str, ...],
    channel_count: int,
    *,
    dtype: type | np.dtype = np.float64,
) -> Recordings:
    """Recordings from one pair (times in s, channels) a trial, in any order within it; equal times keep theirs.

    Raises ValueError for channels, labels or speakers that are not whole numbers: none is rounded.
    """
    for k, (one, other) in enumerate(trains):
        shapes = np.shape(one), np.shape(other)
        require(
            len(shapes[0]) == 1 and shapes[0] == shapes[1],
            f"Trial {k} needs a list of times and as long a list of channels, not shapes {shapes[0]} and {shapes[1]}.",
        )
    pairs = [_in_order(np.asarray(one), np.asarray(other)) for one, other in trains]
    times: list[np.ndarray] = [one.astype(dtype) for one, _ in pairs]
    channels = [other for _, other in pairs]
    return Recordings(
        np.concatenate([np.zeros(0, dtype), *times]),
        _whole(np.concatenate([np.zeros(0, np.int32), *channels]), np.int32, "Channels"),
        np.concatenate([[0], np.cumsum([one.size for one in times])]).astype(np.int64),
        _whole(np.array(labels), np.int64, "Labels"),
        None if speakers is None else _whole(np.array(speakers), np.int64, "Speakers"),
        tuple(classes),
        channel_count,
    )


def _in_order(times: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spikes of a trial sorted by time; equal times keep their order."""
    if (times[1:] >= times[:-1]).all():
        return times, channels
    order = np.argsort(times, kind="stable")
    return times[order], channels[order]


def _whole(values: np.ndarray, kind: Any, what: str) -> np.ndarray:
    """The same numbers as integers of a `kind` that has room for all of them; the array itself if it is one."""
    require(values.dtype.kind in "biuf", f"{what} of recordings must be whole numbers, not {values.dtype}.")
    require(values.ndim == 1, f"{what} of recordings must be a list, not an array {list(values.shape)}.")
    with np.errstate(invalid="ignore"):  # compared with what they were before
        whole = values.astype(kind, copy=False)
    wrong = values[whole != values]
    require(not wrong.size, f"{what} of recordings must be whole numbers of {whole.itemsize} bytes, not {wrong[:1]}.")
    return whole


def select(recordings: Recordings, trials: Shaped[np.ndarray, " some"]) -> Recordings:
    """Some of the trials, by index (below 0 from the end) or by a truth value each, in the given order."""
    trials = _indices(np.asarray(trials), len(recordings))
    counts = recordings.counts[trials]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    spikes = np.arange(offsets[-1]) + np.repeat(recordings.offsets[trials] - offsets[:-1], counts)
    speakers = None if recordings.speakers is None else recordings.speakers[trials]
    times, channels, labels = recordings.times[spikes], recordings.channels[spikes], recordings.labels[trials]
    return Recordings(times, channels, offsets, labels, speakers, recordings.classes, recordings.channel_count)


def _indices(chosen: np.ndarray, trials: int) -> np.ndarray:
    """The chosen trials as indices from 0 on; ValueError for what names none."""
    if chosen.dtype == bool:
        require(chosen.shape == (trials,), f"Truth values {list(chosen.shape)} choose none of {trials} recordings.")
        return np.flatnonzero(chosen)
    known = chosen.ndim == 1 and (chosen.dtype.kind in "iu" or not chosen.size)
    require(known, f"Trials are chosen by a list of indices or of truth values, not by {chosen.dtype} {chosen.shape}.")
    chosen = chosen.astype(np.int64)
    wrong = chosen[(chosen < -trials) | (chosen >= trials)]
    require(not wrong.size, f"There is no trial {wrong[:1]} among {trials} recordings.")
    return chosen % max(trials, 1)


def joined(*parts: Recordings) -> Recordings:
    """The trials of several recordings of one kind, one part after the other; ValueError for different kinds."""
    kinds = {(one.classes, one.channel_count, one.speakers is None) for one in parts}
    require(len(kinds) == 1, f"Recordings of {len(kinds)} kinds of classes, channels and speakers can't be joined.")
    begins = np.cumsum([0, *(one.times.size for one in parts)])
    offsets = [one.offsets[:-1] + begin for one, begin in zip(parts, begins[:-1], strict=True)]
    speakers = [one.speakers for one in parts if one.speakers is not None]
    return Recordings(
        np.concatenate([one.times for one in parts]),
        np.concatenate([one.channels for one in parts]),
        np.concatenate([*offsets, begins[-1:]]),
        np.concatenate([one.labels for one in parts]),
        np.concatenate(speakers) if speakers else None,
        parts[0].classes,
        parts[0].channel_count,
    )


def cut(recordings: Recordings, duration: float) -> Recordings:
    """The same trials without the spikes at `duration` (in s) and later; none is later than inf."""
    require_numbers(duration=duration)
    require(duration > 0, f"A trial can't be cut at {duration} s: give a time after 0.")
    return _keep(recordings, recordings.times < duration)


def _keep(recordings: Recordings, kept: np.ndarray) -> Recordings:
    """Some of the spikes of every trial."""
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    return eqx.tree_at(
        lambda one: (one.times, one.channels, one.offsets),
        recordings,
        (recordings.times[kept], recordings.channels[kept], before[recordings.offsets]),
    )


def merge_channels(recordings: Recordings, channel_count: int) -> Recordings:
    """Neighbouring channels made one, so that `channel_count` are left; all spikes stay."""
    require_whole(channel_count=channel_count)
    if not 0 < channel_count <= recordings.channel_count:
        raise ValueError(f"{recordings.channel_count} channels can't be merged into {channel_count}.")
    merged = recordings.channels.astype(np.int64) * channel_count // recordings.channel_count
    merged = merged.astype(recordings.channels.dtype)
    one = recordings
    return Recordings(one.times, merged, one.offsets, one.labels, one.speakers, one.classes, channel_count)


def in_volleys(recordings: Recordings, step: float) -> Recordings:
    """The same spikes, all that lie in one `step` (in s) moved to its middle: what comes in volleys costs less to run.

    Counts in steps are those of `binned`; times move by half a step at most, so `step` should lie well below the time
    constants of the network.
    """
    require_numbers(step=step)
    require_positive(step=step)
    times = recordings.times
    volley = np.floor(times.astype(np.float64) * bins_per_time(1, step, times.dtype))
    return eqx.tree_at(lambda one: one.times, recordings, ((volley + 0.5) * step).astype(times.dtype))


def with_margins(recordings: Recordings, channels: int) -> Recordings:
    """The same trials between so many silent channels on either side: room to shift all spikes (`MarginShift`)."""
    require_whole(channels=channels)
    require(channels >= 0, f"A margin of {channels} channels can't be added.")
    one = recordings
    moved = (one.channels.astype(np.int64) + channels).astype(np.int32)
    return Recordings(
        one.times, moved, one.offsets, one.labels, one.speakers, one.classes, one.channel_count + 2 * channels
    )


def binned(recordings: Recordings, steps: int, duration: float) -> Int[np.ndarray, "trials steps channels"]:
    """Spike counts in `steps` equal bins from 0 to `duration` in s; a later spike is an error (`cut` removes them).

    A spike on the edge between two bins, to the precision of its time, is counted in the later one.
    """
    require_whole(steps=steps)
    require_positive(steps=steps, duration=duration)
    if recordings.times.size and (last := recordings.times.max()) >= duration:
        raise ValueError(
            f"A spike at {last:.4g} s lies beyond the {duration:.4g} s of the bins: make them longer, or cut first."
        )
    shape = (len(recordings), steps, recordings.channel_count)
    scale = bins_per_time(steps, duration, recordings.times.dtype)
    try:
        bins = np.minimum((recordings.times.astype(np.float64) * scale).astype(np.int64), steps - 1)
        place = (recordings.trials * steps + bins) * recordings.channel_count + recordings.channels
        return np.bincount(place, minlength=math.prod(shape)).reshape(shape).astype(np.int32)
    except (MemoryError, OverflowError) as error:
        raise ValueError(
            f"Counts {list(shape)} need {12 * math.prod(shape) / 2**30:.3g} GiB, more than there is: take fewer steps, "
            "merge channels or select trials."
        ) from error


def bins_per_time(steps: int, duration: Any, dtype: Any) -> Any:
    """Factor by which a time of `dtype` is multiplied to find its bin, rounding down: `steps`/`duration` and a little.

    An edge, and a spike on it, are rounded several times on the way. What is added, four units of the last place, is
    more than that, so that the spike is not counted in the bin before.
    """
    return steps / duration * (1 + 4 * float(np.finfo(dtype).eps))


def as_events(recordings: Recordings, *, room: int | None = None, time_unit: float = 1.0) -> Spikes:
    """Padded spikes `[trials, room]`, times divided by `time_unit` (in s, such as a network's time constant).

    `room` is the largest number of spikes of a trial where it is not given; a trial that does not fit is an error.
    """
    require_positive(time_unit=time_unit)
    most = int(recordings.counts.max(initial=0))
    room = most if room is None else room
    require_whole(room=room)
    if most > room:
        raise ValueError(f"A trial has {most} spikes, which do not fit into a room of {room}: give more.")
    shape = (len(recordings), room)
    try:
        times, channels = np.full(shape, np.inf), np.zeros(shape, np.int32)
    except (MemoryError, ValueError) as error:  # the latter of more than there can be
        need = 12 * math.prod(shape) / 2**30
        raise ValueError(f"Room for {room} spikes a trial needs {need:.3g} GiB, more than there is.") from error
    place = np.arange(recordings.times.size) - recordings.offsets[recordings.trials]
    times[recordings.trials, place] = recordings.times / time_unit
    channels[recordings.trials, place] = recordings.channels
    return Spikes(jnp.asarray(times), jnp.asarray(channels))
