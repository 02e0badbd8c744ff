"""What tonic fetches lies in its place only when it is whole and checked; tonic itself is replaced by a small copy."""

import hashlib
import urllib.error
from pathlib import Path

import pytest

from workflow.faults import Fault
from workflow.tonic_sets import TONIC_SETS, TonicSet

PUBLISHED = b"the published archive"
NAME = "shd_train.h5.zip"
SET = TonicSet("SHD", {NAME: (hashlib.md5(PUBLISHED).hexdigest(), {"train": True})})


@pytest.fixture
def source(monkeypatch):
    """A tonic whose network gives `content`, or breaks off in the middle where it is None; `fetched` counts."""
    datasets = pytest.importorskip("tonic.datasets")

    class SHD:
        content = PUBLISHED
        fetched = 0

        def __init__(self, save_to, *, train):
            assert train
            archive = Path(save_to, "SHD", NAME)
            if not archive.exists():
                type(self).fetched += 1
                archive.write_bytes(PUBLISHED[:5] if self.content is None else self.content)
                if self.content is None:
                    raise urllib.error.URLError("the line is dead")
            archive.with_suffix("").write_bytes(b"extracted")

    monkeypatch.setattr(datasets, "SHD", SHD)
    return SHD


def test_a_missing_set_is_fetched_once(source, tmp_path):
    for _ in range(2):
        SET.ensure(tmp_path)
    assert source.fetched == 1
    assert (tmp_path / "SHD" / NAME).read_bytes() == PUBLISHED
    assert (tmp_path / "SHD" / "shd_train.h5").read_bytes() == b"extracted"
    assert [path.name for path in tmp_path.iterdir()] == ["SHD"]


def test_a_broken_transfer_leaves_nothing_behind(source, tmp_path):
    source.content = None
    with pytest.raises(
        Fault, match=r"SHD/shd_train\.h5\.zip is missing and cannot be downloaded .*dead.*: put it there"
    ):
        SET.ensure(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["SHD"]


def test_another_file_than_the_published_one_is_not_taken(source, tmp_path):
    source.content = b"an excuse"
    with pytest.raises(Fault, match="what arrived is not the published file"):
        SET.ensure(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["SHD"]


def test_an_archive_that_was_put_there_is_checked_and_extracted(source, tmp_path):
    archive = tmp_path / "SHD" / NAME
    archive.parent.mkdir()
    archive.write_bytes(PUBLISHED[:7])
    with pytest.raises(Fault, match=r"shd_train\.h5\.zip is not the published file \(wrong checksum\)"):
        SET.ensure(tmp_path)
    archive.write_bytes(PUBLISHED)
    (archive.parent / "shd_train.h5").write_bytes(b"half of")  # by whoever was interrupted
    SET.ensure(tmp_path)
    assert source.fetched == 0
    assert (archive.parent / "shd_train.h5").read_bytes() == b"extracted"


def test_checksums_are_those_that_tonic_knows():
    datasets = pytest.importorskip("tonic.datasets")
    for one in TONIC_SETS.values():
        kind = getattr(datasets, one.kind)
        known = {getattr(kind, name) for name in dir(kind) if name.endswith("_md5")}
        assert set(one.files.values()) == known


def test_an_archive_that_is_a_folder_or_can_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "SHD" / NAME).mkdir(parents=True)
    with pytest.raises(Fault, match=r"shd_train\.h5\.zip is a folder, not the published file: remove it"):
        SET.ensure(tmp_path)
    (tmp_path / "SHD" / NAME).rmdir()
    (tmp_path / "SHD" / NAME).write_bytes(PUBLISHED)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("workflow.tonic_sets.md5_digest", refuse)
    with pytest.raises(Fault, match=r"can't be read \(.*Permission denied\): make it readable"):
        SET.ensure(tmp_path)
