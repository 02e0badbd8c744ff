"""Surrogate beside exact gradients: every sharpness, and what cannot be compared."""

import jax
import numpy as np
import pytest
from tests.studies.test_comparison import BATCH, EXACT, LABELS, WEIGHTS

from studies.gradient_alignment import align


def test_alignments_of_all_sharpnesses_and_their_refusals():
    found = align(WEIGHTS, (BATCH, LABELS), EXACT, 60, [1.0, 30.0])
    assert found.cosine.shape == (2,)
    assert np.all(np.abs(np.asarray(found.cosine)) <= 1)
    assert found.norm_ratio[0] > found.norm_ratio[1] > 0, "a blunter surrogate gives a larger gradient"
    assert float(found.loss[0]) == float(found.loss[1]), "the forward pass must not know the sharpness"
    weak = jax.tree.map(lambda leaf: 0.01 * leaf, WEIGHTS)
    with pytest.raises(ValueError, match="a layer was silent"):
        align(weak, (BATCH, LABELS), EXACT, 60, [1.0, 30.0])
