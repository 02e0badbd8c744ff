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
    """Points (x, y) uniform in the disc of radius 0.5 around (0.5, 0.5); classes: yang 0, yin 1, a dot 2.

    Five channels spike at `scale` times x, y, 1 - x, 1 - y and 0 (a bias), in the network's unit of time.
    """
    points = np.empty((0, 2))
    while len(points) < trials:
        drawn = generator.random((2 * trials, 2))
        points = np.concatenate([points, drawn[np.hypot(*(drawn - RADIUS).T) <= RADIUS]])[:trials]
    times = scale * np.concatenate([points, 1 - points, np.zeros((trials, 1))], 1)
    return LatencyTask(times, yin_yang_class(points))


def yin_yang_class(points: Float[np.ndarray, "trials 2"]) -> Int[np.ndarray, " trials"]:
    """Class of each point of the disc."""
    right = np.hypot(points[:, 0] - 1.5 * RADIUS, points[:, 1] - RADIUS)
    left = np.hypot(points[:, 0] - 0.5 * RADIUS, points[:, 1] - RADIUS)
    yin = (right <= DOT) | ((left > DOT) & (left <= 0.5 * RADIUS)) | ((points[:, 1] > RADIUS) & (right > 0.5 * RADIUS))
    return np.where(np.minimum(right, left) < DOT, 2, yin).astype(int)
