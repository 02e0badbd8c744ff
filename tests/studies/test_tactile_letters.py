"""`tactile_letters`: parts of each letter, no trial on two sides, and settings that are the same for every kind."""

import numpy as np
import pytest

import stablespike as ss
from stablespike.tasks.recordings import gather
from studies import networks_that_hear
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


def test_draws_stay_inside_their_ranges_and_the_guess_is_first():
    first, *draws = study.tries(6, seed=2)
    assert first == study.Setting()
    for name, (low, high) in study.RANGES.items():
        values = np.array([getattr(one, name) for one in draws])
        assert (values >= 0.95 * low).all()  # two digits
        assert (values <= 1.05 * high).all()
        assert len(set(values)) == len(draws)


def test_the_grid_resolves_the_synapses_of_every_draw():
    draws = study.tries(500, seed=3)
    assert min(one.membrane for one in draws) < 0.0175
    for one in draws:
        assert one.membrane / 2 >= networks_that_hear.Hearing().dt


def test_a_try_is_its_last_epoch():
    rows = [{"test_accuracy": part, "test_loss": 1 - part, "rate": 5.0, "silent": 0.0} for part in (0.1, 0.7, 0.6)]
    found = study.outcome(lambda: (None, rows))
    assert found == {"validation": 0.6, "loss": 0.4, "rate": 5.0, "silent": 0.0, "stopped": ""}


def test_a_try_whose_simulation_fails_names_nothing_and_says_why():
    hearing = networks_that_hear.Hearing(
        channels=1, duration=0.5, hidden=2, mean=50.0, deviation=0.0, budget=1, shift=0
    )
    trials = networks_that_hear.trials_of(felt(), hearing)
    learning = networks_that_hear.Learning(epochs=1, batch_size=6)
    found = study.outcome(
        lambda: networks_that_hear.train(
            networks_that_hear.Competitor(ss.LIF), trials, trials, channels=1, classes=3, seed=1, hearing=hearing,
            learning=learning,
        )
    )  # fmt: skip
    assert "budget" in found["stopped"]
    assert found["validation"] == 0
    assert np.isnan([found[name] for name in ("loss", "rate", "silent")]).all()


def test_another_error_is_no_outcome():
    with pytest.raises(ZeroDivisionError):
        study.outcome(lambda: (None, [{"test_accuracy": 1 / 0}]))


def test_a_kind_says_its_neuron_and_its_gradient():
    assert study.competitor_of("QIF exact") == networks_that_hear.Competitor(ss.QIF, exact=True)
    assert study.competitor_of("LIF surrogate") == networks_that_hear.Competitor(ss.LIF, exact=False)
    for wrong in ("LIF", "exact LIF", "LIF exactly", "theta exact"):
        with pytest.raises(ValueError, match="a kind is"):
            study.competitor_of(wrong)


def test_a_setting_reaches_what_all_share():
    setting = study.Setting(gain=3.0, weighting=2.0, membrane=0.05, mean_weight=0.1, weight_deviation=0.4)
    common = networks_that_hear.Hearing(hidden=7)
    one = study.hearing_of(setting, common, limit=10.0)
    found = (one.gain, one.weighting_time_constant, one.membrane_time_constant, one.mean, one.deviation)
    assert found == (3.0, 2.0, 0.05, 0.1, 0.4)
    assert one.hidden == 7
    assert one.limit == 10.0
    assert study.hearing_of(setting, common).limit is None
