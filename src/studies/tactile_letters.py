"""Networks that read Braille letters by touch, trained by exact or by surrogate gradients.

Network, loss, penalties and optimiser are those of `networks_that_hear`.
"""

import numpy as np

from stablespike.tasks.recordings import Recordings, select
from stablespike.tasks.speaker_splits import ValidatedSplit

PARTS = (0.7, 0.1)  # of each letter's trials, for training and validation; the rest is the test
PUBLISHED = (  # per cent
    ("recurrent LIF, surrogate gradients", "about 80", "Müller-Cleve et al. 2022: 17 points below their LSTM"),
    ("LSTM on frames", "about 97", "Müller-Cleve et al. 2022"),
)


def stratified(letters: Recordings, seed: int = 0) -> ValidatedSplit:
    """Of the trials of each letter 70 % for training, 10 % for validation, and 20 % for the test, drawn once.

    Those are the parts in the code of Müller-Cleve et al. (2022), whose draw is not known. Trials of one letter follow
    one another in one session, so that all sides share it.
    """
    generator = np.random.default_rng(seed)
    sides: tuple[list[np.ndarray], ...] = ([], [], [])
    for letter in np.unique(letters.labels):
        order = generator.permutation(np.flatnonzero(letters.labels == letter))
        ends = np.rint(np.cumsum(PARTS) * order.size).astype(int)
        for side, part in zip(sides, np.split(order, ends), strict=True):
            side.append(part)
    return ValidatedSplit(*(select(letters, np.sort(np.concatenate(side))) for side in sides))
