"""The cochlea: against the statistics of the published conversion, and its two routes against each other."""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from stablespike.tasks.cochlea.cells import (
    BushyCell,
    Fibres,
    HairCell,
    count_given_some,
    fibre_key,
    firing_probability,
)
from stablespike.tasks.cochlea.membrane import (
    MODEL_RATE,
    SAMPLING_RATE,
    BasilarMembrane,
    cached_membrane_filter,
    filter_at,
    membrane_filter,
    velocity,
    velocity_of_one,
)
from stablespike.tasks.cochlea.model import Cochlea, SpikeTrain, hear, hear_together, prepare
from stablespike.tasks.cochlea.native import threefry

from stablespike.tasks.sounds import read_sound

needs_data = pytest.mark.skipif(
    "STABLESPIKE_DATA" not in os.environ, reason="STABLESPIKE_DATA names no folder with the cochlea's reference"
)
BAND = 70  # channels of one band of the reference


@pytest.fixture(scope="module")
def reference():
    folder = pathlib.Path(os.environ["STABLESPIKE_DATA"]) / "cochlea_reference"
    statistics = json.loads((folder / "statistics.json").read_text())["files"]["spoken_digit.flac"]
    with np.load(folder / "spikes_700ch_seed0.npz") as spikes:
        return (
            read_sound(folder / "spoken_digit.flac").samples,
            statistics,
            SpikeTrain(spikes["times"], spikes["units"]),
        )


@pytest.fixture(scope="module")
def small():
    """A cochlea of 24 channels for 0.1 s in double precision, and two sounds."""
    membrane = BasilarMembrane()
    time = np.arange(4800) / SAMPLING_RATE
    chirp = np.sin(2 * np.pi * (300 + 20_000 * time) * time)
    noise = np.random.default_rng(0).standard_normal(3001)
    return Cochlea(filter_at(membrane, membrane.positions(24), 4800, dtype=np.complex128)), [chirp, noise]


def bands(values):
    return values.reshape(-1, BAND, values.shape[-1])


def own_length(sound, some):
    """The reference's channels `some`, without padding."""
    membrane = BasilarMembrane()
    return filter_at(membrane, membrane.positions(700)[some], sound.size, dtype=np.complex128)


@needs_data
def test_the_first_band_agrees_with_the_published_conversion_to_the_last_digits(reference):
    sound, statistics, _ = reference
    moved = velocity_of_one(own_length(sound, slice(BAND)), prepare(sound))
    assert np.sqrt((moved**2).mean()) == pytest.approx(statistics["bm_rms_per_band"][0], rel=1e-9)
    probability = np.asarray(firing_probability(HairCell(), jnp.asarray(moved)))
    assert probability.mean() == pytest.approx(statistics["hair_prob_mean_per_band"][0], rel=1e-9)
    assert_spike_train_of_the_reference(probability, reference)


def assert_spike_train_of_the_reference(probability, reference):
    """With the reference's own random numbers, its bushy cells spike in the same samples."""
    channels, steps = probability.shape
    draws = np.random.RandomState(0)
    counts = np.stack([fibre_counts(draws.rand(steps, 40) < row[:, None]) for row in probability], 1)
    cell = BushyCell()
    spikes = jax.lax.scan(cell.step, cell.init(jnp.zeros(channels)), jnp.asarray(counts))[1]
    found = {(int(step), int(channel)) for step, channel in np.argwhere(np.asarray(spikes))}
    times, units = reference[2]
    wanted = np.rint(times * MODEL_RATE).astype(int)
    assert found == {(int(step), int(unit)) for step, unit in zip(wanted, units, strict=True) if unit < channels}


def fibre_counts(candidates):
    """Spikes of 40 fibres, each dead for 1 ms after one."""
    counts = np.zeros(len(candidates), int)
    for fibre in candidates.T:
        last = -24
        for step in np.flatnonzero(fibre):
            if step - last >= 24:
                counts[step] += 1
                last = step
    return counts


@needs_data
@pytest.mark.slow
def test_all_bands_and_spike_counts_over_ten_seeds(reference):
    sound, statistics, _ = reference
    cochlea = Cochlea(own_length(sound, slice(None)))
    moved = velocity_of_one(cochlea.membrane, prepare(sound))
    np.testing.assert_allclose(np.sqrt((bands(moved) ** 2).mean((1, 2))), statistics["bm_rms_per_band"], rtol=1e-9)
    probability = np.asarray(firing_probability(HairCell(), jnp.asarray(moved)))
    np.testing.assert_allclose(bands(probability).mean((1, 2)), statistics["hair_prob_mean_per_band"], rtol=1e-9)
    trains = [hear(cochlea, sound, jax.random.key(seed)) for seed in range(10)]
    found = np.array([np.bincount(train.channels // BAND, minlength=10) for train in trains])
    wanted = np.array([run["spikes_per_band"] for run in statistics["runs"]])
    assert (abs(found.mean(0) - wanted.mean(0)) < 2 * found.std(0)).all()
    assert abs(found.sum(1).mean() - wanted.sum(1).mean()) < 2 * found.sum(1).std()


def test_resonance_at_the_ends_of_the_membrane():
    membrane = BasilarMembrane()
    base, apex = membrane.resonance(membrane.positions(2))
    assert base == pytest.approx(22_508, abs=5)
    assert apex == pytest.approx(110, abs=1)


def test_a_tone_moves_the_membrane_most_before_its_place_of_resonance(small):
    cochlea, _ = small
    tone = np.sin(2 * np.pi * 2000 * np.arange(4800) / SAMPLING_RATE)
    moved = velocity_of_one(cochlea.membrane, prepare(tone))
    loudest = np.argmax((moved**2).mean(1))
    resonance = BasilarMembrane().resonance(BasilarMembrane().positions(24))
    assert 2000 < resonance[loudest] < 6000


def test_the_velocity_is_that_of_the_one_sided_spectrum(small):
    cochlea, (sound, _) = small
    frequency = np.linspace(1, 24_000, 2401)
    transfer = BasilarMembrane().transfer(frequency, BasilarMembrane().positions(24))
    wanted = np.fft.ifft(transfer * np.fft.fft(sound)[:2401]).real
    np.testing.assert_allclose(velocity_of_one(cochlea.membrane, sound), wanted, rtol=0, atol=1e-11 * abs(wanted).max())
    np.testing.assert_allclose(velocity(cochlea.membrane, jnp.asarray(sound)), wanted, atol=1e-11 * abs(wanted).max())


def test_hair_cells_at_rest_stay_there():
    state = HairCell().init(jnp.zeros(1))
    after, probability = HairCell().step(state, jnp.zeros(1))
    np.testing.assert_allclose(after, state, rtol=1e-13)
    assert probability[0] == pytest.approx(0.00269866, rel=1e-5)


@pytest.mark.parametrize(("available", "probability"), [(40, 0.003), (33, 0.05), (7, 0.45), (1, 0.2)])
def test_counts_are_binomial_given_that_there_are_some(available, probability):
    grid = (np.arange(20_000) + 0.5) / 20_000
    n, p = jnp.full(grid.shape, available), jnp.full(grid.shape, probability)
    counts = np.asarray(count_given_some(n, p, -n.astype(float) * jnp.log1p(-p), jnp.asarray(grid), 40))
    law = scipy.stats.binom(available, probability)
    wanted = law.pmf(np.arange(1, available + 1)) / law.sf(0)
    np.testing.assert_allclose(np.bincount(counts, minlength=available + 1)[1:] / grid.size, wanted, atol=1e-4)


def test_fibres_spike_at_the_rate_that_their_dead_time_leaves():
    fibres, steps, p = Fibres(), 3000, 0.1
    key = fibre_key(jax.random.key(1))
    constant = jnp.full((steps, 8), p)
    counts = jax.lax.scan(lambda state, p: fibres.step(key, state, p), fibres.init(key, constant[0]), constant)[1]
    assert counts[200:].mean() == pytest.approx(40 * p / (1 + 23 * p), rel=0.01)
    recent = np.lib.stride_tricks.sliding_window_view(np.asarray(counts), 24, 0).sum(-1)
    assert recent.max() <= 40


def test_the_native_generator_is_jaxs():
    from jax.extend.random import threefry2x32_p

    words = np.random.default_rng(0).integers(0, 2**32, (4, 20), dtype=np.uint32)
    wanted = np.stack(threefry2x32_p.bind(*map(jnp.asarray, words)))
    assert np.array_equal(np.array([threefry(*column) for column in words.T]).T, wanted)


def test_both_routes_give_the_same_spikes_for_a_key(small):
    cochlea, sounds = small
    keys = jax.random.split(jax.random.key(0), 2)
    together = hear_together(cochlea, sounds, keys)
    for sound, key, train in zip(sounds, keys, together, strict=True):
        alone = hear(cochlea, sound, key)
        assert alone.times.size > 8
        assert np.array_equal(alone.channels, train.channels)
        assert np.array_equal(alone.times, train.times)
    assert not np.array_equal(hear(cochlea, sounds[0], keys[1]).times, together[0].times)


def test_an_impossible_filter_or_sound_is_refused(small):
    cochlea, (sound, _) = small
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"longer than the 4800 of the membrane filter"):
        hear(cochlea, np.ones(4801), key)
    with pytest.raises(ValueError, match=r"longer than the 4800 of the membrane filter"):
        hear_together(cochlea, [np.ones(4801)], key[None])
    with pytest.raises(ValueError, match="silent: every sample is 0"):
        hear(cochlea, np.zeros(100), key)
    with pytest.raises(ValueError, match="0 samples is empty"):
        hear(cochlea, np.zeros(0), key)
    with pytest.raises(ValueError, match="not finite"):
        hear(cochlea, np.full(100, np.nan), key)
    with pytest.raises(ValueError, match="key of JAX's default kind"):
        hear(cochlea, sound, jax.random.key(0, impl="rbg"))
    with pytest.raises(ValueError, match="0 channels"):
        membrane_filter(0, 100)


def test_the_filter_is_computed_once_and_a_damaged_file_is_named(tmp_path):
    first = cached_membrane_filter(tmp_path, 3, 480)
    (file,) = tmp_path.iterdir()
    age = file.stat().st_mtime_ns
    again = cached_membrane_filter(tmp_path, 3, 480)
    assert file.stat().st_mtime_ns == age
    assert np.array_equal(first.low, again.low)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"is damaged .* remove it, it is computed anew"):
        cached_membrane_filter(tmp_path, 3, 480)
