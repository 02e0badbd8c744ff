"""Licences and the comparison with the lock, read from what is installed: here, from packages that are made up."""

import base64
import hashlib
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from tests.workflow.miniature import ROOT

from workflow import dependencies
from workflow.dependencies import altered, described, differences, installed, locked

MODULE = b"value = 1\n"


@pytest.fixture
def package(tmp_path):
    """Install a package of one module with the given lines of metadata."""

    def install(*lines, licence=""):
        about = tmp_path / "toy-1.0.dist-info"
        (about / "licenses").mkdir(parents=True)
        (about / "METADATA").write_text(
            "\n".join(["Metadata-Version: 2.4", "Name: toy", "Version: 1.0", *lines]) + "\n"
        )
        (about / "licenses/LICENSE.md").write_text(licence)
        (tmp_path / "toy.py").write_bytes(MODULE)
        digest = base64.urlsafe_b64encode(hashlib.sha256(MODULE).digest()).rstrip(b"=").decode()
        files = [f"toy.py,sha256={digest},{len(MODULE)}", "toy-1.0.dist-info/licenses/LICENSE.md,,", "toy.pyc,,"]
        (about / "RECORD").write_text("\n".join(files) + "\n")
        return PathDistribution(about)

    return install


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("License-Expression: MIT", "permissive"),
        ("License-Expression: LGPL-2.1-or-later", "weak copyleft"),
        ("License-Expression: GPL-3.0-only", "copyleft"),
        ("License-Expression: MPL-2.0 AND MIT", "weak copyleft"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "copyleft"),
        ("Classifier: License :: OSI Approved :: BSD License", "permissive"),
        ("License: Apache 2.0", "permissive"),
        ("License: LicenseRef-NVIDIA-Proprietary", "proprietary"),
        ("License: ask me, I am limited", "unknown"),
        ("Summary: none stated", "unknown"),
    ],
)
def test_the_kind_of_a_licence(package, line, kind):
    assert described(package(line)).kind == kind


def test_a_licence_that_is_only_enclosed_is_read(package):
    found = described(package(licence="\n# MIT License\n\nAnybody may do anything.\n"))
    assert (found.licence, found.kind) == ("# MIT License", "permissive")


def test_a_file_that_was_altered_or_removed_is_named(package, tmp_path):
    toy = package()
    assert list(altered(toy)) == []
    (tmp_path / "toy.py").write_bytes(MODULE + b"\n")
    assert list(altered(toy)) == ["toy: toy.py is not what was installed"]
    (tmp_path / "toy.py").unlink()
    assert list(altered(toy)) == ["toy: toy.py is not what was installed"]


def test_what_is_not_in_the_lock_or_of_another_version_is_named(package):
    toy = package()
    assert list(differences({"toy": toy}, {"toy": "1.0"})) == []
    assert list(differences({"toy": toy}, {"toy": "2.0"})) == ["toy is 1.0, and 2.0 in the lock"]
    assert list(differences({"toy": toy}, {})) == ["toy 1.0 is installed and not in the lock"]
    assert list(differences({}, {"toy": "1.0"})) == ["toy 1.0 is in the lock and not installed"]
    assert list(differences({"pip": toy, "stablespike": toy}, {})) == []


def test_the_packages_of_this_environment_state_their_licences(monkeypatch):
    monkeypatch.chdir(ROOT)
    lock = dependencies.lock_in_use()["name"]
    assert len(locked(lock)) > 100
    found = installed()
    assert list(differences(found, locked(lock))) == []
    packages = [described(found[name]) for name in locked(lock)]
    unknown = [one.name for one in packages if one.kind == "unknown"]
    assert len(unknown) < 0.05 * len(packages), unknown


def test_writes_a_row_for_each_package(package, tmp_path):
    file = Path(tmp_path, "licences.csv")
    dependencies.write_licences([described(package("License-Expression: MIT"))], file)
    assert file.read_text() == "package,version,kind,licence,address\ntoy,1.0,permissive,MIT,\n"
