"""`tactile_letters`: parts of each letter, and no trial on two sides."""

import numpy as np

from stablespike.tasks.recordings import gather
from studies import tactile_letters as study


def felt(letters=3, each=10):
    """Trials that are told apart by the time of their one spike."""
    labels = np.arange(letters * each) % letters
    trains = [(np.array([0.01 * trial]), np.array([0])) for trial in range(labels.size)]
    return gather(trains, labels, None, ("a", "b", "c")[:letters], 1)


def test_of_each_letter_the_parts_are_those_that_were_said():
    split = study.stratified(felt())
    assert [np.bincount(part.labels).tolist() for part in split] == [[7] * 3, [1] * 3, [2] * 3]


def test_no_trial_is_on_two_sides_and_none_is_lost():
    one = felt()
    split = study.stratified(one)
    times = np.concatenate([part.times for part in split])
    np.testing.assert_array_equal(np.sort(times), np.sort(one.times))
    for part in split:
        trial = np.rint(part.times / 0.01).astype(int)
        np.testing.assert_array_equal(part.labels, one.labels[trial])


def test_a_seed_is_a_draw():
    first, same, other = (study.stratified(felt(), seed).test.times for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
