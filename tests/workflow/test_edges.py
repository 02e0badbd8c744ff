"""Where a run meets a full, foreign or damaged place, or is left by whoever started it: one sentence, nothing held."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tests.faults.runs import at_work
from tests.workflow.miniature import edit, environment, snakemake

from workflow import data, one_run
from workflow.answering import check_training
from workflow.configuration import load_configuration
from workflow.data import DATASETS, Local, ensure, write_receipt
from workflow.execution import reason
from workflow.faults import Fault

MANIFEST = Path("results/quick/walk-training/raw/manifest.json")


@pytest.mark.parametrize("text", ["", '{"walk.json": "ab', "[]", "\ud800"])
def test_a_list_of_raw_files_that_was_cut_off_is_named(miniature, text):
    MANIFEST.parent.mkdir(parents=True)
    MANIFEST.write_bytes(text.encode("utf-8", "surrogatepass"))
    configuration = load_configuration(Path("config/quick.yaml"))
    with pytest.raises(Fault, match=rf"^{MANIFEST} .*: remove it to train again\.$"):
        check_training(configuration.questions["walk"], configuration)


def failed(name, value):
    return PapermillExecutionError(0, 1, "", name, value, [])


@pytest.mark.parametrize(
    "error",
    [
        failed("MemoryError", ""),
        failed("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 800000000 bytes."),
        failed("OSError", "[Errno 12] Cannot allocate memory"),
    ],
)
def test_want_of_memory_is_called_so(error):
    assert re.match(rf"out of memory( \([\d.]+ GB of [\d.]+ GB are free now\))?: {error.ename}", reason(error))


def test_a_dead_kernel_and_any_other_error_are_not_without_a_reason():
    assert reason(DeadKernelError("died")).startswith("its kernel died, most likely for want of memory")
    assert reason(failed("KeyError", "'volts'")) == "KeyError: 'volts'"
    assert reason(failed("KeyError", "")) == "KeyError"


def test_a_folder_in_the_place_of_a_data_file(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "one", Local({"digits.zip": "0"}, "from a friend"))
    (tmp_path / "digits.zip").mkdir()
    with pytest.raises(Fault, match=r"digits\.zip is a folder, and should be a file"):
        ensure("one", tmp_path)


def test_a_receipt_that_cannot_be_written(tmp_path):
    (tmp_path / "receipts").touch()
    with pytest.raises(Fault, match=r"^The receipt .* cannot be written: .*\.$"):
        write_receipt("mnist", tmp_path / "receipts/mnist.sha256")


def test_a_file_that_cannot_be_checked_is_told_in_a_sentence(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "digits.zip")

    monkeypatch.setattr(data, "ensure", refuse)
    monkeypatch.setattr(sys, "argv", ["data", "mnist", str(tmp_path), str(tmp_path / "receipt")])
    with pytest.raises(SystemExit, match=r"^mnist cannot be checked: .*Permission denied"):
        data.main()


def test_a_lock_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".cache").touch()
    with pytest.raises(Fault, match=r"^\.cache/run\.lock cannot be written"):
        one_run.hold_lock()


def test_a_disk_without_locks_is_not_another_run(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(Fault, match="cannot be locked"):
        one_run.hold_lock()


def test_a_question_that_is_being_answered_is_not_answered_twice(miniature):
    lock = Path(".cache/answering/quick/line.lock")
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "workflow.run", "config/quick.yaml", "line"]
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.run(command, env=environment(miniature), capture_output=True, text=True)
    assert second.returncode == 1
    assert second.stderr == "Another run answers line at scale quick now: wait until it ends, or stop it.\n"
    assert not Path("results/quick/line").exists()
    assert subprocess.run(command, env=environment(miniature), capture_output=True, text=True).returncode == 0


def test_a_kernel_that_dies_at_its_start_is_a_sentence():
    assert reason(RuntimeError("Kernel died before replying to kernel_info")).startswith("its kernel died")
    assert reason(RuntimeError("no\nport is free")) == "RuntimeError: no port is free"


def test_a_cache_that_cannot_be_written_stops_snakemake_with_one_sentence(miniature):
    (miniature / ".cache").touch()
    finished = snakemake(miniature, "-n")
    lines = [line for line in finished.stderr.splitlines() if not line.startswith("Using profile")]
    assert finished.returncode == 1
    assert len(lines) == 1, finished.stderr
    assert lines[0].startswith("The plan of this run cannot be written")


@pytest.mark.parametrize("place", ["results", "results/quick", "results/quick/line", "logs", "logs/quick"])
def test_a_file_in_the_place_of_a_folder_stops_snakemake_with_one_sentence(miniature, place):
    (miniature / place).parent.mkdir(parents=True, exist_ok=True)
    (miniature / place).touch()
    finished = snakemake(miniature, "-n")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith(f"{place} is not a folder, and products or logs go there")
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("kilobytes", ["0", "3"])
def test_a_full_disk_is_told_before_anything_runs(miniature, kilobytes):
    start = [sys.executable, "-m", "workflow.start", "--cores", "1", "-n"]
    command = ["bash", "-c", 'ulimit -f "$0" && exec "$@"', kilobytes, *start]
    said = subprocess.run(command, env=environment(miniature), capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr == "No 1 MB can be written to .cache (File too large): make room.\n"


def test_what_cannot_be_written_is_told_before_anything_runs(miniature):
    Path(".snakemake").touch()
    start = [sys.executable, "-m", "workflow.start", "--cores", "1", "-n"]
    said = subprocess.run(start, env=environment(miniature), capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr == "No 1 MB can be written to .snakemake (File exists): make room.\n"


def test_a_limit_of_memory_at_the_start_is_one_sentence(miniature):
    start = [sys.executable, "-m", "workflow.start", "--cores", "1", "-n"]
    command = ["bash", "-c", 'ulimit -v 200000 && exec "$@"', "-", *start]
    said = subprocess.run(command, env=environment(miniature), capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert re.fullmatch("The run cannot begin: .*\\.", said.stderr.splitlines()[-1])


def test_a_file_from_the_future_becomes_older_than_now(miniature):
    later, before = time.time() + 86400, time.time() - 86400
    os.utime("notebooks/line.py", (later, later))
    os.utime("notebooks/walk.py", (before, before))
    one_run.settle_times()
    assert before < Path("notebooks/line.py").stat().st_mtime < time.time()
    assert Path("notebooks/walk.py").stat().st_mtime == pytest.approx(before)


# Ctrl-C, and a reader who goes away

BEGINS = """
import signal, sys, time
from workflow.one_run import begin, leave
signal.signal(signal.SIGINT, leave)
begin()
print("began", flush=True)
time.sleep(60)
"""


def test_a_run_ends_when_its_reader_goes_away(tmp_path):
    command = [sys.executable, "-c", BEGINS]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"began\n"
        run.stdout.close()
        assert run.wait(timeout=30) == 128 + signal.SIGPIPE
        assert run.stderr.read() == b""


def test_a_whole_run_ends_when_its_reader_goes_away(miniature):
    edit(miniature / "config/quick.yaml", "pause: 0.05", "pause: 9.5")  # longer than anybody waits here
    command = [sys.executable, "-m", "workflow.start", "--cores", "2"]
    started = {"cwd": miniature, "env": environment(miniature), "stderr": subprocess.STDOUT, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **started) as run:
        while b"walk: training" not in run.stdout.readline():
            assert run.poll() is None
        run.stdout.close()
        run.wait(timeout=60)
    with (miniature / ".cache/run.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    until = time.monotonic() + 60
    while at_work(miniature):
        assert time.monotonic() < until, at_work(miniature)
        time.sleep(0.5)


def test_a_job_ends_whose_workflow_ended_while_it_was_started(miniature):
    edit(miniature / "config/quick.yaml", "pause: 0.05", "pause: 9.5")  # longer than anybody waits here
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    started = environment(miniature) | {"WORKFLOW_PROCESS": str(ended.pid)}
    command = [sys.executable, "-m", "workflow.run", "config/quick.yaml", "walk-training"]
    assert subprocess.run(command, env=started, cwd=miniature, timeout=60, check=False).returncode == 1


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.6, 1.2])
def test_ctrl_c_before_anything_runs_prints_no_traceback(miniature, moment):
    planning = miniature / "Snakefile"
    planning.write_text("__import__('time').sleep(60)\n" + planning.read_text())  # so that it is never over before
    command = [sys.executable, "-m", "workflow.start", "--cores", "2", "-n"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `./reproduce` starts it
    try:
        started = {"cwd": miniature, "env": environment(miniature), "stderr": subprocess.PIPE}
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, **started)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with run:
        time.sleep(moment)
        while run.poll() is None:  # the first may come before the program takes any
            run.send_signal(signal.SIGINT)
            time.sleep(0.05)
        said = run.stderr.read()
    assert run.returncode == 130
    assert said.splitlines()[-1] == "Interrupted before anything began."
    assert "Traceback" not in said


LATE = """
import os
from snakemake import cli
from workflow import start

class Last:
    def __del__(self, kill=os.kill, process=os.getpid()):
        kill(process, 2)

last = Last()  # Python takes its handlers away before it clears the variables of a program
cli.main = lambda: None
start.main()
"""


def test_ctrl_c_while_a_finished_run_ends_does_not_undo_it(miniature):
    ended = subprocess.run([sys.executable, "-c", LATE], cwd=miniature, env=environment(miniature), check=False)
    assert ended.returncode == 0


# Jupyter rewrites the header of a notebook that it saves

SAVED = """# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: stablespike (.venv)
#     language: python
#     name: stablespike
# ---

"""


def test_a_header_is_no_part_of_what_a_notebook_says(miniature):
    configuration = load_configuration(Path("config/quick.yaml"))
    before = configuration.questions["line"].notebook
    Path("notebooks/line.py").write_text(SAVED + before.source)
    after = configuration.questions["line"].notebook
    assert after.source != before.source
    assert after.text.lstrip() == before.text
    assert after.literal_defaults() == before.literal_defaults()
    json.dumps(after.literal_defaults())
