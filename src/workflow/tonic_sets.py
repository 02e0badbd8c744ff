"""Published neuromorphic sets, fetched by tonic into a folder of their own until they are whole and checked.

tonic takes any archive of the right name for the right one, a partial one too, and counts extracted files. So nothing
is moved to where it looks before its checksum was compared here and everything was extracted.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow.faults import Fault
from workflow.hashing import md5_digest

WHOLE = ".whole"


@dataclass(frozen=True)
class TonicSet:
    """A class of `tonic.datasets`, and for each archive its md5 and the arguments with which the class fetches it."""

    kind: str
    archives: Mapping[str, tuple[str, Mapping[str, Any]]]

    @property
    def files(self) -> dict[str, str]:
        """The archives with their checksums."""
        return {name: md5 for name, (md5, _) in self.archives.items()}

    def ensure(self, data_folder: Path) -> None:
        """Check every archive, fetch those that are missing, and extract those that were not."""
        place = data_folder / self.kind
        for name, (md5, choice) in self.archives.items():
            archive = place / name
            if archive.is_dir():
                raise Fault(f"{archive} is a folder, not the published file: remove it, or put the file there.")
            if archive.is_file() and _checksum(archive) != md5:
                raise Fault(
                    f"{archive} is not the published file (wrong checksum): remove it, or put the right one there."
                )
            if not (archive.is_file() and archive.with_name(name + WHOLE).is_file()):
                try:
                    self.complete(archive, md5, choice)
                except (OSError, RuntimeError, ImportError) as error:
                    what = "can't be extracted" if archive.is_file() else "is missing and cannot be downloaded"
                    raise Fault(f"{archive} {what} by tonic ({error}): put it there.") from error

    def complete(self, archive: Path, md5: str, choice: Mapping[str, Any]) -> None:
        """Let tonic fetch and extract one archive elsewhere, then move what came of it to its place."""
        import tonic.datasets  # an optional part of the installation

        place = archive.parent
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=place.parent) as folder:
            fresh = Path(folder, self.kind)
            fresh.mkdir()
            if archive.is_file():
                (fresh / archive.name).symlink_to(archive.resolve())
            getattr(tonic.datasets, self.kind)(folder, **choice)
            if md5_digest(fresh / archive.name) != md5:
                raise RuntimeError("what arrived is not the published file")
            for entry in sorted(fresh.iterdir()):
                if not entry.is_symlink():
                    os.replace(entry, place / entry.name)
        archive.with_name(archive.name + WHOLE).touch()


def _checksum(archive: Path) -> str:
    try:
        return md5_digest(archive)
    except OSError as error:
        raise Fault(f"{archive} can't be read ({error}): make it readable, or put the file there anew.") from error


def _halves(kind: str, names: tuple[str, str], checksums: tuple[str, str]) -> TonicSet:
    choices = ({"train": True}, {"train": False})
    pairs = zip(names, zip(checksums, choices, strict=True), strict=True)
    return TonicSet(kind, dict(pairs))


TONIC_SETS = {
    "shd": _halves(
        "SHD",
        ("shd_train.h5.zip", "shd_test.h5.zip"),
        ("f3252aeb598ac776c1b526422d90eecb", "1503a5064faa34311c398fb0a1ed0a6f"),
    ),
    "ssc": TonicSet(
        "SSC",
        {
            "ssc_train.h5.zip": ("d102be95e7144fcc0553d1f45ba94170", {"split": "train"}),
            "ssc_valid.h5.zip": ("b4eee3516a4a90dd0c71a6ac23a8ae43", {"split": "valid"}),
            "ssc_test.h5.zip": ("a35ff1e9cffdd02a20eb850c17c37748", {"split": "test"}),
        },
    ),
    "nmnist": _halves(
        "NMNIST",
        ("train.zip", "test.zip"),
        ("20959b8e626244a1b502305a9e6e2031", "69ca8762b2fe404d9b9bad1103e97832"),
    ),
    "dvs-gesture": _halves(
        "DVSGesture",
        ("ibmGestureTrain.tar.gz", "ibmGestureTest.tar.gz"),
        ("3a8f0d4120a166bac7591f77409cb105", "56070e45dadaa85fff82e0fbfbc06de5"),
    ),
}
