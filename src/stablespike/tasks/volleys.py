"""Images as volleys: simultaneous input spikes, one volley per grey value."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


class VolleyTask(NamedTuple):
    """Labelled trials whose input arrives in volleys: channel c takes part in volley v of a trial if `active` says so.

    `times` `[volleys]` in the unit of the network's time constants, `active` `[trials, volleys, channels]`.
    """

    times: Float[np.ndarray, " volleys"]
    train_active: Bool[np.ndarray, "trials volleys channels"]
    train_labels: Int[np.ndarray, " trials"]
    test_active: Bool[np.ndarray, "others volleys channels"]
    test_labels: Int[np.ndarray, " others"]


def grey_value_volleys(
    images: Shaped[np.ndarray, "trials channels"], levels: int, latest: float
) -> tuple[Float[np.ndarray, " volleys"], Bool[np.ndarray, "trials volleys channels"]]:
    """Latency code: grey value g of 1 ... `levels` spikes at latest (levels - g)/levels, grey value 0 never.

    Returns volley times `[levels]` and which channels are active in which volley `[trials, levels, channels]`.
    """
    values = np.arange(levels, 0, -1)
    times = latest * (levels - values) / levels
    return times, np.asarray(images)[:, None, :] == values[None, :, None]


def binary_volley(
    images: Shaped[np.ndarray, "trials channels"], threshold: float, time: float
) -> tuple[Float[np.ndarray, " volleys"], Bool[np.ndarray, "trials volleys channels"]]:
    """One volley at `time` of all pixels at or above `threshold` (Klos 2025 binarises at half the range)."""
    return np.array([float(time)]), (np.asarray(images) >= threshold)[:, None, :]
