"""The whole miniature, run by Snakemake itself: what runs when, what is written, and what survives a kill."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.workflow.miniature import build, edit, environment, snakemake

from workflow.configuration import load_configuration
from workflow.copies import renew_prose
from workflow.stale import stale_products

RESULTS = Path("results/quick")
WALK = {"walk: running notebooks/walk.py"}
MANUSCRIPT = {"prose: the executed notebooks get their present text", f"manuscript: {RESULTS}/manuscript.pdf"}
UNCOMMITTED = ("raw", "*.log", ".snakemake", ".cache")


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A miniature in which everything has been run; its results are not to be touched."""
    folder = build(tmp_path_factory.mktemp("answered"))
    finished = snakemake(folder)
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture
def clone(answered, tmp_path, monkeypatch):
    """What git would give of it: committed files only, all of them of the same new age."""
    folder = shutil.copytree(answered, tmp_path / "clone", ignore=shutil.ignore_patterns(*UNCOMMITTED))
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        os.utime(path, (time.time() + number % 7,) * 2)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def continued(answered, tmp_path, monkeypatch):
    """The same working folder, to go on with."""
    folder = shutil.copytree(answered, tmp_path / "continued")
    monkeypatch.chdir(folder)
    return folder


def bytes_of(folder):
    """The content of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def jobs(finished):
    """The jobs that a run names, by what its messages say."""
    lines = (finished.stdout + finished.stderr).splitlines()
    messages = [line.partition(": ")[2].split(";")[0] for line in lines if line.startswith("Job ")]
    return {message for message in messages if "up to date" not in message}


def test_writes_every_product_and_no_path_of_this_machine(answered, monkeypatch):
    monkeypatch.chdir(answered)
    assert stale_products("quick") == {}
    assert re.search(r"compiled at \d{5}", (answered / "logs/quick/line.log").read_text())
    assert not re.search(rb"compiled at \d{5}", (answered / RESULTS / "line/notebook.ipynb").read_bytes())
    here = [str(answered), sys.prefix, str(Path.home())]
    for name, content in bytes_of(answered / RESULTS).items():
        if not name.endswith((".pdf", ".png", ".zip")):
            assert not [path for path in here if path != "/" and path in content.decode()], name
    provenance = json.loads((answered / RESULTS / "walk-training/provenance.json").read_text())
    assert provenance["seeds"] == {"seeds": [1, 2]}
    assert {"processor", "cores", "python", "libraries"} <= set(provenance["session"])
    assert "processor_seconds" not in provenance["session"]  # two runs write the same bytes
    assert json.loads((answered / RESULTS / "line/notebook.ipynb").read_text())["metadata"]["stablespike"]["identity"]


def test_a_clone_has_nothing_to_do(clone):
    finished = snakemake(clone, "-n")
    assert "Nothing to be done" in finished.stdout + finished.stderr, finished.stderr


def test_only_what_depends_on_an_edit_runs_again(continued):
    edit(continued / "src/stablespike/drawing.py", "value {", "is {")
    assert jobs(snakemake(continued, "-n")) == {"line: running notebooks/line.py", *WALK, *MANUSCRIPT}
    edit(continued / "src/stablespike/drawing.py", "is {", "value {")
    edit(continued / "config/quick.yaml", "steps: 60", "steps: 61")
    assert jobs(snakemake(continued, "-n")) == {"walk: training", *WALK, *MANUSCRIPT}


def test_a_change_that_nothing_reaches_runs_nothing(continued):
    edit(
        continued / "src/stablespike/wording.py",
        "def unused(text):\n    return text",
        "def unused(text):\n    return 1",
    )
    finished = snakemake(continued, "-n")
    assert "Nothing to be done" in finished.stdout + finished.stderr, finished.stderr
    edit(
        continued / "src/stablespike/wording.py",
        "def finished(text):\n    return text",
        "def finished(text):\n    return 1",
    )
    assert jobs(snakemake(continued, "-n")) == {"line: running notebooks/line.py", *WALK, *MANUSCRIPT}
    assert stale_products("quick")["line"] == ["code: stablespike.wording.finished changed"]


def test_a_module_that_moved_runs_nothing(continued):
    source = continued / "src/stablespike"
    (source / "words").mkdir()
    (source / "wording.py").rename(source / "words/endings.py")
    edit(source / "drawing.py", "stablespike.wording", "stablespike.words.endings")
    names = (
        "stablespike.drawing.title changed; stablespike.words.endings.finished new; stablespike.wording.finished gone"
    )
    assert stale_products("quick")["line"] == [f"code: {names}"]
    row = '"stablespike.wording" = "stablespike.words.endings"\n'
    (continued / "src/workflow/renames.toml").write_text(row)
    finished = snakemake(continued, "-n")
    assert "Nothing to be done" in finished.stdout + finished.stderr, finished.stderr
    assert stale_products("quick") == {}


def test_a_moved_module_that_a_notebook_names_only_renews_the_copy(continued):
    (continued / "src/stablespike/walking.py").rename(continued / "src/stablespike/strolling.py")
    edit(continued / "notebooks/walk-training.py", "stablespike.walking", "stablespike.strolling")
    (continued / "src/workflow/renames.toml").write_text('"stablespike.walking" = "stablespike.strolling"\n')
    assert jobs(snakemake(continued, "-n")) == MANUSCRIPT


def test_a_colour_changed_in_a_clone_draws_the_figure_without_training(clone, answered):
    edit(clone / "notebooks/walk.py", '<rect width="9"', '<rect fill="red" width="9"')
    finished = snakemake(clone)
    assert finished.returncode == 0, finished.stderr
    assert jobs(finished) == WALK | MANUSCRIPT
    assert "red" in (clone / RESULTS / "walk/figure.svg").read_text()
    old, new = (folder / RESULTS / "walk/numbers.json" for folder in (answered, clone))
    assert old.read_bytes() == new.read_bytes()
    assert "Nothing to be done" in snakemake(clone, "-n").stdout


def test_edited_prose_reaches_the_executed_notebook_without_a_run(continued):
    before = bytes_of(continued / RESULTS / "line")
    edit(continued / "notebooks/line.py", "The claim is", "Our claim is")
    edit(continued / "notebooks/line.py", "# unit: one", "# dimensionless")
    old_prose = {"line": ["the executed copy has older prose"]}
    assert stale_products("quick") == old_prose | {"manuscript": ["supplement changed"]}  # it says what a parameter is
    assert jobs(snakemake(continued, "-n")) == MANUSCRIPT
    renew("line")
    after = bytes_of(continued / RESULTS / "line")
    assert {name for name in before if before[name] != after[name]} == {
        "notebook.ipynb",
        "notebook.html",
        "provenance.json",
    }
    assert b"Our claim is" in after["notebook.html"]
    edit(continued / "notebooks/line.py", "Our claim is", "The claim is")
    edit(continued / "notebooks/line.py", "# dimensionless", "# unit: one")
    renew("line")
    assert bytes_of(continued / RESULTS / "line") == before


def test_copies_of_other_code_stay_as_they_are(continued):
    before = bytes_of(continued / RESULTS / "line")
    edit(continued / "notebooks/line.py", "The claim is", "Our claim is")
    edit(continued / "notebooks/line.py", "slope * points}", "2 * slope * points}")
    renew("line")
    assert bytes_of(continued / RESULTS / "line") == before


def renew(name):
    """Give a question's executed copies their present prose."""
    configuration = load_configuration(Path("config/quick.yaml"))
    renew_prose(configuration.questions[name], configuration)


def test_a_notebook_that_jupyter_saved_is_current(continued):
    notebook = continued / "notebooks/line.py"
    first, saved = (HEADER.format(kernel=kernel, more=more) for kernel, more in (("Python 3", ""), ("mine", VERSION)))
    notebook.write_text(first + notebook.read_text())
    renew("line")
    before = bytes_of(continued / RESULTS / "line")
    edit(notebook, first, saved)
    assert stale_products("quick") == {}
    renew("line")
    assert bytes_of(continued / RESULTS / "line") == before


HEADER = """# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
{more}#   kernelspec:
#     display_name: {kernel}
#     language: python
#     name: python3
# ---
"""
VERSION = "#       format_version: '1.3'\n#       jupytext_version: 1.19.6\n"


def test_an_analysis_is_stale_when_its_training_ran_again(continued):
    record = continued / RESULTS / "walk-training/provenance.json"
    record.write_text(record.read_text().replace('"raw": "', '"raw": "0'))
    assert stale_products("quick")["walk"] == ["training ran again"]


def test_a_product_edited_by_hand_is_made_again(continued):
    (continued / RESULTS / "line/table.csv").write_text("x,y\n1,3\n")
    assert stale_products("quick")["line"] == ["table.csv was altered"]
    assert "line: running notebooks/line.py" in jobs(snakemake(continued, "-n"))


def test_a_killed_run_is_taken_up_and_gives_the_same_bytes(answered, tmp_path):
    folder = build(tmp_path)
    checkpoint = folder / RESULTS / "walk-training/raw/checkpoint/state.json"
    command = [sys.executable, "-m", "snakemake", "--cores", "2", str(RESULTS / "walk/numbers.json")]
    killed = subprocess.Popen(command, cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL)
    wait_for(lambda: checkpoint.is_file() and json.loads(checkpoint.read_text())[0] > 3)
    log = folder / "logs/quick/walk-training.log"
    assert "3/60" in log.read_text(), "the log does not show the progress of a running notebook"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wait_for(lambda: settled(checkpoint))
    reached = json.loads(checkpoint.read_text())[0]
    assert 3 < reached < 60
    finished = snakemake(folder)
    assert finished.returncode == 0, finished.stderr
    assert f"{reached}/60" not in log.read_text(), "the training did not start from its checkpoint"
    assert bytes_of(folder / RESULTS) == bytes_of(answered / RESULTS)


def wait_for(condition, seconds=60):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def settled(file):
    """Whether nobody writes a file any more."""
    before = file.read_text()
    time.sleep(1)
    return before == file.read_text()


def test_a_failing_notebook_leaves_partial_copy_and_traceback(miniature):
    edit(miniature / "notebooks/line.py", "import json\n", "import json\n\nnothing = {}['volts']\n")
    finished = snakemake(miniature, str(RESULTS / "line/numbers.json"))
    assert finished.returncode == 1
    sentence = next(line for line in finished.stderr.splitlines() if "failed" in line)
    assert sentence.startswith("notebooks/line.py failed (KeyError: 'volts'): traceback in logs/quick/line.log")
    assert "Traceback" in (miniature / "logs/quick/line.log").read_text()
    assert "Traceback" not in finished.stderr
    partial = json.loads((miniature / RESULTS / "line/raw/unfinished.ipynb").read_text())
    assert any(cell.get("outputs") for cell in partial["cells"])


def test_refuses_a_second_run_at_a_time(miniature):
    (miniature / ".cache").mkdir()
    with (miniature / ".cache/run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = snakemake(miniature)
    assert finished.returncode == 1
    assert "Another run is at work in this folder" in finished.stderr
    assert not (miniature / RESULTS).exists()


def test_a_wrong_configuration_stops_snakemake_with_one_sentence(miniature):
    edit(miniature / "config/quick.yaml", "slope: 2.0", "slop: 2.0")
    finished = snakemake(miniature)
    lines = [line for line in finished.stderr.splitlines() if not line.startswith("Using profile")]
    assert finished.returncode == 1
    assert lines == [
        "config/quick.yaml: questions.line.slop is not a parameter of notebooks/line.py; did you mean 'slope'?"
    ]


def test_passes_snakemakes_linter(miniature):
    finished = snakemake(miniature, "--lint")
    assert "good condition" in finished.stdout + finished.stderr, finished.stdout
