"""What a training leaves for its analysis, as one small archive that is committed with the results.

Raw files lie in `raw/`, which git ignores. The archive beside it holds those that the analysis needs, so that a figure
changed in a fresh clone is drawn again without training; where they are larger than a bound it holds their names only.
"""

import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from workflow.faults import Fault
from workflow.hashing import file_digest

KEPT = "kept.zip"
LARGEST = 2_000_000  # bytes of an archive
MANIFEST = "raw/manifest.json"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is written


def keep(folder: Path, patterns: Sequence[str]) -> None:
    """Write the archive of the raw files whose names match; only their list where they are too large together."""
    archive, manifest = folder / KEPT, folder / MANIFEST
    chosen = [name for name in manifest_of(folder) if any(fnmatch(name, pattern) for pattern in patterns)]
    write_archive(archive, [manifest, *(manifest.parent / name for name in chosen)], manifest.parent)
    if (size := archive.stat().st_size) > LARGEST:
        print(
            f"{folder}: the files for the analysis take {size / 1e6:.1f} MB and only {LARGEST / 1e6:.0f} MB is kept in"
            f" git: another clone has to train before it can analyse, unless fewer are named under kept in config/.",
            file=sys.stderr,
        )
        write_archive(archive, [manifest], manifest.parent)


def write_archive(archive: Path, files: Sequence[Path], folder: Path) -> None:
    """Write files into an archive, the same bytes for the same files."""
    with ZipFile(archive, "w", ZIP_DEFLATED) as stream:
        for file in files:
            entry = ZipInfo(file.relative_to(folder).as_posix(), MOMENT)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            stream.writestr(entry, file.read_bytes())


def manifest_of(folder: Path) -> dict[str, str]:
    """Return the hashes of the files that a training left, by name."""
    manifest = folder / MANIFEST
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Fault(f"{manifest} cannot be read ({error}): remove it to train again.") from error
    if not isinstance(found, dict):
        raise Fault(f"{manifest} is no list of files with their hashes: remove it to train again.")
    return found


def kept_names(folder: Path) -> set[str]:
    """Return the names of the raw files in an archive; none where there is no archive that can be read."""
    try:
        with ZipFile(folder / KEPT) as stream:
            return set(stream.namelist()) - {Path(MANIFEST).name}
    except (OSError, BadZipFile):
        return set()


def restore(folder: Path) -> None:
    """Take the raw files out of the archive, where they are not there."""
    if (folder / MANIFEST).is_file() or not kept_names(folder):
        return
    with ZipFile(folder / KEPT) as stream:
        stream.extractall((folder / MANIFEST).parent)


def check(folder: Path) -> None:
    """Raise a Fault if a file that a training left is gone or is another one; one that was not kept may be gone."""
    manifest, kept = folder / MANIFEST, kept_names(folder)
    for name, expected in manifest_of(folder).items():
        file = manifest.parent / name
        if file.is_file() and file_digest(file) == expected:
            continue
        if file.is_file() or not kept or name in kept:
            raise Fault(f"{file} is not what {folder.name} wrote: remove {manifest} to train again.")
