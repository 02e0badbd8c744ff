"""Odd and damaged spike files, sounds, folders and arguments from fixed seeds, and what came of each.

python -m tests.tasks.fuzz_data 2000 --seed 0
"""

import gzip
import io
import os
import random
import struct
import warnings
import zipfile

import numpy as np
from tests.tasks.fuzz_sets import MORE
from tests.tasks.fuzzing import Wrong, main

ODD = (0, -1, 1, 3, 0.5, float("nan"), float("inf"), 10**12, 1e-300, "a", None, True)


def damaged(chance, content):
    """The content after something that happens to files, and what happened."""
    how = chance.choice(["nothing"] * 6 + ["bits", "bits", "cut", "zeros", "twice", "noise"]) if content else "nothing"
    content = bytearray(content or b" ")
    place = chance.randrange(len(content))
    if how == "bits":
        for _ in range(chance.choice([1, 1, 4, 30])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del content[place:]
    elif how == "zeros":
        content[place : place + 64] = bytes(len(content[place : place + 64]))
    elif how == "twice":
        content *= 2
    elif how == "noise":
        content = bytearray(chance.randbytes(chance.randint(1, 3000)))
    return bytes(content), how


def spike_file(chance, folder):
    """A file of the SHD layout in which one thing may be odd, as it is, gzipped or in a zip archive."""
    import h5py

    from stablespike.tasks.spike_files import read_recordings

    trials = chance.randint(1, 4)
    times = [sorted(chance.uniform(0, 1) for _ in range(chance.randint(0, 5))) for _ in range(trials)]
    units = [[chance.randrange(700) for _ in some] for some in times]
    fields = {"labels": [chance.randrange(3) for _ in range(trials)], "extra/speaker": [0] * trials}
    fields["extra/keys"] = [b"a", b"b", b"c"]
    odd = chance.choice([None] * len(ODD_FIELDS) + [*ODD_FIELDS])
    if odd:
        name, values = ODD_FIELDS[odd]
        fields[name] = values
    begin, unit = chance.choice([(0, 0)] * 10 + [(np.nan, 0), (-1, 0), (np.inf, 0), (0, 700), (0, 60_000)])
    path = folder / "some.h5"
    with h5py.File(path, "w") as file:
        kind = chance.choice([np.float16, np.float32, np.float64])
        for name, trains, stored in (("times", times, kind), ("units", units, np.uint16)):
            ragged = file.create_dataset(f"spikes/{name}", (trials,), h5py.vlen_dtype(stored))
            for k, train in enumerate(trains):
                ragged[k] = (np.array(train) + (begin if name == "times" else unit)).astype(stored)
        for name, values in fields.items():
            if values is not None and "nothing" not in name:
                file[name] = values
        if chance.random() < 0.1:
            file.attrs["channels"] = chance.choice([0, -3, 1, 10**12, "seven", np.nan, [1, 2], 700])
    content, how = damaged(chance, path.read_bytes())
    form = chance.choice(["", "", ".gz", ".zip"])
    if form == ".gz":
        content, how = damaged(chance, gzip.compress(content))
    elif form == ".zip":
        content, how = damaged(chance, zipped([("some.h5", content)]))
    target = folder / f"packed.h5{form}" if form != ".zip" else folder / "some.h5.zip"
    target.write_bytes(content)

    def read():
        check(read_recordings(target))

    return f"{odd}, times from {begin}, units from {unit}, {form}, {how}", read


ODD_FIELDS = {
    "labels in two dimensions": ("labels", [[0], [1]]),
    "half labels": ("labels", [0.5]),
    "no labels": ("labels", None),
    "many labels": ("labels", [0] * 9),
    "negative labels": ("labels", [-5]),
    "labels of text": ("labels", [b"a"]),
    "huge labels": ("labels", [10**9]),
    "no names": ("extra/keys", None),
    "few names": ("extra/keys", [b"a"]),
    "names in latin-1": ("extra/keys", [b"\xff\xfe", b"b", b"c"]),
    "names that are numbers": ("extra/keys", [1.5]),
    "many speakers": ("extra/speaker", [0] * 9),
    "speakers of text": ("extra/speaker", [b"a"]),
    "no speakers": ("extra/speaker", None),
}


def check(recordings):
    """Raise Wrong for recordings that nobody may work with."""
    if not (np.isfinite(recordings.times).all() and (recordings.times >= 0).all()):
        raise Wrong("times that are none")
    if not ((recordings.channels >= 0) & (recordings.channels < recordings.channel_count)).all():
        raise Wrong("channels that are none")


def there_and_back(chance, folder):
    """Recordings written and read back, with large numbers now and then."""
    from stablespike.tasks.recordings import gather
    from stablespike.tasks.spike_files import read_recordings, write_recordings

    begin = chance.choice([0, 1, 3, 60, 5000, 70_000, 1e9, 1e13, 1e300])
    label, speaker, channel = (chance.choice([0, 1, 65_535, 65_536, 70_000]) for _ in range(3))
    times = begin + 0.01 * np.arange(chance.randint(0, 5))
    classes = tuple(map(str, range(label + chance.choice([1, 2]))))
    who = chance.choice([None, np.array([speaker]), np.array([-1])])
    one = gather([(times, np.full(times.size, channel))], np.array([label]), who, classes, channel + 1)

    def both():
        write_recordings(folder / "x.h5", one, sources=["\udcfc"])
        again = read_recordings(folder / "x.h5")
        if times.size and np.abs(again.times - times).max() > 1e-3:
            raise Wrong("times off by more than 1 ms")
        if not np.array_equal(again.labels, one.labels) or not np.array_equal(again.channels, one.channels):
            raise Wrong("other labels or channels")

    return f"times from {begin}, label {label}, speaker {who}, channel {channel}", both


def packed_sound(chance):
    """Bytes of a sound, whether they can be heard, and what they are."""
    import soundfile

    generator = np.random.default_rng(chance.randrange(2**31))
    rate, size = (
        chance.choice([8000, 16_000, 44_100, 48_000, 1, 999, 11_025, 192_000]),
        chance.choice([0, 1, 2000, 9000]),
    )
    channels, kind = (
        chance.choice([1, 1, 2, 5]),
        chance.choice(["noise"] * 4 + ["silence", "level", "hole", "huge", "contrary"]),
    )
    samples = 0.1 * generator.normal(size=(size, channels))
    if kind == "silence":
        samples[:] = 0
    elif kind == "level":
        samples[:] = 0.3
    elif kind == "hole":
        samples[size // 2 : size // 2 + 1] = np.nan
    elif kind == "huge":
        samples *= 1e30
    elif kind == "contrary":
        samples[:, 1:] = -samples[:, :1]
    forms = [
        ("WAV", "PCM_16"),
        ("WAV", "DOUBLE"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("AIFF", "PCM_16"),
    ]
    forms += [
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("W64", "PCM_16"),
        ("RF64", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
        ("VOC", "PCM_16"),
    ]
    form, subtype = chance.choice(forms)
    if form != "WAV":  # encoders have not asked for what is no sound, and one of them stops the process
        samples = np.clip(np.nan_to_num(samples), -1, 1)
    content = io.BytesIO()
    try:
        soundfile.write(content, samples, rate, format=form, subtype=subtype)
    except Exception:  # a form that has no such rate: what is written then is known to be one
        content, kind, form, size, rate = io.BytesIO(), "noise", "WAV", 2000, 16_000
        soundfile.write(content, 0.1 * generator.normal(size=(size, 1)), rate, format=form, subtype="PCM_16")
    whole = kind == "noise" and size >= 2000 and rate >= 1000 and form != "VOC"
    return content.getvalue(), whole, f"{kind}, {size} samples, {rate} Hz, {form}"


def sound(chance, folder):
    """A sound that is damaged, cut off, or a WAV file whose head does not know its length."""
    from stablespike.tasks.sounds import read_sound

    content, whole, what = packed_sound(chance)
    count = None
    if whole:
        (folder / "whole.wav").write_bytes(content)
        try:
            count = read_sound(folder / "whole.wav").samples.size
        except Exception:  # what came of it is a case of its own
            whole = False
    if content[:4] == b"RIFF" and content[36:40] == b"data" and chance.random() < 0.5:
        riff, data = chance.choice(
            [(0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (2**32 - 1, 2**32 - 1), (36, 0)]
        )
        how = "from a pipe"
        content = content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]
    else:
        content, how = damaged(chance, content)
    (folder / "some.wav").write_bytes(content)

    def read():
        try:
            samples = read_sound(folder / "some.wav").samples
        except RuntimeError as error:
            if whole and how == "from a pipe":
                raise Wrong(f"refused: {error}") from error
            raise
        if not np.isfinite(samples).all():
            raise Wrong("samples that are not finite")
        if whole and how == "cut" and samples.size < count:
            raise Wrong(f"{count - samples.size} samples missing of {what}")

    return f"{what}, {how}", read


NAMES = ("1.wav", "2.WAV", "3.opus", "4.m4a", "5", "6.txt", ".DS_Store", "ü.flac", "\udcfc.wav")
CLASSES = ("one", "fünf", "fu\u0308nf", "two words", "\udcfcx", "..")


def sound_folder(chance, folder):
    """A folder of files with odd names at odd depths: each is used or named."""
    from stablespike.tasks.sounds import labelled_folder

    place, content = folder / "sounds", packed_sound(random.Random(1))[0]
    put = set()
    for _ in range(chance.randint(0, 5)):
        parts = [
            chance.choice(CLASSES[:-1]),
            *(chance.choice(["anna", "ben"]) for _ in range(chance.choice([0, 1, 1, 1, 2]))),
        ]
        path = place.joinpath(*parts[: chance.choice([0, 9, 9, 9, 9])], chance.choice(NAMES))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        put.add(path)

    def label():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            sounds, classes = labelled_folder(place)
        used = {one.source for one in sounds}
        text = " ".join(str(one.message) for one in said)
        silent = [
            path
            for path in put
            if str(path) not in used and os.fsencode(path.name).decode(errors="replace") not in text
        ]
        if silent:
            raise Wrong(f"left out in silence: {silent[0].name}")
        if len({"".join(one.split("\u0308")).replace("ü", "u") for one in classes}) < len(classes):
            raise Wrong(f"one class twice: {classes}")

    return f"{sorted(str(path.relative_to(place)) for path in put)}", label


GOOD = {
    "heidelberg_digits": [
        "lang-english_speaker-00_trial-0_digit-0.flac",
        "x/lang-german_speaker-04_trial-0_digit-9.flac",
    ],
    "free_spoken_digits": ["3_theo_4.wav", "3_theo_5.wav"],
    "nmnist": ["Train/3/1.bin", "Train/4/2.bin"],
}
ODD_MEMBERS = ["lang-french_speaker-00_trial-0_digit-0.flac", "lang-german_speaker-04_trial-0_digit-12.flac", "a.flac"]
ODD_MEMBERS += ["b.txt", "11_theo_4.wav", "x/3_theo_5.wav", "Train/x/1.bin"]


def archive(chance, folder):
    """A zip archive of digits with odd members."""
    name, reader = chance.choice(
        [("sounds", "heidelberg_digits"), ("free_spoken_digits", "free_spoken_digits"), ("event_cameras", "nmnist")]
    )
    content = packed_sound(random.Random(1))[0] if name != "event_cameras" else bytes(chance.choice([0, 5, 7, 25]))
    some = [*GOOD[reader] * 2, *ODD_MEMBERS]
    names = dict.fromkeys(chance.sample(some, chance.randint(0, 3)) if chance.random() < 0.5 else GOOD[reader])
    members = [(member, content) for member in names]
    packed, how = damaged(chance, zipped(members))
    (folder / "some.zip").write_bytes(packed)

    def read():
        module = __import__(f"stablespike.tasks.{name}", fromlist=[reader])
        found = getattr(module, reader)(folder / "some.zip")
        for one in [] if name == "event_cameras" else found[0] if isinstance(found, tuple) else found:
            one.read()

    return f"{reader}, {[member for member, _ in members]}, {how}", read


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, one in members:
            packed.writestr(name, one)
    return content.getvalue()


def hearts(chance, folder):
    """A file of electrocardiograms of other shapes and values."""
    steps = chance.choice([1301] * 8 + [1300, 0])
    events = np.zeros(
        (chance.choice([0, 1, 1, 1, 2]), steps, chance.choice([4] * 8 + [3])), chance.choice([np.int8] * 8 + [float])
    )
    events[..., :1] = chance.choice([1, -1, 0, 0, 2])
    trials, value = chance.choice([len(events)] * 8 + [1]), chance.choice([0, 5, 5, 6, 255])
    labels = np.full((trials, steps), value, chance.choice([np.uint8] * 8 + [np.int64]))
    arrays = {
        f"{side}_{kind}": one for side in ("train", "test") for kind, one in (("events", events), ("labels", labels))
    }
    if chance.random() < 0.2:
        arrays.pop(chance.choice(sorted(arrays)))
    content = io.BytesIO()
    np.savez(content, **arrays)
    content, how = damaged(chance, content.getvalue())
    (folder / "ecg.npz").write_bytes(content)

    def read():
        from stablespike.tasks.electrocardiograms import electrocardiograms

        for one in electrocardiograms(folder / "ecg.npz"):
            check(one.recordings)

    return f"{events.dtype} {events.shape}, {labels.dtype} {labels.shape}, {how}", read


def arguments(chance, folder):
    """What is asked of two trials, with arguments of any kind."""
    from stablespike.tasks import recordings as room

    trains = [(np.array([0.1, 0.2]), np.array([0, 2])), (np.zeros(0), np.zeros(0, int))]
    one = room.gather(trains, np.array([0, 1]), None, ("a", "b"), 3)
    first, second = chance.choice(ODD), chance.choice(ODD)
    calls = {
        "binned": lambda: room.binned(one, first, second),
        "as_events": lambda: room.as_events(one, room=first, time_unit=second),
        "merge_channels": lambda: room.merge_channels(one, first),
        "cut": lambda: room.cut(one, first),
        "select": lambda: room.select(one, np.array([first, second])),
        "trial": lambda: one.trial(first),
    }
    name = chance.choice(sorted(calls))

    def ask():
        found = calls[name]()
        if name == "as_events" and np.isnan(np.asarray(found.times)).any():
            raise Wrong("times that are none")

    return f"{name}, {first!r}, {second!r}", ask


KINDS = (spike_file, spike_file, there_and_back, sound, sound, sound, sound_folder, archive, hearts, arguments, *MORE)


if __name__ == "__main__":
    main("tests.tasks.fuzz_data", KINDS)
