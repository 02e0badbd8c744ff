"""The packages of this environment: their licences, and whether they are those of the lock, from metadata alone.

`./reproduce dependencies` writes both lists; no network is asked. Known weaknesses of a version stand in databases on
the network and are not looked for here: what an auditor of those wants is the lock, `envs/<name>.lock.txt`.
"""

import argparse
import base64
import csv
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tqdm import tqdm

from workflow.machine import lock_in_use

OWN = ("stablespike",)
INSTALLERS = ("pip", "setuptools")  # venv brings them; the set-up needs pip once
# The first that a licence's text has decides; "gpl" is in "lgpl" and "agpl", "mit" in many a word.
KINDS = {
    "weak copyleft": r"lgpl|lesser general|mpl|mozilla|epl|eclipse",
    "copyleft": r"gpl|general public",
    "proprietary": r"proprietary|nvidia|eula|commercial",
    "permissive": r"\bmit\b|bsd|apache|isc|python|psf|zlib|unlicense|public domain|cc0|hpnd|boost|bsl|0bsd|ofl",
}
CLASSIFIER = "License :: "


@dataclass(frozen=True)
class Package:
    """An installed package with the licence that it states, in its words, and what kind of licence that is."""

    name: str
    version: str
    licence: str
    address: str

    @property
    def kind(self) -> str:
        """One of `KINDS`, or unknown; of a choice of licences the first kind that the text has."""
        return next((kind for kind, words in KINDS.items() if re.search(words, self.licence.lower())), "unknown")


def installed() -> dict[str, Distribution]:
    """Return the packages of this environment by name."""
    found = {canonicalize_name(one.metadata["Name"]): one for one in distributions() if one.metadata["Name"]}
    return dict(sorted(found.items()))


def described(distribution: Distribution) -> Package:
    """Return what a package says of itself."""
    about = distribution.metadata

    def said(field: str) -> str:
        return next(iter(about.get_all(field, [])), "")

    classifiers = [line.removeprefix(CLASSIFIER) for line in about.get_all("Classifier", []) if CLASSIFIER in line]
    named = [line.rpartition(" :: ")[2] for line in classifiers if line != "OSI Approved"]
    stated = said("License-Expression") or " ".join(named) or said("License") or enclosed(distribution)
    links = [line.partition(", ")[2] for line in about.get_all("Project-URL", [])]
    address = said("Home-page") or next(iter(links), "")
    return Package(about["Name"], distribution.version, first_line(stated), address)


def first_line(text: str) -> str:
    """Return the first line that is not empty, or the beginning of it."""
    return next((line.strip()[:80] for line in text.splitlines() if line.strip()), "")


def enclosed(distribution: Distribution) -> str:
    """Return the text of the licence that lies among a package's files, if there is one."""
    named = (file for file in distribution.files or [] if re.match(r"licen[cs]e|copying", file.name, re.IGNORECASE))
    texts = (Path(str(file.locate())) for file in named if ".dist-info" in str(file))
    return next((path.read_text(encoding="utf-8", errors="replace") for path in texts if path.is_file()), "")


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock has for this Python and system."""
    text = Path("envs", f"{name}.lock.txt").read_text(encoding="utf-8")
    lines = (line.partition(" --hash")[0].rstrip(" \\") for line in text.splitlines() if line[:1].isalnum())
    wanted = [Requirement(line) for line in lines]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in here}


def differences(found: Mapping[str, Distribution], wanted: Mapping[str, str]) -> Iterator[str]:
    """Yield which packages are not those of the lock."""
    for name, version in wanted.items():
        if name not in found:
            yield f"{name} {version} is in the lock and not installed"
        elif found[name].version != version:
            yield f"{name} is {found[name].version}, and {version} in the lock"
    for name in found.keys() - wanted.keys() - {*OWN, *INSTALLERS}:
        yield f"{name} {found[name].version} is installed and not in the lock"


def altered(distribution: Distribution) -> Iterator[str]:
    """Yield which files of a package are gone or not what was installed; byte code and scripts have no hash."""
    for file in distribution.files or []:
        if file.hash is not None and file.hash.mode == "sha256" and not is_whole(file):
            yield f"{distribution.metadata['Name']}: {file} is not what was installed"


def is_whole(file: PackagePath) -> bool:
    """Return whether a file has the hash that its package lists."""
    path = Path(str(file.locate()))
    if not path.is_file() or file.hash is None:
        return False
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value.rstrip("=")


def write_licences(packages: list[Package], file: Path) -> None:
    """Write a row for each package."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["package", "version", "kind", "licence", "address"])
        rows.writerows([one.name, one.version, one.kind, one.licence, one.address] for one in packages)


def audit(found: Mapping[str, Distribution], lock: str) -> list[str]:
    """Return what is wrong with the environment; an empty list if it is that of the lock, file by file."""
    changed = [line for one in tqdm(found.values(), desc="packages") for line in altered(one)]
    return [*sorted(differences(found, locked(lock))), *changed]


def main() -> None:
    """Write the licences and the complaints of the audit; the exit status says whether there are any."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("licences", type=Path)
    parser.add_argument("audit", type=Path)
    chosen = parser.parse_args()
    found = {name: one for name, one in installed().items() if name not in OWN}
    packages = [described(one) for one in found.values()]
    write_licences(packages, chosen.licences)
    lock = lock_in_use()["name"]
    complaints = audit(found, lock)
    said = complaints or [f"all as in the lock {lock}"]
    chosen.audit.write_text("".join(f"{line}\n" for line in said), encoding="utf-8")
    counts = {kind: sum(one.kind == kind for one in packages) for kind in [*KINDS, "unknown"]}
    print(
        f"{len(packages)} packages: {', '.join(f'{count} {kind}' for kind, count in counts.items())}", file=sys.stderr
    )
    if complaints:
        sys.exit(f"The environment is not that of the lock {lock}: {'; '.join(complaints[:5])}; all in {chosen.audit}.")


if __name__ == "__main__":
    main()
