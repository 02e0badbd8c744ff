"""The profile for clusters on a real Slurm of one node, where root and Debian's packages are there."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.cluster.slurm import ask, slurm, why_not
from tests.cluster.study import (
    CANCELLED,
    FAILS_TWICE,
    build_study,
    differing,
    histories,
    on_cluster,
    run_study,
    running,
    wait_for,
)
from tests.workflow.miniature import build, edit, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "runs")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Slurm without accounting, its node with a GPU by name alone."""
    with slurm(tmp_path_factory.mktemp("slurm"), gpu=True) as variables:
        yield variables


def jobs(cluster, *options):
    """The numbers of the jobs in the queue."""
    return ask(cluster, "squeue", "--noheader", "--format=%A", *options).split()


def run(folder, variables, *arguments, seconds=120):
    """What a run that has to end says."""
    with running(folder, variables, *arguments) as process:
        status = process.wait(seconds)
    return status, (folder / "run.log").read_text()


def test_a_study_survives_a_cancelled_and_a_failing_job(cluster, tmp_path):
    folder, local = (build_study(tmp_path / name, jobs=6) for name in ("cluster", "local"))
    with ThreadPoolExecutor() as pool:
        beside = pool.submit(snakemake, local)
        run_study(folder, cluster, seconds=300)  # a minute or two on a quiet machine
        assert beside.result().returncode == 0
    found = histories(cluster, folder)
    assert found.pop(FAILS_TWICE) == [("FAILED", "1000M"), ("FAILED", "2000M"), ("COMPLETED", "3000M")]
    assert found.pop(CANCELLED) == [("CANCELLED", "1000M"), ("COMPLETED", "2000M")]
    assert len(found) == 4
    assert set(map(tuple, found.values())) == {(("COMPLETED", "1000M"),)}
    assert "  5/60" not in (folder / f"logs/quick/{CANCELLED}.log").read_text(), "it did not go on from its checkpoint"
    assert differing(folder, local) == []


def test_a_run_is_stopped_or_followed_by_another(cluster, tmp_path):
    folder = build(tmp_path)
    edit(folder / "config/quick.yaml", "pause: 0.05", "pause: 5.0")
    variables, target = on_cluster(folder, cluster), "results/quick/walk/numbers.json"
    with running(folder, variables, target) as process:
        wait_for(lambda: jobs(cluster, "--states=running"), 60, "the training runs")
        process.kill()
    left = jobs(cluster)
    status, said = run(folder, variables, target)
    assert (status, len(left)) == (1, 1)
    assert f"Slurm still has 1 job of an earlier run of this folder: wait until it ends, or `scancel {left[0]}`" in said
    ask(cluster, "scancel", *left)
    wait_for(lambda: not jobs(cluster), 60, "the job is gone")
    with running(folder, variables, target) as process:
        wait_for(lambda: jobs(cluster), 60, "the training is in the queue again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    wait_for(lambda: not jobs(cluster), 30, "its job was cancelled")


@pytest.mark.parametrize(("device", "asked"), [("cpu", "N/A"), ("cuda", "gres:gpu:1")])
def test_a_gpu_is_asked_for_by_an_environment_for_cuda_alone(cluster, tmp_path, device, asked):
    folder = build(tmp_path / "study")
    metadata = tmp_path / device / "jax_cuda12_plugin-0.10.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: jax-cuda12-plugin\nVersion: 0.10\n")
    variables = on_cluster(folder, cluster)
    variables["PYTHONPATH"] += f":{tmp_path / 'cuda'}"
    with running(folder, variables, "results/quick/line/numbers.json", "results/quick/walk/numbers.json") as process:
        wait_for(lambda: len(jobs(cluster)) == 2, 60, "an analysis and a training were taken")
        gpus = ask(cluster, "squeue", "--noheader", "--Format=tres-per-job").split()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert gpus == [asked] * 2
    wait_for(lambda: not jobs(cluster), 60, "the jobs were cancelled")


def test_small_analyses_share_a_job(cluster, tmp_path):
    folder = build_study(tmp_path, jobs=5)
    points = [f"results/quick/point-{number:02d}/numbers.json" for number in range(1, 3)]
    status, said = run(folder, on_cluster(folder, cluster, GROUP="2"), *points)
    assert status == 0, said
    listed = ask(cluster, "squeue", "--states=all", "--noheader", "--format=%Z|%C|%m").splitlines()
    assert [line for line in listed if line.startswith(str(folder))] == [f"{folder}|2|2000M"]
