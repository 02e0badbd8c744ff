"""Spikes that come in volleys, and silent margins in which all spikes of a trial are shifted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.tasks.augmentation import ChannelShift, MarginShift
from stablespike.tasks.recordings import as_events, binned, gather, in_volleys, with_margins


def recordings():
    trains = [(np.array([0.0001, 0.0019, 0.002, 0.0301]), np.array([0, 3, 1, 2])), (np.array([0.01]), np.array([3]))]
    return gather(trains, np.array([0, 1]), None, ("a", "b"), 4)


def test_volleys_lie_in_the_middle_of_their_step_and_keep_the_counts_of_its_bins():
    before, after = recordings(), in_volleys(recordings(), 0.002)
    np.testing.assert_allclose(after.times, [0.001, 0.001, 0.003, 0.031, 0.011])
    np.testing.assert_array_equal(binned(after, 20, 0.04), binned(before, 20, 0.04))
    assert np.unique(after.trial(0)[0]).size == 3


def test_margins_are_silent_channels_on_either_side():
    wide = with_margins(recordings(), 2)
    assert wide.channel_count == 8
    np.testing.assert_array_equal(wide.trial(0)[1], [2, 5, 3, 4])


def test_a_shift_within_margins_is_the_shift_of_channels_and_loses_nothing():
    spikes = as_events(with_margins(recordings(), 2))
    for seed in range(8):
        key = jax.random.key(seed)
        ours = jax.vmap(lambda one, key=key: MarginShift(2)(key, one))(spikes)
        theirs = jax.vmap(lambda one, key=key: ChannelShift(2, 8)(key, one))(spikes)
        np.testing.assert_array_equal(ours.times, theirs.times)
        np.testing.assert_array_equal(jnp.where(ours.real, ours.sources, 0), jnp.where(ours.real, theirs.sources, 0))
        assert int(ours.count.sum()) == 5


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="step"):
        in_volleys(recordings(), 0.0)
    with pytest.raises(ValueError, match="margin of -1"):
        with_margins(recordings(), -1)
    with pytest.raises(ValueError, match="largest"):
        MarginShift(-1)
