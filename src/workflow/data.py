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
from workflow.tonic_sets import TONIC_SETS, TonicSet

BLOCK = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder below the data folder, its files with their sha256, and the address they come from."""

    folder: str
    files: dict[str, str]
    address: str

    def ensure(self, data_folder: Path) -> None:
        """Check every file against its checksum, and download those that are missing."""
        for file, checksum in self.files.items():
            path = data_folder / self.folder / file
            refuse_folder(path)
            if not path.is_file():
                download(f"{self.address}/{file}", path)
            if file_digest(path) != checksum:
                raise Fault(
                    f"{path} is not the published file (wrong checksum): remove it, or put the right one there."
                )


@dataclass(frozen=True)
class Local:
    """Files of no public address that a program could use: the sentence says where they come from."""

    files: dict[str, str]
    source: str

    def ensure(self, data_folder: Path) -> None:
        """Check every file against its checksum."""
        for file, checksum in self.files.items():
            path = data_folder / file
            refuse_folder(path)
            if not path.is_file():
                raise Fault(f"{path} is missing: put it there ({self.source}).")
            if file_digest(path) != checksum:
                raise Fault(f"{path} is not the file meant (wrong checksum): remove it, or put the right one there.")


DATASETS: dict[str, Dataset | Local | TonicSet] = {
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
    "fashion-mnist": Dataset(
        folder="fashion-mnist",
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    "heidelberg-digits": Local(
        files={"hd_audio_subset.zip": "368ea9bd2ca3a481f48945384f97403feb6a523476251a1e743205e483c97168"},
        source="2640 FLAC files of the Heidelberg Digits, doi 10.1109/TNNLS.2020.3044364",
    ),
    "heidelberg-spikes-full": Local(
        files={
            "hd_spikes_full/shd_train.h5.zip": "8ff95770ad522aac3b99528cab55fa606a7d23a27d7569a53201f67eb73961f2",
            "hd_spikes_full/shd_test.h5.zip": "03afa451f8987cd6d36b462958cf3c08d886972c82d1d8259801930c49cc59de",
        },
        source="all 10 420 Heidelberg Digits as spikes of 700 channels, doi 10.1109/TNNLS.2020.3044364",
    ),
    "free-spoken-digits": Local(
        files={"fsdd.zip": "05386c7f15cc480f37de149fec9149095b2cfd2af58061cb1062b5e40264905a"},
        source="3000 WAV files of the Free Spoken Digit Dataset, doi 10.5281/zenodo.1342401",
    ),
    "electrocardiograms": Local(
        files={"ecg_qtdb.npz": "a84cb3523f43d9c493f7dc6c983d8a1dd04d4e6827eea61fe4a96de59a8be423"},
        source="events and waves of the QT database, as published with Yin, Corradi and Bohte 2021",
    ),
    "nmnist-small": Local(
        files={
            "nmnist_small_train.zip": "805de38ae6e26377e4adac864d13cc503ce087130c1d3e3bdf0635986a260d09",
            "nmnist_small_test.zip": "7eb4d0721e183cab253afdd1a55ef48e335d06243366fb827ff77f7ab4d90fb3",
        },
        source="training digits 1-1000 and test digits 1-100 of N-MNIST, <label>/<index>.bin in a folder",
    ),
    **TONIC_SETS,
}


def checksums(name: object) -> dict[str, str]:
    """Return the checksums of a dataset's files; none for data that a library brings along."""
    return DATASETS[name].files if isinstance(name, str) and name in DATASETS else {}


def refuse_folder(path: Path) -> None:
    """Stop where a folder has the name of a file."""
    if path.is_dir():
        raise Fault(f"{path} is a folder, and should be a file: remove it, or put the published file there.")


def ensure(name: str, data_folder: Path) -> None:
    """Check every file of a dataset, and fetch those that are missing where there is an address."""
    DATASETS[name].ensure(data_folder)


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
        write_receipt(arguments.dataset, arguments.receipt)
    except Fault as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit(f"{arguments.dataset} was interrupted: the next run fetches what is missing.")
    except OSError as error:
        sys.exit(f"{arguments.dataset} cannot be checked: {error}.")


def write_receipt(dataset: str, receipt: Path) -> None:
    """Write which files were checked, in one step: half a receipt would pass for a whole one."""
    text = "".join(f"{sha}  {file}\n" for file, sha in checksums(dataset).items())
    partial = receipt.with_name(receipt.name + ".partial")
    try:
        receipt.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, receipt)
    except OSError as error:
        raise Fault(f"The receipt {receipt} cannot be written: {error}.") from error


if __name__ == "__main__":
    main()
