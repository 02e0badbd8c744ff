"""Ctrl-C, and places that can't be written: a sentence at every moment, never a traceback."""

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from tests.faults import disks
from tests.faults.runs import at_work, started
from tests.workflow.miniature import edit

from workflow import job
from workflow.start import in_a_sentence

WAYS = {"kept back": job.python(), "ignored": job.python().replace(job.KEPT_BACK, job.IGNORED)}
RUN = "-m workflow.run config/quick.yaml walk-training"


def shell(folder, line):
    """Start a line as a rule does: in a shell, and in a group of its own."""
    return started(folder, ["bash", "-c", f"set -euo pipefail; {line}"])


def interrupted(run, times=200):
    """Send SIGINT to the group until the run ends, and return what it said."""
    for _ in range(times):
        if run.poll() is not None:
            break
        os.killpg(run.pid, signal.SIGINT)
        time.sleep(0.05)
    return run.communicate(timeout=60)[1]


@pytest.mark.skipif(job.KEPT_BACK not in job.python(), reason="needs an `env` that can hold a signal back")
def test_ctrl_c_before_python_can_answer_is_answered_as_soon_as_it_can(tmp_path):
    """The signal is there before Python is: it is neither lost nor a traceback."""
    line = job.python().replace("exec env", "kill -INT $$; exec env")
    held = ["env", "--block-signal=INT", "bash", "-c", f"{line} -m workflow.job cluster"]
    done = subprocess.run(held, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, f"\n{job.INTERRUPTED}\n")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.4, 1.2])
def test_ctrl_c_while_a_job_is_started_is_a_sentence(miniature, way, moment):
    run = shell(miniature, f"{WAYS[way]} {RUN}")
    time.sleep(moment)
    said = interrupted(run)
    assert "Traceback" not in said
    assert run.returncode in (130, -signal.SIGINT)  # the latter: the shell ended, Python had not begun
    assert run.returncode < 0 or said.strip()


def test_ctrl_c_while_a_notebook_runs_is_one_sentence(miniature):
    edit(miniature / "config/quick.yaml", "pause: 0.05", "pause: 9.5")  # longer than anybody waits here
    run = shell(miniature, f"{job.python()} {RUN}")
    log = miniature / "logs/quick/walk-training.log"
    while not (log.exists() and "training starts" in log.read_text()):
        assert run.poll() is None
        time.sleep(0.1)
    said = interrupted(run, times=1)
    assert run.returncode == 130
    assert said == "\nwalk-training was interrupted: the next run goes on from its last checkpoint.\n"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_ctrl_c_to_all_of_a_run_prints_no_traceback_and_leaves_nothing_running(miniature, seed):
    run = started(miniature)
    time.sleep(random.Random(seed).uniform(0.2, 9.0))
    said = interrupted(run, times=1)
    assert "Traceback" not in said
    until = time.monotonic() + 30
    while at_work(miniature):
        assert time.monotonic() < until, at_work(miniature)
        time.sleep(0.2)


# Places that can't be written


def record(text, **extra):
    made = logging.getLogger("of.a.test").makeRecord("of.a.test", logging.ERROR, "", 0, text, (), None)
    vars(made).update(extra)
    return made


TOLD = 'Traceback (most recent call last):\n  File "io.py", line 1, in remove\n\n{}\n'


def test_snakemake_tells_what_the_machine_refuses_in_a_sentence_and_all_else_as_it_is():
    refused = record(TOLD.format("OSError: [Errno 30] Read-only file system: 'results/a'"), exception="OSError")
    mistake = record(TOLD.format("KeyError: 'a'"), exception="KeyError")
    plain = record("Select jobs to execute...")
    assert all(map(in_a_sentence, (refused, mistake, plain)))
    assert refused.getMessage() == "The run cannot go on: OSError: [Errno 30] Read-only file system: 'results/a'."
    assert mistake.getMessage().startswith("Traceback")
    assert plain.getMessage() == "Select jobs to execute..."


@pytest.mark.skipif(not disks.mountable(), reason="needs the right to mount")
@pytest.mark.parametrize("old", ["", "results/quick/walk-training/notebook.ipynb"], ids=["nothing yet", "old product"])
@pytest.mark.parametrize("place", disks.PLACES)
def test_a_place_that_is_mounted_read_only_is_told_in_a_sentence(miniature, place, old):
    """Snakemake removes products before a job: whether there are any or not, that is where it fails first."""
    if old:
        (miniature / old).parent.mkdir(parents=True)
        (miniature / old).touch()
    command = ["unshare", "-m", "sh", "-c", disks.READ_ONLY, "sh", str(miniature / place)]
    run = started(miniature, [*command, sys.executable, "-m", "workflow.start", "--cores", "2"])
    said = run.communicate(timeout=120)[1]
    assert run.returncode != 0
    assert "Traceback" not in said
    assert re.search("Read-only|cannot be written|Write-protected", said), said


def test_a_manuscript_that_cannot_be_written_is_told_in_a_sentence(miniature):
    (miniature / "results/quick/manuscript.pdf").mkdir(parents=True)
    run = shell(miniature, f"{job.python()} -m workflow.job copies config/quick.yaml nowhere/receipt")
    said = run.communicate(timeout=60)[1]
    assert (run.returncode, said) == (1, "copies failed: [Errno 2] No such file or directory: 'nowhere/receipt'.\n")
