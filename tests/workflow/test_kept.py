"""What an analysis needs of a training is kept in a small archive, and what is too large is said to be."""

import json
import os
from pathlib import Path

import pytest

from workflow.configuration import load_configuration
from workflow.faults import Fault
from workflow.hashing import file_digest
from workflow.kept import KEPT, LARGEST, MANIFEST, check, keep, kept_names, restore
from workflow.plan import Plan


@pytest.fixture
def folder(miniature):
    """The folder of a training that left three files."""
    raw = miniature / "results/quick/walk-training/raw"
    (raw / "deep").mkdir(parents=True)
    files = {"history.csv": b"a,b\n1,2\n", "deep/weights.eqx": os.urandom(200), "large.npz": os.urandom(LARGEST)}
    for name, content in files.items():
        (raw / name).write_bytes(content)
    manifest = {name: file_digest(raw / name) for name in files}
    (raw / "manifest.json").write_text(json.dumps(manifest))
    return raw.parent


def forget(folder):
    """Leave what git would."""
    content = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in content:
        if path.parts[0] == "raw":
            (folder / path).unlink()
    return content


def input_of_the_analysis():
    """What the rule of the analysis waits for."""
    return Path(Plan(load_configuration(Path("config/quick.yaml")), {}).training("walk")[0]).name


def test_what_was_kept_comes_back(folder):
    keep(folder, ["*.csv", "deep/*"])
    assert kept_names(folder) == {"history.csv", "deep/weights.eqx"}
    assert input_of_the_analysis() == KEPT
    content = forget(folder)
    restore(folder)
    check(folder)
    for name in ("history.csv", "deep/weights.eqx", "manifest.json"):
        assert (folder / "raw" / name).read_bytes() == content[Path("raw", name)]


def test_the_same_files_make_the_same_archive(folder):
    keep(folder, ["*.csv"])
    first = (folder / KEPT).read_bytes()
    os.utime(folder / "raw/history.csv", (1, 1))
    keep(folder, ["*.csv"])
    assert (folder / KEPT).read_bytes() == first


def test_what_is_too_large_is_not_kept_and_said(folder, capsys):
    keep(folder, ["*"])
    assert kept_names(folder) == set()
    assert (folder / KEPT).stat().st_size < LARGEST
    assert "takes 2.0 MB and only 2 MB is kept in git" in capsys.readouterr().err.replace("take ", "takes ")
    assert input_of_the_analysis() == Path(MANIFEST).name


def test_a_file_that_is_another_one_is_refused(folder):
    keep(folder, ["*.csv"])
    (folder / "raw/large.npz").unlink()
    check(folder)
    (folder / "raw/history.csv").write_text("a,b\n1,3\n")
    with pytest.raises(Fault, match="is not what walk-training wrote"):
        check(folder)
