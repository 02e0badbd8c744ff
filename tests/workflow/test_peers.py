"""Other packages are run in environments of their own, and one that cannot run costs the others nothing."""

import json
import sys

import pytest

from workflow import peers


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / peers.PEERS
    folder.mkdir(parents=True)
    for name in ("quick", "broken", "absent"):
        (folder / f"{name}.in").write_text(f"{name}==1\n")
    (folder / "on_quick.py").write_text(
        "import json, sys\nprint(json.dumps({'peer': 'quick', 'file': sys.argv[1], 'repeats': int(sys.argv[2])}))\n"
    )
    (folder / "on_broken.py").write_text("raise SystemExit('it needs another machine')\n")
    return tmp_path


def test_every_package_has_rows_and_a_failure_its_reason(root, monkeypatch):
    monkeypatch.setattr(peers, "environment", lambda *_: sys.executable)
    rows = {row["peer"]: row for row in peers.measure_peers(root, root / "workloads.npz", 3)}
    assert rows["quick"] == {"peer": "quick", "file": str(root / "workloads.npz"), "repeats": 3}
    assert rows["broken"]["failed"] == "it needs another machine"
    assert "there is no script for absent" in rows["absent"]["failed"]


def test_an_environment_is_made_once_for_a_lock(root, monkeypatch):
    calls = []

    def run(command, **_):
        calls.append([str(word) for word in command])
        if "venv" in calls[-1]:
            (root / peers.ENVIRONMENTS / "quick").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(peers.subprocess, "run", run)
    lock = root / peers.PEERS / "quick.lock.txt"
    lock.write_text(f"# Python {sys.version_info.major}.{sys.version_info.minor}\nquick==1\n")
    for _ in range(2):
        peers.environment(root, "quick")
    assert len(calls) == 2
    assert "--require-hashes" in calls[1]
    lock.write_text(lock.read_text() + "more==1\n")
    peers.environment(root, "quick")
    assert len(calls) == 4


def test_a_python_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"needs Python 3\.99, and there is no python3\.99 on the PATH"):
        peers.interpreter("3.99")


def test_the_last_line_of_what_was_said_is_the_reason():
    error = peers.subprocess.CalledProcessError(1, ["x"], stderr="one\ntwo\n")
    assert peers.reason(error) == "two"
    assert json.dumps(peers.reason(OSError("no room"))) == '"no room"'
