"""The miniature repository that the workflow's tests run."""

import pytest
from tests.workflow.miniature import build


@pytest.fixture
def miniature(tmp_path, monkeypatch):
    """A fresh miniature, with the working directory in it."""
    monkeypatch.delenv("STABLESPIKE_DATA", raising=False)
    monkeypatch.chdir(build(tmp_path))
    return tmp_path
