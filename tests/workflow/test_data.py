"""A dataset is complete and right, or one sentence says which file is not and where to put it."""

import pytest

from workflow import data
from workflow.data import Dataset, ensure
from workflow.faults import Fault
from workflow.hashing import file_digest


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A dataset of one file, published in a folder."""
    source = tmp_path / "published" / "digits.gz"
    source.parent.mkdir()
    source.write_bytes(b"digits")
    dataset = Dataset("digits", {source.name: file_digest(source)}, source.parent.as_uri())
    monkeypatch.setitem(data.DATASETS, "digits", dataset)
    return source


def test_fetches_what_is_missing(published, tmp_path):
    ensure("digits", tmp_path / "data")
    assert (tmp_path / "data/digits/digits.gz").read_bytes() == b"digits"


def test_wrong_checksum(published, tmp_path):
    published.write_bytes(b"other")
    with pytest.raises(Fault, match=r"digits\.gz is not the published file \(wrong checksum\)"):
        ensure("digits", tmp_path / "data")


def test_without_network_says_where_to_put_the_file(published, tmp_path):
    published.unlink()
    with pytest.raises(Fault, match=r"digits\.gz is missing and cannot be downloaded .*: put it there\.$"):
        ensure("digits", tmp_path / "data")
    assert not list((tmp_path / "data/digits").iterdir())


def test_a_broken_transfer_leaves_nothing_behind(published, tmp_path, monkeypatch):
    def break_off(*_arguments, **_options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(data.urllib.request, "urlopen", break_off)
    with pytest.raises(Fault, match="timed out"):
        ensure("digits", tmp_path / "data")
