"""What a collection of data sets holds, and which of its members are not there."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import Recordings


class Inventory(NamedTuple):
    """Sets that could be read, and for each of the others the sentence that says which file to put where."""

    present: dict[str, tuple[Recordings, ...]]
    absent: dict[str, str]


def take_inventory(sets: Mapping[str, Callable[[], tuple[Recordings, ...]]]) -> Inventory:
    """Read all sets; one that is missing or damaged is reported, not skipped and not fatal."""
    found = Inventory({}, {})
    for name, read in sets.items():
        try:
            found.present[name] = read()
        except DatasetError as error:
            found.absent[name] = str(error)
    return found


def statistics(recordings: Recordings) -> dict[str, float | int]:
    """Sizes, and spikes per trial with their standard deviation, mean rate per channel in Hz, duration in s.

    The duration of a trial is the time of its last spike (mean over trials); the rate is spikes per channel and that
    time. `speakers` is 0 where nobody is named.
    """
    ends = np.array([recordings.trial(k)[0].max(initial=0) for k in range(len(recordings))], float)
    spiking = ends > 0
    rates = recordings.counts[spiking] / (ends[spiking] * recordings.channel_count)
    return {
        "trials": len(recordings),
        "classes": len(recordings.classes),
        "speakers": 0 if recordings.speakers is None else int(np.unique(recordings.speakers).size),
        "channels": recordings.channel_count,
        "spikes": float(recordings.counts.mean()),
        "spikes_sd": float(recordings.counts.std()),
        "duration": float(ends.mean()),
        "longest": float(ends.max()),
        "rate": float(rates.mean()) if rates.size else 0.0,
        "silent_trials": int((recordings.counts == 0).sum()),
    }


def shared_speakers(split: tuple[Recordings, ...]) -> list[int]:
    """Speakers of the first part of a split, the training set, who are in another part too."""
    known = [part.speakers for part in split if part.speakers is not None]
    if len(known) < len(split):
        return []
    return np.intersect1d(known[0], np.concatenate(known[1:])).tolist()


def spike_rows(recordings: Recordings, trial: int) -> list[dict[str, float | int]]:
    """Spikes of one trial as rows `time` in s and `channel`, for plotting."""
    times, channels = recordings.trial(trial)
    return [{"time": float(time), "channel": int(one)} for time, one in zip(times, channels, strict=True)]
