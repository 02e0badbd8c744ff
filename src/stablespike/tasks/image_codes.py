"""Images as spike trains: latency, burst and threshold-crossing codes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Shaped

from stablespike.tasks.event_cameras import DIGIT_NAMES
from stablespike.tasks.image_files import LabelledImages
from stablespike.tasks.recordings import Recordings, gather
from stablespike.tasks.requirements import require, require_not_negative, require_positive
from stablespike.tasks.speaker_splits import Split

Images = Shaped[np.ndarray, "trials pixels"]
Labels = Shaped[np.ndarray, " trials"]


def latency_code(
    images: Images, labels: Labels, classes: tuple[str, ...], *, largest: float | int, latest: float
) -> Recordings:
    """Each pixel of value g > 0 spikes once, at `latest` (1 - g/largest) in s: the brightest first, black never."""
    _require_grey(images, largest)
    require_not_negative(latest=latest)
    pixels = [np.flatnonzero(image) for image in images]
    trains = [(latest * (1 - image[some] / largest), some) for image, some in zip(images, pixels, strict=True)]
    return gather(trains, labels, None, classes, images.shape[1])


def burst_code(
    images: Images, labels: Labels, classes: tuple[str, ...], *, largest: float | int, most: int, interval: float
) -> Recordings:
    """Each pixel of value g spikes round(`most` g/largest) times from 0 on, `interval` s apart (Guo et al. 2021)."""
    _require_grey(images, largest)
    require_positive(most=most, interval=interval)
    counts = np.rint(most * (images / largest)).astype(int)
    times = interval * np.arange(most)
    trains = []
    for row in counts:
        pixels, place = np.nonzero(np.arange(most) < row[:, None])
        trains.append((times[place], pixels))
    return gather(trains, labels, None, classes, images.shape[1])


def threshold_crossing_code(
    images: Images, labels: Labels, classes: tuple[str, ...], *, largest: float | int, thresholds: int, interval: float
) -> Recordings:
    """Pixels one after the other, `interval` s each; a channel spikes when its threshold is crossed, up or down.

    Channels 0 ... thresholds - 1 stand for upward crossings of evenly spaced values (0 and largest excluded), the next
    as many for downward ones. The picture starts from black (as Bellec et al. 2018 present MNIST sequentially).
    """
    _require_grey(images, largest)
    require_positive(thresholds=thresholds, interval=interval)
    levels = largest * np.arange(1, thresholds + 1) / (thresholds + 1)
    trains = []
    for image in images:
        above = np.concatenate([np.zeros((1, thresholds), bool), image[:, None] > levels])
        up, down = above[1:] & ~above[:-1], ~above[1:] & above[:-1]
        step, channel = np.nonzero(np.concatenate([up, down], 1))
        trains.append((interval * step, channel))
    return gather(trains, labels, None, classes, 2 * thresholds)


def _require_grey(images: np.ndarray, largest: Any) -> None:
    require_positive(largest=largest)
    grey = (images >= 0) & (images <= largest)
    require(grey, f"Pixels must be from 0 to {largest}, not {images[~grey][:1]}: give the largest value as `largest`.")


def coded(code: Callable[..., Recordings], images: LabelledImages, **settings: Any) -> Split:
    """Training and test set of ten classes in one of the codes above."""
    train = code(images.train, images.labels, DIGIT_NAMES, **settings)
    return Split(train, code(images.test, images.test_labels, DIGIT_NAMES, **settings))
