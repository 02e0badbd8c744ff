"""Blends and splits at their edges: trials without spikes, parts of speakers, numbers too large for a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.spikes import Spikes
from stablespike.tasks.augmentation import blend
from stablespike.tasks.recordings import gather
from stablespike.tasks.speaker_splits import hold_out_speakers
from stablespike.tasks.spike_files import write_recordings


def ten(speakers):
    trains = [(np.array([0.1]), np.array([0]))] * len(speakers)
    return gather(trains, np.zeros(len(speakers), int), np.asarray(speakers), ("a",), 1)


def test_blend_with_a_silent_trial_moves_nothing():
    silent = Spikes(jnp.full(3, jnp.inf), jnp.zeros(3, int))
    spikes = Spikes(jnp.array([0.2, 0.5, 0.8]), jnp.array([10, 20, 30]))
    for one, other in ((silent, spikes), (spikes, silent)):
        found = set()
        for k in range(20):
            blended = blend(jax.random.key(k), one, other, 40)
            real = np.asarray(blended.real)
            pairs = zip(np.asarray(blended.times)[real], np.asarray(blended.sources)[real], strict=True)
            found |= {(round(float(time), 9), int(source)) for time, source in pairs}
        assert found == {(0.2, 10), (0.5, 20), (0.8, 30)}


@pytest.mark.parametrize("part", [-0.2, 0.0, 1.0, np.nan])
def test_part_of_the_speakers_lies_between_0_and_1(part):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        hold_out_speakers(ten(range(10)), np.random.default_rng(0), part=part)


@pytest.mark.parametrize("speakers", [[-1], [5, -70000]])
def test_speakers_below_0_are_refused(tmp_path, speakers):
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match="room for speakers"):
        write_recordings(tmp_path / "w.h5", ten(speakers))
