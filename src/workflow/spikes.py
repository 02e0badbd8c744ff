"""Spikes that are made, not fetched: sets that a cochlea has to hear before a notebook can use them."""

import argparse
import sys
from functools import cache
from pathlib import Path

from tqdm import tqdm

from workflow.faults import Fault
from workflow.fingerprint import module_hashes
from workflow.hashing import digest

SETS = "stablespike.tasks.spoken_digits"  # under its first name, if it was moved since
MADE = (
    "synthetic-small",
    "synthetic",
    "heidelberg-digits",
    "free-spoken-digits",
)  # those that are converted; the others are read


@cache
def cache_folder() -> Path:
    """Return where converted spikes lie; the name changes with the code that makes them."""
    return Path(".cache/spikes", digest(module_hashes(SETS))[:12])


def prepare(name: str, data_folder: Path) -> dict[str, int]:
    """Make one set, or find it made, and return how many trials it has."""
    from stablespike.tasks.dataset_error import DatasetError
    from stablespike.tasks.named_sets import NAMED_SETS, Places

    try:
        split = NAMED_SETS[name](Places(data_folder, cache_folder(), lambda trials: tqdm(trials, desc=name)))
    except (DatasetError, ValueError) as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(f"The spikes of {name} can't be kept in {cache_folder()} ({error}): make room there.") from error
    return {"train": len(split.train), "test": len(split.test)}


def convert(folder: Path, file: Path, channels: int) -> None:
    """Turn a folder of labelled sound files into spikes in the layout of SHD."""
    from stablespike.tasks.cochlea.recordings import convert_folder

    from stablespike.tasks.dataset_error import DatasetError

    try:
        convert_folder(folder, file, channels=channels, progress=lambda sounds: tqdm(sounds, desc=folder.name))
    except (DatasetError, ValueError) as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(f"The spikes of {folder} can't be written to {file} ({error}): make room there.") from error


def write_receipt(file: Path, found: dict[str, int]) -> None:
    """Say how many trials there are, for the rules that wait for them."""
    try:
        file.write_text("".join(f"{side}: {trials} trials\n" for side, trials in found.items()))
    except OSError as error:
        raise Fault(f"The receipt {file} can't be written ({error}): make room for it.") from error


def main() -> None:
    """Make a named set and write its receipt, or convert a folder of sounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    named = kinds.add_parser("named")
    named.add_argument("name", choices=MADE)
    named.add_argument("data_folder", type=Path)
    named.add_argument("receipt", type=Path)
    sounds = kinds.add_parser("sounds")
    sounds.add_argument("folder", type=Path)
    sounds.add_argument("file", type=Path)
    sounds.add_argument("--channels", type=int, default=700)
    chosen = parser.parse_args()
    try:
        if chosen.kind == "sounds":
            convert(chosen.folder, chosen.file, chosen.channels)
            return
        write_receipt(chosen.receipt, prepare(chosen.name, chosen.data_folder))
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
