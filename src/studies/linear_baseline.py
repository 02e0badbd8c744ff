"""How well a linear classifier does that sees spike counts only: the difficulty of a data set."""

import numpy as np
import sklearn.linear_model
from jaxtyping import Float

from stablespike.tasks.recordings import Recordings, binned, cut, merge_channels
from stablespike.tasks.speaker_splits import Split


def logistic_accuracy(
    split: Split, duration: float, *, channels: int = 35, steps: int = 14, inverse_penalty: float = 0.1
) -> float:
    """Part of the test trials that logistic regression on square roots of spike counts names rightly.

    Counts in `channels` groups of neighbouring channels and `steps` equal bins up to `duration` in s, later spikes left
    out. `inverse_penalty` is C of scikit-learn; the test set chooses nothing.
    """
    train, test = (_features(part, duration, min(channels, part.channel_count), steps) for part in split)
    model = sklearn.linear_model.LogisticRegression(C=inverse_penalty, solver="newton-cg", tol=1e-8, max_iter=1000)
    return float(model.fit(train, split.train.labels).score(test, split.test.labels))


def _features(
    recordings: Recordings, duration: float, channels: int, steps: int
) -> Float[np.ndarray, "trials features"]:
    counts = binned(merge_channels(cut(recordings, duration), channels), steps, duration)
    return np.sqrt(counts.reshape(len(recordings), -1))
