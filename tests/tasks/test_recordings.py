"""One interface for spikes of all sets: selection, bins, events, splits by speaker, augmentation, files."""

import io
import os
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stablespike.dynamics.spikes import Spikes
from stablespike.tasks.augmentation import (
    ChannelDrop,
    ChannelJitter,
    ChannelShift,
    InTurn,
    TimeJitter,
    TimeStretch,
    blend,
    frames,
)
from stablespike.tasks.dataset_error import DatasetError
from stablespike.tasks.recordings import Recordings, as_events, binned, cut, gather, merge_channels, select
from stablespike.tasks.speaker_splits import Split, by_speakers, hold_out_speakers, unseen
from stablespike.tasks.spike_files import read_recordings, write_recordings

needs_data = pytest.mark.skipif("STABLESPIKE_DATA" not in os.environ, reason="STABLESPIKE_DATA names no folder of data")


@pytest.fixture
def recordings():
    """Six trials of three speakers, the second one without spikes."""
    generator = np.random.default_rng(0)
    trains = [(generator.uniform(0, 1, n), generator.integers(0, 8, n)) for n in (5, 0, 3, 9, 1, 4)]
    return gather(trains, np.array([0, 1, 0, 1, 0, 1]), np.array([7, 7, 8, 8, 9, 9]), ("no", "yes"), 8)


def test_selecting_and_binning_keep_every_spike(recordings):
    assert recordings.counts.tolist() == [5, 0, 3, 9, 1, 4]
    counts = binned(recordings, 10, 1.0)
    assert counts.sum((1, 2)).tolist() == recordings.counts.tolist()
    chosen = select(recordings, np.array([3, 1, 0]))
    assert np.array_equal(binned(chosen, 10, 1.0), counts[[3, 1, 0]])
    assert np.array_equal(chosen.trial(-1)[0], recordings.trial(0)[0])
    merged = binned(merge_channels(recordings, 2), 10, 1.0)
    assert np.array_equal(merged, np.stack([counts[..., :4].sum(-1), counts[..., 4:].sum(-1)], -1))


def test_bins_do_not_drop_spikes_in_silence(recordings):
    with pytest.raises(ValueError, match=r"lies beyond the 0\.5 s of the bins: make them longer, or cut first"):
        binned(recordings, 10, 0.5)
    early = cut(recordings, 0.5)
    assert binned(early, 10, 0.5).sum() == (recordings.times < 0.5).sum()
    assert early.counts.sum() == early.times.size


def test_events_are_padded_and_measured_in_the_given_unit(recordings):
    spikes = as_events(recordings, time_unit=0.01)
    assert spikes.times.shape == (6, 9)
    assert np.array_equal(spikes.count, recordings.counts)
    np.testing.assert_allclose(spikes.times[2, :3], recordings.trial(2)[0] / 0.01)
    with pytest.raises(ValueError, match="9 spikes, which do not fit into a room of 4"):
        as_events(recordings, room=4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": np.array([0, 2])}, "Label 2 of a recording is none of the 2 classes"),
        ({"channels": np.array([0, 3, 1])}, "channels beyond its 3"),
        ({"times": np.array([0.2, 0.1, 0.3])}, "must ascend"),
        ({"times": np.array([0.1, np.nan, 0.3])}, "finite and not negative"),
        ({"offsets": np.array([0, 2, 4])}, "offsets from 0 to the last"),
    ],
)
def test_contradictions_are_named(change, sentence):
    whole = {
        "times": np.array([0.1, 0.2, 0.05]),
        "channels": np.array([0, 2, 1]),
        "offsets": np.array([0, 2, 3]),
        "labels": np.array([0, 1]),
        "speakers": np.array([1, 2]),
    }
    Recordings(**whole, classes=("a", "b"), channel_count=3)
    with pytest.raises(ValueError, match=sentence):
        Recordings(**(whole | change), classes=("a", "b"), channel_count=3)


@pytest.mark.parametrize(
    ("channels", "label", "speaker", "sentence"),
    [
        ([1.9], 0, 0, r"Channels of recordings must be whole numbers of 4 bytes, not \[1\.9\]"),
        ([2**32 + 1], 0, 0, "Channels of recordings must be whole numbers of 4 bytes"),
        ([1], 0.9, 0, "Labels of recordings must be whole numbers"),
        ([1], "0", 0, "Labels of recordings must be whole numbers, not <U1"),
        ([1], 0, np.nan, r"Speakers of recordings must be whole numbers of 8 bytes, not \[nan\]"),
        ([1, 1], 0, 0, "Trial 0 needs a list of times and as long a list of channels"),
    ],
)
def test_nothing_is_rounded_to_whole_numbers(channels, label, speaker, sentence):
    with pytest.raises(ValueError, match=sentence):
        gather([(np.array([0.1]), np.array(channels))], np.array([label]), np.array([speaker]), ("a",), 3)
    whole = gather([(np.array([0.1]), np.array([1.0]))], np.array([0.0]), None, ("a",), 3)
    assert whole.channels.dtype == np.int32


def test_only_trials_that_exist_are_given(recordings):
    assert np.array_equal(recordings.trial(-6)[0], recordings.trial(0)[0])
    for index in (6, -7):
        with pytest.raises(ValueError, match=f"There is no trial {index} among 6 recordings"):
            recordings.trial(index)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_times_that_measure_nothing_are_refused(recordings, wrong):
    with pytest.raises(ValueError, match="time_unit must be positive"):
        as_events(recordings, time_unit=wrong)
    with pytest.raises(ValueError, match="give a time after 0"):
        cut(recordings, wrong)
    for duration in (wrong, np.inf):
        with pytest.raises(ValueError, match="duration must be positive and finite"):
            binned(recordings, 10, duration)
    assert cut(recordings, np.inf).times.size == recordings.times.size


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("steps", "interval"), [(200, 0.005), (784, 0.001)])
def test_a_spike_on_an_edge_is_counted_behind_it(dtype, steps, interval):
    for times in (interval * np.arange(steps), np.arange(steps) / round(1 / interval)):
        edges = gather([(times, np.zeros(steps, int))], np.array([0]), None, ("a",), 1, dtype=dtype)
        assert (binned(edges, steps, interval * steps) == 1).all()
        spikes = Spikes(jnp.asarray(edges.times), jnp.asarray(edges.channels))
        assert (frames(spikes, steps, interval * steps, 1) == 1).all()


def test_speakers_are_kept_apart(recordings):
    train, validation = unseen(hold_out_speakers(recordings, np.random.default_rng(0), part=0.3))
    assert not set(train.speakers) & set(validation.speakers)
    assert len(train) + len(validation) == 6
    with pytest.raises(ValueError, match=r"Speakers 7, 8, 9 are in the training set and in the test set"):
        unseen(Split(recordings, recordings))
    with pytest.raises(ValueError, match="No recordings of speakers 5"):
        by_speakers(recordings, [5])
    with pytest.raises(ValueError, match="nobody is left to learn from"):
        by_speakers(recordings, [7, 8, 9])
    with pytest.raises(ValueError, match="the test set would be empty"):
        by_speakers(recordings, [])


@pytest.fixture
def spikes():
    times = jnp.asarray([0.1, 0.2, 0.4, 0.8, jnp.inf])
    return Spikes(times, jnp.asarray([0, 3, 3, 7, 0], jnp.int32))


@pytest.mark.parametrize(
    "augmentation",
    [
        TimeJitter(0.3),
        ChannelJitter(2.0, 8),
        ChannelShift(4, 8),
        ChannelDrop(0.5, 8),
        TimeStretch(0.5, 2.0),
        InTurn((TimeJitter(0.1), ChannelDrop(0.2, 8))),
    ],
)
def test_augmented_trials_are_trials_and_depend_on_the_key_alone(augmentation, spikes):
    keys = jax.random.split(jax.random.key(0), 20)
    augmented = jax.jit(jax.vmap(augmentation, (0, None)))
    changed, again = augmented(keys, spikes), augmented(keys, spikes)
    assert np.array_equal(changed.times, again.times)
    assert not np.array_equal(changed.times[0], changed.times[1]) or not np.array_equal(*changed.sources[:2])
    assert (changed.times[:, 1:] >= changed.times[:, :-1]).all()
    assert (changed.times >= 0).all()
    assert ((changed.sources >= 0) & (changed.sources < 8)).all()
    assert (changed.count <= 4).all()


def test_the_smallest_augmentations_change_nothing(spikes):
    key = jax.random.key(0)
    for same in (
        TimeJitter(0.0),
        ChannelJitter(0.0, 8),
        ChannelShift(0, 8),
        ChannelDrop(0.0, 8),
        TimeStretch(1.0, 1.0),
    ):
        changed = jax.jit(same)(key, spikes)
        assert np.array_equal(changed.times, spikes.times)
        assert np.array_equal(changed.sources[:4], spikes.sources[:4])
    assert ChannelDrop(1.0, 8)(key, spikes).count == 0


@pytest.mark.parametrize(
    ("augmentation", "sentence"),
    [
        (lambda: TimeJitter(np.nan), "deviation must be finite and not negative, not nan"),
        (lambda: ChannelJitter(-1.0, 8), "deviation must be finite and not negative"),
        (lambda: ChannelJitter(1.0, 0), "channels must be positive"),
        (lambda: ChannelShift(-1, 8), "largest must be finite and not negative"),
        (lambda: ChannelShift(1, 0), "channels must be positive"),
        (lambda: ChannelDrop(1.5, 8), "probability must lie between 0 and 1"),
        (lambda: ChannelDrop(0.5, 0), "channels must be positive"),
        (lambda: TimeStretch(0.0, 1.0), "least must be positive"),
        (lambda: TimeStretch(-1.0, 1.0), "least must be positive"),
        (lambda: TimeStretch(2.0, 1.0), "least must not be above most"),
    ],
)
def test_augmentations_that_cannot_be_meant_are_refused(augmentation, sentence):
    with pytest.raises(ValueError, match=sentence):
        augmentation()


@pytest.mark.parametrize("augmentation", [ChannelJitter(9.0, 3), ChannelShift(9, 3), ChannelDrop(0.0, 3)])
def test_spikes_beside_the_channels_are_named_or_lost(augmentation, spikes):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="comes from none of the 3 channels"):
        augmentation(key, spikes)
    few = jax.jit(jax.vmap(augmentation, (0, None)))(jax.random.split(key, 20), spikes)
    assert set(few.times.ravel().tolist()) == {0.1, np.inf}


def test_a_blend_of_a_trial_with_itself_thins_it_twice(spikes):
    keys = jax.random.split(jax.random.key(1), 400)
    mixed = jax.jit(jax.vmap(lambda key: blend(key, spikes, spikes, 8)))(keys)
    assert mixed.count.mean() == pytest.approx(4, abs=0.2)
    real = np.asarray(mixed.real)
    np.testing.assert_allclose(np.unique(np.round(np.asarray(mixed.times)[real], 9)), [0.1, 0.2, 0.4, 0.8])
    silent = Spikes(jnp.full(5, jnp.inf), jnp.zeros(5, jnp.int32))
    assert jax.jit(blend, static_argnums=3)(keys[0], spikes, silent, 8).count <= 4


def test_frames_inside_jit_are_those_of_the_recordings(recordings):
    events = as_events(recordings)
    found = jax.jit(jax.vmap(lambda one: frames(one, 10, 1.0, 8)))(events)
    assert np.array_equal(found, binned(recordings, 10, 1.0))


@pytest.mark.parametrize(
    ("time", "source", "sentence"),
    [(-0.2, 0, "Spikes before 0"), (0.2, -1, "none of the 3"), (0.2, 3, "none of the 3")],
)
def test_frames_count_nothing_in_a_wrong_place(time, source, sentence):
    one = Spikes(jnp.asarray([time, 0.5]), jnp.asarray([source, 1], jnp.int32))
    with pytest.raises(ValueError, match=sentence):
        frames(one, 10, 1.0, 3)
    assert jax.jit(lambda spikes: frames(spikes, 10, 1.0, 3))(one).sum() == 1
    with pytest.raises(ValueError, match="duration must be positive and finite"):
        frames(one, 10, jnp.inf, 3)


def test_files_of_the_shd_layout_are_read_back_and_by_tonic(recordings, tmp_path):
    tonic = pytest.importorskip("tonic.datasets")
    for side in ("train", "test"):
        path = tmp_path / "SHD" / f"shd_{side}.h5"
        write_recordings(path, recordings, sources=["here"] * 6, attributes={"parameters": "{}"})
        path.with_suffix(".h5.zip").touch()
    again = read_recordings(tmp_path / "SHD" / "shd_train.h5")
    assert again.channel_count == 8
    assert again.classes == ("no", "yes")
    for field in ("labels", "speakers", "offsets"):
        assert np.array_equal(getattr(again, field), getattr(recordings, field))
    np.testing.assert_allclose(again.times, recordings.times, rtol=5e-4)
    theirs = tonic.SHD(str(tmp_path), train=True)
    events, label = theirs[3]
    assert label == 1
    assert np.array_equal(events["x"], again.trial(3)[1])
    assert np.array_equal(theirs.speaker, recordings.speakers)
    assert not list(tmp_path.rglob("*.partial"))


def test_damaged_files_are_named(recordings, tmp_path):
    path = tmp_path / "some.h5"
    with pytest.raises(DatasetError, match=r"some\.h5 is missing: put the HDF5 file of spike trains there"):
        read_recordings(path)
    write_recordings(path, recordings)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"some\.h5 is damaged or not in the layout of SHD"):
        read_recordings(path)
    (tmp_path / "some.h5.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DatasetError, match="is damaged or not in the layout"):
        read_recordings(tmp_path / "some.h5.zip")


def test_wrong_labels_in_a_file_are_named(recordings, tmp_path):
    import h5py

    path = tmp_path / "wrong.h5"
    write_recordings(path, recordings)
    with h5py.File(path, "a") as file:
        file["labels"][0] = 5
    with pytest.raises(DatasetError, match="contradicts itself: Label 5 of a recording is none of the 2 classes"):
        read_recordings(path)
    with h5py.File(path, "a") as file:
        labels = file["labels"][:] + 0.5
        del file["labels"]
        file["labels"] = labels
    with pytest.raises(DatasetError, match="labels must be one whole number a trial, not float64"):
        read_recordings(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("labels", None, "damaged or not in the layout"),
        ("labels", np.zeros(0, int), "holds no trials"),
        ("spikes/times", np.zeros(6), "Trial 0 needs a list of times"),
        ("spikes/units", np.full((6, 1), 0.5), "Trial 0 needs a list of times"),
        ("extra/keys", np.arange(2), "damaged or not in the layout"),
    ],
)
def test_other_layouts_are_named(name, content, sentence, recordings, tmp_path):
    import h5py

    path = tmp_path / "other.h5"
    write_recordings(path, recordings)
    with h5py.File(path, "a") as file:
        del file[name]
        if content is None:
            file.create_group(name)
        else:
            file[name] = content
        if not np.size(content):
            del file["spikes"]
            file["spikes/times"] = file["spikes/units"] = np.zeros((0, 1))
    with pytest.raises(DatasetError, match=sentence):
        read_recordings(path)


@needs_data
def test_the_mini_spike_set_is_read_from_its_zip_archives():
    folder = pathlib.Path(os.environ["STABLESPIKE_DATA"]) / "hd_spikes_mini"
    test = read_recordings(folder / "shd_test.h5.zip")
    assert np.bincount(test.labels).tolist() == [4] * 20
    assert np.unique(test.speakers).tolist() == [4, 5]
    assert test.counts.mean() == pytest.approx(5663.6, abs=0.1)
    assert test.classes[15] == "fünf"
    assert test.channel_count == 700


def test_a_zip_archive_is_read_like_its_content(recordings, tmp_path):
    path = tmp_path / "small.h5"
    write_recordings(path, recordings)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, path.name)
    (tmp_path / "small.h5.zip").write_bytes(packed.getvalue())
    assert np.array_equal(read_recordings(tmp_path / "small.h5.zip").times, read_recordings(path).times)
