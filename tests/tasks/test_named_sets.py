"""Sets by name, an inventory that skips nothing in silence, the linear baseline, and the statistics of a journey."""

import json

import jax
import numpy as np
import pytest
from stablespike.tasks.cochlea.membrane import SAMPLING_RATE, BasilarMembrane, filter_at
from stablespike.tasks.cochlea.model import Cochlea
from stablespike.tasks.cochlea.statistics import band_statistics, click_delays, follow, reference_statistics

from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.inventory import shared_speakers, spike_rows, statistics, take_inventory
from stablespike.tasks.named_sets import LARGE_SET, NAMED_SETS, SMALL_SET, Places, fitted, yin_yang_points
from stablespike.tasks.recordings import gather
from stablespike.tasks.speaker_splits import Split
from studies.linear_baseline import logistic_accuracy


def recordings(trains, speakers=None):
    labels = np.arange(len(trains)) % 2
    return gather([(np.array(t), np.array(c)) for t, c in trains], labels, speakers, ("a", "b"), 4)


def test_statistics_counted_by_hand():
    found = statistics(recordings([([0.1, 0.5], [0, 3]), ([], []), ([0.2] * 4, [1] * 4)], np.array([1, 1, 2])))
    assert found["trials"] == 3
    assert found["speakers"] == 2
    assert found["spikes"] == 2
    assert found["spikes_sd"] == pytest.approx(np.std([2, 0, 4]))
    assert found["duration"] == pytest.approx(0.7 / 3)
    assert found["longest"] == 0.5
    assert found["rate"] == pytest.approx((2 / (0.5 * 4) + 4 / (0.2 * 4)) / 2)
    assert found["silent_trials"] == 1


def test_an_inventory_names_what_is_absent(tmp_path):
    one = recordings([([0.1], [0]), ([0.2], [1])], np.array([1, 2]))
    sets = {"here": lambda: Split(one, one), "away": lambda: NAMED_SETS["nmnist-small"](Places(tmp_path, tmp_path))}
    found = take_inventory(sets)
    assert list(found.present) == ["here"]
    assert found.absent["away"].startswith("N-MNIST is missing: put its zip archive at")
    assert shared_speakers(found.present["here"]) == [1, 2]
    assert spike_rows(one, 1) == [{"time": 0.2, "channel": 1}]


@pytest.mark.parametrize("name", sorted(set(NAMED_SETS) - {"synthetic-small", "synthetic"}))
def test_every_set_that_needs_files_says_which(name, tmp_path):
    pytest.importorskip("h5py")
    pytest.importorskip("tonic")
    with pytest.raises(DatasetError, match=r"(put|Put) .*"):
        NAMED_SETS[name](Places(tmp_path, tmp_path / "cache"))


def test_the_synthetic_sets_are_as_large_as_they_say():
    pytest.importorskip("espeakng_loader")
    sizes = {digits: [len(part) for part in digits.utterances()] for digits in (SMALL_SET, LARGE_SET)}
    assert list(sizes.values()) == [[300, 100], [1600, 480]]
    assert LARGE_SET.voices >= 40


def test_fitting_cuts_and_merges():
    one = recordings([([0.1, 0.5], [0, 3]), ([0.2], [2])])
    cut = fitted(Split(one, one), 0.4, 2).train
    assert cut.channels.tolist() == [0, 1]
    assert cut.channel_count == 2


def test_the_baseline_separates_what_counts_separate():
    split = yin_yang_points(60, 0.1)
    assert logistic_accuracy(split, 0.11, channels=5, steps=11) > 0.5
    generator = np.random.default_rng(0)
    trains = [(np.sort(generator.uniform(0, 1, 20)), generator.integers(0, 2, 20) + 2 * (k % 2)) for k in range(40)]
    easy = recordings(trains)
    assert logistic_accuracy(Split(easy, easy), 1.0, channels=4, steps=2) == 1.0


def test_a_journey_and_the_reference_have_the_same_form(tmp_path):
    membrane = BasilarMembrane()
    cochlea = Cochlea(filter_at(membrane, membrane.positions(20), 9600))  # 0.2 s: nothing comes round to the start
    sound = np.sin(2 * np.pi * 500 * np.arange(4000) / SAMPLING_RATE)
    journey = follow(cochlea, sound, [0, 1])
    found = band_statistics(journey)
    assert found.spikes.shape == (2, 10)
    assert found.spikes.sum(1).tolist() == [train.times.size for train in journey.trains]
    assert found.velocity[0] == pytest.approx(np.sqrt((journey.velocity[:2] ** 2).mean()), rel=1e-5)
    delays = click_delays(cochlea.membrane)
    assert abs(delays[0]) < 1e-3
    assert (np.diff(delays) <= 0).all()  # as published: low tones first, 19 ms before the click
    assert delays[-1] == pytest.approx(-0.019, abs=5e-4)
    content = {"files": {"tone": {"bm_rms_per_band": [1.0] * 10, "hair_prob_mean_per_band": [0.1] * 10}}}
    content["files"]["tone"]["runs"] = [{"spikes_per_band": list(range(10))}]
    file = tmp_path / "statistics.json"
    file.write_text(json.dumps(content))
    assert reference_statistics(file, "tone").spikes.shape == (1, 10)
    with pytest.raises(DatasetError, match="holds no statistics of other"):
        reference_statistics(file, "other")
    with pytest.raises(ValueError, match="24 channels can't be divided"):
        band_statistics(journey._replace(velocity=np.zeros((24, 5))))
    assert jax.config.jax_enable_x64
