"""`speakers_left_out`: folds that share no speaker, room that all share, and that every kind learns its folds."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from sklearn.exceptions import ConvergenceWarning
from tests.studies.test_networks_that_hear import chords

from stablespike.tasks.recordings import joined
from stablespike.tasks.speaker_splits import Split
from studies import networks_that_hear as hearing_study
from studies import speakers_left_out as study

HEARING = hearing_study.Hearing(
    channels=8, duration=0.2, hidden=8, mean=1.0, deviation=1.0, gain=30.0, weighting_time_constant=0.1, fewest=1.0,
    shift=1,
)  # fmt: skip


def spoken(seed):
    """Two chords by three speakers in turn."""
    one = chords(seed)
    return dataclasses.replace(one, speakers=np.arange(len(one)) % 3)


def test_every_speaker_is_left_out_once_and_all_are_in_the_official_split():
    split = Split(spoken(0), spoken(1))
    found = dict(study.folds(split))
    assert list(found) == ["official", *study.SPEAKERS[:3]]
    for name in study.SPEAKERS[:3]:
        assert set(found[name].test.speakers) == {study.SPEAKERS.index(name)}
        assert not set(found[name].train.speakers) & set(found[name].test.speakers)
        assert len(found[name].train) + len(found[name].test) == len(joined(*split))
    assert len(found["official"].train) == min(len(split.train), *(len(found[one].train) for one in study.SPEAKERS[:3]))
    room = study.room_of(split, HEARING)
    for one in found.values():
        assert all(study.trials_of(part, HEARING, room)[0].times.shape[1] == room for part in one)
    with pytest.raises(ValueError, match="do not fit"):
        study.trials_of(split.train, HEARING, room - 1)


@pytest.mark.parametrize(
    ("kind", "exact", "gain"), [("LIF", False, 30.0), ("SE-adaptive", False, 30.0), ("QIF", True, 60.0)]
)
def test_each_kind_learns_and_goes_on_from_its_checkpoint(kind, exact, gain, tmp_path):
    competitor = study.Competitor(kind, exact, hidden_rate=1e-2, gain=gain, limit=10.0 if exact else 0.0)
    split = Split(spoken(0), spoken(1))
    room = study.room_of(split, HEARING)
    trials = {"official": tuple(study.trials_of(part, HEARING, room) for part in split)}
    learning = hearing_study.Learning(10, 8, readout_rate=5e-2)
    arguments = {"classes": 2, "seed": 0, "hearing": HEARING, "learning": learning, "folder": tmp_path}
    found = study.train(competitor, trials, **arguments)["official"]
    assert found["test"] > 0.8
    assert found["test"] == found["right"].mean()
    assert found["history"][-1]["loss"] < found["history"][1]["loss"]
    arriving = (np.asarray(trials["official"][1][0].times) < HEARING.duration).sum() / 32
    reached = [(arriving, 8), (found["spikes"], 8 + 2)]  # recurrent neurons, and two classes
    assert found["operations"] == pytest.approx(sum(spikes * neurons for spikes, neurons in reached), rel=1e-5)
    assert study.train(competitor, trials, **arguments)["official"]["history"] == found["history"]


def test_how_far_ahead_is_a_mean_with_a_paired_test():
    one, other = np.array([0.5, 0.6, 0.4]), np.array([0.4, 0.45, 0.35])
    gain, p = study.ahead(one, other)
    differences = one - other
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(3))
    np.testing.assert_allclose([gain, p], [0.1, 2 * scipy.stats.t.sf(t, 2)], rtol=1e-12)


def test_an_interval_of_speakers_who_all_say_the_same_is_theirs():
    assert study.clustered([np.full(20, 0.25)] * 3) == (0.25, 0.25)


def test_the_interval_over_speakers_is_that_of_few_and_different_ones():
    parts = [np.full(200, level) for level in (0.0, 0.3, 0.6)]
    low, high = study.clustered(parts, draws=4000)
    means = (
        np.array([np.mean(three) for three in np.ndindex(3, 3, 3)]) * 0.3
    )  # all ways to draw three of three speakers
    assert low <= np.quantile(means, 0.05)
    assert high >= np.quantile(means, 0.95)
    apart = [part - part.mean() + 0.3 for part in parts]
    assert study.clustered(apart) == pytest.approx((0.3, 0.3))


def test_the_linear_classifier_tells_two_chords_apart_and_stops_where_it_is_told():
    split = Split(*(dataclasses.replace(spoken(seed), channel_count=40) for seed in (0, 1)))
    assert study.linear_right(split, HEARING.duration).mean() > 0.8
    with pytest.warns(ConvergenceWarning):
        study.linear_right(split, HEARING.duration, steps=1)
