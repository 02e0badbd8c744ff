"""The Yin-Yang set: points of a disc in three classes, as spike latencies (Kriener et al. 2022)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

RADIUS, DOT = 0.5, 0.1  # of the disc, and of the two dots in it


class LatencyTask(NamedTuple):
    """Labelled trials in which every channel spikes once: `times` `[trials, channels]`, `labels` `[trials]`."""

    times: Float[np.ndarray, "trials channels"]
    labels: Int[np.ndarray, " trials"]


def yin_yang(generator: np.random.Generator, trials: int, scale: float = 2.0) -> LatencyTask:
    """Points (x, y) of the disc of radius 0.5 around (0.5, 0.5), uniform in each class: yang 0, yin 1, a dot 2.

    Five channels spike at `scale` times x, y, 1 - x, 1 - y and 0 (a bias), in the network's unit of time. The class of
    each trial is drawn first, so that the three are equally frequent, as in the published set.
    """
    labels = generator.integers(0, 3, trials)
    points, missing = np.empty((trials, 2)), np.arange(trials)
    while missing.size:
        drawn = generator.random((4 * missing.size, 2))
        drawn = drawn[np.hypot(*(drawn - RADIUS).T) <= RADIUS]
        classes = yin_yang_class(drawn)
        for label in range(3):
            places = missing[labels[missing] == label]
            found = drawn[classes == label][: places.size]
            points[places[: len(found)]] = found
            missing = np.setdiff1d(missing, places[: len(found)])
    times = scale * np.concatenate([points, 1 - points, np.zeros((trials, 1))], 1)
    return LatencyTask(times, labels)


def yin_yang_class(points: Float[np.ndarray, "trials 2"]) -> Int[np.ndarray, " trials"]:
    """Class of each point of the disc."""
    right = np.hypot(points[:, 0] - 1.5 * RADIUS, points[:, 1] - RADIUS)
    left = np.hypot(points[:, 0] - 0.5 * RADIUS, points[:, 1] - RADIUS)
    yin = (right <= DOT) | ((left > DOT) & (left <= 0.5 * RADIUS)) | ((points[:, 1] > RADIUS) & (right > 0.5 * RADIUS))
    return np.where(np.minimum(right, left) < DOT, 2, yin).astype(int)
