"""Blends and splits at their edges: trials without spikes, parts of speakers, numbers too large for a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.spikes import Spikes
from stablespike.tasks.augmentation import blend, blended
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


def test_blended_recordings_are_of_their_class_and_half_of_either():
    generator = np.random.default_rng(0)
    labels, speakers = np.array([0, 1, 0, 1, 0, 2]), np.arange(6)
    trains = [
        (np.sort(generator.uniform(0.2, 0.6, 400)), 40 * label + generator.integers(10, 20, 400)) for label in labels
    ]
    recordings = gather(trains, labels, speakers, ("a", "b", "c"), 120)
    found = blended(recordings, np.random.default_rng(1))
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.speakers, speakers)
    assert (np.abs(found.counts - 400) < 5 * np.sqrt(200)).all()  # of 800 spikes, each kept by a fair coin
    for k, label in enumerate(labels):
        times, channels = found.trial(k)
        assert (np.diff(times) >= 0).all()
        assert (channels // 40 == label).all()
        own = np.isin(times, recordings.trial(k)[0]).mean()
        assert own == 1 if label == 2 else 0.4 < own < 0.6  # alone in its class, blended with itself
    again = blended(recordings, np.random.default_rng(1))
    np.testing.assert_array_equal(found.times, again.times)
