"""More odd files from fixed seeds: parts of spike files, archives of cameras, images, touched letters, trains.

They are kinds of `tests.tasks.fuzz_data`.
"""

import gzip
import io
import math
import struct
import zipfile

import numpy as np
from tests.tasks.fuzzing import Wrong

NUMBERS = [0, -1, 1, 3, 0.5, math.nan, math.inf, 10**12, 2**63, -(2**63), 2**70, 1e300, True]


def sane(found):
    """Refuse recordings with times or channels that are none."""
    if not (np.isfinite(found.times).all() and (found.times >= 0).all() and (found.channels >= 0).all()):
        raise Wrong("times or channels that are none")


def packed(members):
    """An archive of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


ODD_PARTS = {
    "labels": [np.zeros((2, 1)), np.array([0.5, 1]), np.zeros(1), np.array([b"a", b"b"]), np.array([10**9, 1]), 3.0],
    "extra/speaker": [np.zeros(9, np.uint16), np.array([b"x", b"y"]), np.array([-1, 0]), 0],
    "extra/keys": [np.array([b"a"]), np.array([b"\xff\xfe", b"b"]), np.array([1, 2, 3]), b"a"],
    "extra": [np.zeros(3), 1.0],
    "spikes/times": [3.0, np.zeros((2, 3)), np.array([b"0.1", b"0.2"]), np.zeros(0)],
    "spikes/units": [3, np.zeros((2, 3), int), np.zeros(2)],
}
ODD_CHANNELS = [0, -3, 1, 10**12, "seven", math.nan, [1, 2], 700]


def part_of_spikes(chance, folder):
    """A file of spikes of which a part is another one, or gone."""
    import h5py

    from stablespike.tasks.spike_files import read_recordings

    path, part = folder / "some.h5", chance.choice([*sorted(ODD_PARTS), "channels", "nothing"])
    choice = chance.choice([*ODD_PARTS.get(part, ODD_CHANNELS), None])
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
            rows[0], rows[1] = np.array([0.25, 0.5], kind), np.array([1], kind)
        file["labels"] = np.array([0, 1])
        if part in file:
            del file[part]
        if part == "channels" and choice is not None:
            file.attrs["channels"] = choice
        elif part in ODD_PARTS and choice is not None:
            file[part] = choice
    count = chance.choice([None, None, 700, 0, -1, 2.5, "x", 2**40])
    return f"{part} = {choice!r}, {count!r}", lambda: sane(read_recordings(path, channel_count=count))


def camera(chance, folder):
    """An archive of the events of a camera, of any bytes and names."""
    from stablespike.tasks.event_cameras import nmnist

    names = ["Train/{0}/{1:05d}.bin", "{0}/{1}.bin", "{1}.bin", "x/ten/{1}.bin", "../../{1}/1.bin", "Train/3/readme"]
    names, sizes = chance.choice([(names[:1], [0, 5, 10]), (names, [0, 5, 7, 10, 25])])
    members = [
        (chance.choice(names).format(chance.randrange(10), k), bytes(chance.choices(range(34), k=chance.choice(sizes))))
        for k in range(chance.randint(1, 4))
    ]
    (folder / "some.zip").write_bytes(packed(members))
    return f"{members}", lambda: sane(nmnist(folder / "some.zip"))


def images(chance, folder):
    """A file of images or labels whose head and body may not fit."""
    from stablespike.tasks.image_files import idx_array

    magic = chance.choice([2051, 2049])
    sizes = [chance.choice([0, 1, 2, 28, -1, 2**31 - 1, 65536]) for _ in range(magic % 256)]
    body = chance.randbytes(max(0, min(math.prod(max(n, 0) for n in sizes), 3000) + chance.choice([0, 0, 1, -1])))
    head = struct.pack(f">{1 + len(sizes)}i", chance.choice([magic, magic, 7]), *sizes)
    content = gzip.compress(chance.choice([head + body, head + body, head, head[:7], b""]))
    return f"{magic} {sizes} {len(body)}", lambda: idx_array(content[: chance.choice([None, 9])], magic, "some.gz")


def touched_letters(chance, folder):
    """A file of touched letters with odd arrays, steps and rates."""
    from stablespike.tasks.braille import braille

    trials = chance.randint(0, 4)
    arrays = {"taxel": np.random.default_rng(1).normal(size=(5 * trials, 12)) * 50, "label": np.arange(trials) % 3}
    arrays |= {"offsets": np.arange(trials + 1) * 5, "letters": np.array(list("abc"))}
    odd = {
        "letters": [np.array([{"a": 1}, None], object), np.array(5)],
        "label": [np.array(["x"] * trials), np.array(100)],
        "taxel": [arrays["taxel"][:, :5], *(arrays["taxel"] * factor for factor in (1e6, math.nan, math.inf))],
        "offsets": [arrays["offsets"][::-1], arrays["offsets"] + 0.5, arrays["offsets"] - 3],
    }
    name, how = chance.choice(sorted(arrays)), chance.choice(["whole", "odd", "odd", "gone"])
    if how == "odd":
        arrays[name] = chance.choice(odd[name])
    if how == "gone":
        del arrays[name]
    np.savez(folder / "some.npz", **arrays)
    step, rate = chance.choice([1.0] * 9 + [0.0, -1.0, math.nan, 0.01]), chance.choice([40.0] * 9 + [0, -1, math.inf])
    return f"{name} {how} {step} {rate}", lambda: sane(braille(folder / "some.npz", step=step, frame_rate=rate))


def gathered(chance, folder):
    """Trains put together, whose times, channels, labels and speakers may be odd."""
    from stablespike.tasks.recordings import gather

    times, channels = [0.0, 0.1, 0.5, -0.1, math.nan, math.inf, 1e300, 3], [0, 1, 2, 5, -1, 1.5, 2**40, math.nan]
    least, trains = chance.choice([3, 8]), []
    for _ in range(chance.randint(0, 3)):
        n = chance.randint(0, 4)
        trains.append((np.array(chance.choices(times[:least], k=n)), np.array(chance.choices(channels[:least], k=n))))
    labels = np.array(chance.choices([0, 1, 0, 1, -1, 5, 0.5][: least - 1], k=len(trains)))
    speakers = chance.choice([None, labels, np.zeros(len(trains) + 1), np.array(["a"] * len(trains))])
    given = (trains, labels, speakers, ("a", "b"), chance.choice([3, 3, 0, -1, 1]))
    return f"{given}", lambda: sane(gather(*given))


def large_numbers(chance, folder):
    """What is asked of two trials, with numbers beyond those of machines."""
    from stablespike.tasks import recordings as room

    one = room.gather(
        [(np.array([0.1]), np.array([0])), (np.zeros(0), np.zeros(0, int))], np.zeros(2, int), None, ("a",), 3
    )
    first, second = chance.choice(NUMBERS), chance.choice(NUMBERS)
    calls = {
        "binned": lambda: room.binned(one, first, second),
        "as_events": lambda: room.as_events(one, room=first, time_unit=second),
        "merge_channels": lambda: sane(room.merge_channels(one, first)),
        "cut": lambda: sane(room.cut(one, first)),
    }
    name = chance.choice(sorted(calls))
    return f"{name} {first!r} {second!r}", calls[name]


MORE = (part_of_spikes, camera, images, touched_letters, gathered, large_numbers)
