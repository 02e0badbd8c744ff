"""Datasets that come from outside: where their files lie, their checksums, and how to get what is missing."""

import argparse
import os
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from workflow.faults import Fault
from workflow.hashing import file_digest

BLOCK = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder below the data folder, its files with their sha256, and the address they come from."""

    folder: str
    files: dict[str, str]
    address: str


DATASETS = {
    "mnist": Dataset(
        folder="mnist",
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        address="https://ossci-datasets.s3.amazonaws.com/mnist",
    ),
}


def checksums(name: object) -> dict[str, str]:
    """Return the checksums of a dataset's files; none for data that a library brings along."""
    return DATASETS[name].files if isinstance(name, str) and name in DATASETS else {}


def ensure(name: str, data_folder: Path) -> None:
    """Check every file of a dataset against its checksum, and download those that are missing."""
    dataset = DATASETS[name]
    for file, checksum in dataset.files.items():
        path = data_folder / dataset.folder / file
        if not path.is_file():
            download(f"{dataset.address}/{file}", path)
        if file_digest(path) != checksum:
            raise Fault(f"{path} is not the published file (wrong checksum): remove it, or put the right one there.")


def download(address: str, path: Path) -> None:
    """Fetch one file; a broken transfer leaves nothing that looks like it."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(address, timeout=30) as source, partial.open("wb") as target:
            total = int(source.headers.get("Content-Length") or 0) or None
            with tqdm(total=total, unit="B", unit_scale=True, desc=path.name) as progress:
                while block := source.read(BLOCK):
                    target.write(block)
                    progress.update(len(block))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Fault(f"{path} is missing and cannot be downloaded from {address} ({error}): put it there.") from error


def main() -> None:
    """Check or fetch one dataset, then write the receipt that the rules wait for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("receipt", type=Path)
    arguments = parser.parse_args()
    try:
        ensure(arguments.dataset, arguments.data_folder)
    except Fault as fault:
        sys.exit(str(fault))
    arguments.receipt.write_text("".join(f"{sha}  {file}\n" for file, sha in checksums(arguments.dataset).items()))


if __name__ == "__main__":
    main()
