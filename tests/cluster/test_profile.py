"""What the profile for clusters asks for, with stand-ins for Slurm's commands."""

import importlib
import os
import subprocess
from pathlib import Path

import pytest
from snakemake.profiles import ProfileConfigFileParser

from workflow import cluster

PROFILE = Path(__file__).parents[2] / "envs/profiles/slurm/config.yaml"
PARTITIONS = """PartitionName=day Default=YES MaxTime=1-00:00:00 Nodes=a[1-9]
PartitionName=gpu Default=NO MaxTime=08:30:00 Nodes=b1
PartitionName=free Default=NO MaxTime=UNLIMITED Nodes=b1
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm whose configuration and queue are files, and no variables of the reader's."""
    for name in cluster.SETTINGS:
        monkeypatch.delenv(f"STABLESPIKE_{name}", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    cluster.asked_of_slurm.cache_clear()
    (tmp_path / "queue").write_text("")
    (tmp_path / "partitions").write_text(PARTITIONS)
    configure(tmp_path)
    script = '#!/bin/sh\ncase "$*" in *config*) file=config ;; *partition*) file=partitions ;; *) file=queue ;; esac\n'
    for name in ("scontrol", "squeue"):
        (tmp_path / name).write_text(f'{script}while read -r line; do echo "$line"; done <{tmp_path}/$file\n')
        (tmp_path / name).chmod(0o755)
    yield tmp_path
    cluster.asked_of_slurm.cache_clear()


def configure(folder, remembers=300, accounting="accounting_storage/none"):
    """Write what the stand-in says of itself."""
    (folder / "config").write_text(f"AccountingStorageType   = {accounting}\nMinJobAge       = {remembers} sec\n")


def profile():
    """The profile as Snakemake reads it."""
    importlib.reload(cluster)
    with PROFILE.open() as stream:
        return ProfileConfigFileParser().parse(stream)


def sentence(capture):
    """What a refusal says, in one line."""
    assert "\n" not in str(capture.value)
    return str(capture.value)


@pytest.mark.parametrize(
    ("remembers", "accounting", "command"),
    [
        (300, "accounting_storage/none", "squeue"),
        (300, "accounting_storage/slurmdbd", "squeue"),
        (0, "(null)", "squeue"),
        (60, "accounting_storage/slurmdbd", "sacct"),
    ],
)
def test_jobs_are_watched_by_what_tells_their_end(slurm, remembers, accounting, command):
    configure(slurm, remembers, accounting)
    assert profile()["slurm-status-command"] == command


def test_the_executor_is_told_cancelled_by_the_word_it_knows(slurm):
    (slurm / "sacct").write_text("#!/bin/sh\necho '4|CANCELLED by 0'\necho '5|COMPLETED'\n[ \"$1\" != --fail ]\n")
    (slurm / "sacct").chmod(0o755)
    ours = PROFILE.parent / "bin"
    variables = {"PATH": f"{ours}:{slurm}:{os.defpath}"}
    done = subprocess.run(["sacct", "-X"], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "4|CANCELLED\n5|COMPLETED\n")
    assert subprocess.run(["sacct", "--fail"], env=variables, capture_output=True).returncode == 1


def test_a_slurm_that_forgets_at_once_is_refused(slurm):
    configure(slurm, 60)
    with pytest.raises(SystemExit) as refused:
        profile()
    assert "no accounting and forgets a job 60 s after its end" in sentence(refused)


def test_without_slurm_one_sentence_says_where_to_start(slurm):
    (slurm / "scontrol").unlink()
    with pytest.raises(SystemExit) as refused:
        profile()
    assert "needs Slurm, and there is no scontrol here: start it on a login node" in sentence(refused)


@pytest.mark.parametrize(("plugin", "gpus"), [(None, 0), ("cuda12", 1), ("cuda13", 1)])
def test_gpus_are_asked_for_where_the_environment_is_for_cuda(slurm, monkeypatch, plugin, gpus):
    monkeypatch.setattr("workflow.machine.cuda_plugin", lambda: plugin)
    assert {f"train:gpu={gpus}", f"analyse:gpu={gpus}"} <= set(profile()["set-resources"])


@pytest.mark.parametrize(
    ("partition", "hours", "training", "analysis"),
    [
        ("", "", 24 * 60, 240),  # as long as the default partition lets a job run
        ("gpu", "", 510, 240),
        ("day,gpu", "6", 360, 30),
        ("free", "100", 6000, 500),
    ],
)
def test_times_are_those_asked_for_or_the_partitions(slurm, monkeypatch, partition, hours, training, analysis):
    monkeypatch.setenv("STABLESPIKE_PARTITION", partition)
    monkeypatch.setenv("STABLESPIKE_HOURS", hours)
    read = profile()
    assert f"train:runtime={training}" in read["set-resources"]
    assert f"runtime={analysis}" in read["default-resources"]
    assert (f"slurm_partition='{partition}'" in read["default-resources"]) == bool(partition)


def test_account_memory_and_number_of_jobs_are_the_readers(slurm, monkeypatch):
    for name, value in {"ACCOUNT": "007", "MEMORY_MB": "4000", "JOBS": "9", "CORES": "12"}.items():
        monkeypatch.setenv(f"STABLESPIKE_{name}", value)
    read = profile()
    assert {"slurm_account='007'", "mem_mb=4000 * attempt"} <= set(read["default-resources"])
    assert (read["jobs"], read["cores"], read["set-threads"]) == ("9", "12", ["analyse=6"])
    assert "groups" not in read


def test_small_analyses_are_grouped_within_the_cores_and_their_memory(slurm, monkeypatch):
    monkeypatch.setenv("STABLESPIKE_GROUP", "500")
    read = profile()
    assert (read["groups"], read["group-components"]) == (["analyse=small"], ["small=500"])
    assert (read["set-threads"], read["resources"]) == (["analyse=1"], ["mem_mb=128000", "gpu=1"])
    assert "runtime=2" in read["default-resources"]  # 500 times 2 min is less than the partition's day


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PARTITION", "gpus", "no partition 'gpus'; did you mean 'gpu'?"),
        ("HOURS", "2-00", "a positive whole number, not '2-00'"),
        ("GROUP", "0", "a positive whole number, not '0'"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(slurm, monkeypatch, name, value, says):
    monkeypatch.setenv(f"STABLESPIKE_{name}", value)
    with pytest.raises(SystemExit) as refused:
        profile()
    assert f"STABLESPIKE_{name}" in sentence(refused)
    assert says in sentence(refused)


def test_only_jobs_of_this_folder_and_workflow_are_in_the_way(slurm, tmp_path):
    folder = tmp_path / "a | study"
    (slurm / "queue").write_text(f"7|{cluster.JOB_NAMES}_1|{folder}\n8|other|{folder}\n9|{cluster.JOB_NAMES}_1|/else\n")
    assert cluster.jobs_of(folder) == ["7"]
