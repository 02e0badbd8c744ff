"""Handwritten digits as input volleys: scikit-learn's bundled 8x8 set, and MNIST from its four original files."""

import math
import pathlib

from stablespike.tasks.image_files import MNIST, idx_images, small_digit_images
from stablespike.tasks.volleys import VolleyTask, binary_volley, grey_value_volleys


def small_digits(duration: float, *, test_trials: int = 357, split_seed: int = 0) -> VolleyTask:
    """The 1797 digits of 8x8 pixels bundled with scikit-learn, grey values 1 ... 16 as volleys over the first half
    trial.

    `duration` of a trial in the unit of the network's time constants. The split is drawn once by `split_seed`.
    """
    images = small_digit_images(test_trials=test_trials, split_seed=split_seed)
    times, train = grey_value_volleys(images.train, levels=16, latest=duration / 2)
    _, test = grey_value_volleys(images.test, levels=16, latest=duration / 2)
    return VolleyTask(times, train, images.labels, test, images.test_labels)


def mnist(folder: str | pathlib.Path, duration: float) -> VolleyTask:
    """MNIST binarised at half the range, all active pixels in one early volley at duration ln(1/0.99) (Klos 2025).

    `folder` holds the four original gzipped idx files; each is checked by its md5 checksum.
    """
    images = idx_images(folder, MNIST, "MNIST")
    time = -duration * math.log(0.99)
    times, train = binary_volley(images.train, 127.5, time)
    _, test = binary_volley(images.test, 127.5, time)
    return VolleyTask(times, train, images.labels, test, images.test_labels)
