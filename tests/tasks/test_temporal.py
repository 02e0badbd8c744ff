"""Tasks with a dial: answers follow from what was shown, chance is chance, and impossible settings are refused."""

import numpy as np
import pytest

from stablespike.tasks.temporal import (
    CHANCE,
    accuracy,
    copy,
    delayed_xor,
    delayed_xor_of_latencies,
    nested_xor,
    store_and_recall,
    which_channel_spikes,
)


def generator():
    return np.random.default_rng(0)


def brute_force(bits, t, delays):
    return int(sum(bits[t - delay] for delay in delays) % 2)


@pytest.mark.parametrize(
    ("task", "delays"),
    [
        (copy(generator(), 3, 20, 5), [5]),
        (delayed_xor(generator(), 3, 20, 6), [3, 6]),
        (nested_xor(generator(), 3, 20, 8, 2), [2, 4, 6, 8]),
    ],
)
def test_answers_follow_from_what_was_shown(task, delays):
    np.testing.assert_array_equal(task.defined, np.arange(20) >= max(delays))
    for bits, targets in zip(task.inputs[:, :, 0], task.targets, strict=True):
        assert [brute_force(bits, t, delays) for t in range(max(delays), 20)] == list(targets[max(delays) :])
    assert accuracy(task, task.targets) == 1


def test_families_agree_where_they_meet():
    for one, other in [
        (nested_xor(generator(), 2, 30, 8, 0), copy(generator(), 2, 30, 8)),
        (nested_xor(generator(), 2, 30, 8, 1), delayed_xor(generator(), 2, 30, 8)),
    ]:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "task",
    [copy(generator(), 400, 60, 9), delayed_xor(generator(), 400, 60, 8), store_and_recall(generator(), 400, 60, 0.3)],
)
def test_chance_is_one_half_and_the_present_bit_tells_nothing(task):
    scored = np.broadcast_to(task.defined, task.targets.shape).sum()
    for answers in (np.zeros_like(task.targets), task.inputs[:, :, 0]):
        assert abs(accuracy(task, answers) - CHANCE) < 4 * 0.5 / np.sqrt(scored)


def test_recall_is_of_the_last_store():
    task = store_and_recall(generator(), 20, 50, 0.4)
    for (bits, store, recall), targets, defined in zip(
        task.inputs.transpose(0, 2, 1), task.targets, task.defined, strict=True
    ):
        np.testing.assert_array_equal(defined, recall == 1)
        memory = None
        for t in range(50):
            if store[t]:
                assert memory is None
                memory = bits[t]
            if recall[t]:
                assert targets[t] == memory
                memory = None


def test_bits_as_events():
    task = copy(generator(), 2, 6, 1)
    spikes = which_channel_spikes(task.inputs, 0.5)
    np.testing.assert_allclose(spikes.times, np.tile(0.5 * np.arange(6), (2, 1)))
    np.testing.assert_array_equal(spikes.sources, task.inputs[:, :, 0])
    spikes = which_channel_spikes(
        store_and_recall(generator(), 2, 6, 0.5).inputs, 0.5, jitter=1.0, generator=generator()
    )
    assert np.all(np.diff(spikes.times, axis=1) >= 0)
    np.testing.assert_array_equal(np.sort(np.asarray(spikes.sources) // 2, 1), np.sort(np.tile([0, 1, 2], (2, 6)), 1))


def test_latencies():
    task = delayed_xor_of_latencies(generator(), 50, 3.0, 0.1, 0.9)
    bits = np.round(task.times - np.array([0.1, 3.1]), 9) > 0
    np.testing.assert_array_equal(task.first, bits[:, 0] != bits[:, 1])
    assert set(task.first) == {0, 1}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: copy(generator(), 2, 10, 10), "a delay of 10 steps does not fit into trials of 10"),
        (lambda: delayed_xor(generator(), 2, 10, 3), "must be even"),
        (lambda: nested_xor(generator(), 2, 10, 6, 2), "a positive multiple of 2"),
        (lambda: store_and_recall(generator(), 2, 10, 0.0), "rate must lie in"),
        (lambda: which_channel_spikes(np.zeros((1, 2, 1), int), 0.5, jitter=0.5), "a generator for jitter"),
        (lambda: delayed_xor_of_latencies(generator(), 2, 1.0, 0.5, 0.5), "early < late"),
        (lambda: accuracy(store_and_recall(generator(), 1, 1, 1.0), np.zeros((1, 1), int)), "lengthen the trials"),
        (lambda: accuracy(copy(generator(), 2, 10, 1), np.full((2, 10), 2)), "answers must be bits"),
        (lambda: copy(generator(), 2, 10, -1), "must not be negative"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
