"""A study of many small jobs on a Slurm of its own, one cancelled on its way and one failing twice, beside a local run.

`python -m tests.cluster.study` prints what became of each job and whether the results are the same, byte by byte.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.slurm import ask, slurm, why_not
from tests.workflow.miniature import build, edit, environment, snakemake

PROFILE = "envs/profiles/slurm"
RESULTS = Path("results/quick")
FAILS_TWICE = "point-02"
CANCELLED = "walk-training"
BASE_JOBS = 3  # line, walk-training and walk, which the miniature has

# Fails as often as a file beside the results says, which is no part of the products.
POINT = """# %% tags=["parameters"]
value = 1
results_folder = "../results/jupyter/point"

# %%
import json
from pathlib import Path

folder = Path(results_folder)
failures = Path("../.cache/failures", folder.name)
if failures.is_file() and (left := int(failures.read_text())):
    failures.write_text(str(left - 1))
    raise RuntimeError("made to fail")
for name in ("figure.pdf", "figure.svg", "figure.png", "table.csv", "table.tex"):
    (folder / name).write_text(f"{value}\\n")
(folder / "numbers.json").write_text(json.dumps({"value": value}))
"""


def build_study(folder: Path, jobs: int) -> Path:
    """Write a miniature of so many jobs, whose training takes long enough to be cancelled."""
    build(folder)
    points = [f"point-{number:02d}" for number in range(1, jobs - BASE_JOBS + 1)]
    for number, name in enumerate(points):
        (folder / f"notebooks/{name}.py").write_text(POINT, encoding="utf-8")
        with (folder / "config/quick.yaml").open("a") as configuration:
            configuration.write(f"  {name}: {{value: {number}}}\n")
    edit(folder / "config/quick.yaml", "pause: 0.05", "pause: 0.2")
    return folder


def on_cluster(folder: Path, cluster: Mapping[str, str], **settings: str) -> dict[str, str]:
    """Return the variables of a run on the cluster, with the reader's settings for jobs as small as these."""
    small = {"CORES": "2", "MEMORY_MB": "1000", "HOURS": "12"} | settings
    return environment(folder) | cluster | {f"STABLESPIKE_{name}": value for name, value in small.items()}


def command(*arguments: str) -> list[str]:
    """Return the call of Snakemake on the cluster, asking for news of the jobs more often than a real run does."""
    interval = "--slurm-init-seconds-before-status-checks=2"
    return [sys.executable, "-m", "snakemake", "--profile", PROFILE, interval, *arguments]


@contextmanager
def running(folder: Path, variables: Mapping[str, str], *arguments: str):
    """Run Snakemake in the background, its output in run.log, and kill it if it is still there at the end."""
    with (folder / "run.log").open("w") as output:
        process = subprocess.Popen(command(*arguments), cwd=folder, env=variables, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.2)


def histories(cluster: Mapping[str, str], folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return of each study's jobs, in the order of their numbers, how they ended and with how much memory."""
    listed = ask(cluster, "squeue", "--states=all", "--noheader", "--sort=i", "--format=%k|%T|%m|%Z").splitlines()
    found: dict[str, list[tuple[str, str]]] = {}
    for comment, state, memory, place in (line.split("|") for line in listed if line.count("|") == 3):
        if place == str(folder):
            rule, _, study = comment.removeprefix("rule_").partition("_wildcards_")
            found.setdefault(study + ("-training" if rule == "train" else ""), []).append((state, memory))
    return found


def cancel_on_its_way(cluster: Mapping[str, str], folder: Path, seconds: float) -> None:
    """Cancel the training's job once its log shows that it is in the middle of its work."""
    log = folder / "logs/quick" / f"{CANCELLED}.log"
    wait_for(lambda: log.is_file() and "10/60" in log.read_text(), seconds, f"{log} shows 10/60")
    jobs = ask(cluster, "squeue", "--states=running", "--noheader", "--format=%A|%k").splitlines()
    ask(cluster, "scancel", *(job.partition("|")[0] for job in jobs if job.endswith("rule_train_wildcards_walk")))


def run_study(folder: Path, cluster: Mapping[str, str], seconds: float) -> None:
    """Run the study on the cluster, with one job failing twice and one cancelled."""
    failures = folder / ".cache/failures" / FAILS_TWICE
    failures.parent.mkdir(parents=True)
    failures.write_text("2")
    with running(folder, on_cluster(folder, cluster, PARTITION="short")) as process:
        cancel_on_its_way(cluster, folder, seconds)
        if process.wait(seconds):
            raise RuntimeError((folder / "run.log").read_text())


def differing(one: Path, other: Path) -> list[str]:
    """Return the files of the results that are not the same in both folders."""
    files = {file.relative_to(each / RESULTS) for each in (one, other) for file in (each / RESULTS).rglob("*")}
    contents = ((name, *(each / RESULTS / name for each in (one, other))) for name in sorted(files))
    return [str(name) for name, a, b in contents if not (a.is_dir() and b.is_dir()) and read(a) != read(b)]


def read(file: Path) -> bytes | None:
    """Return a file's content, or nothing where there is none."""
    return file.read_bytes() if file.is_file() else None


def main() -> int:
    """Run the study on a cluster and here, and print what became of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600, help="when to give up")
    arguments = parser.parse_args()
    if reason := why_not():
        parser.error(reason)
    with tempfile.TemporaryDirectory() as temporary, slurm(Path(temporary, "slurm")) as cluster:
        folder, local = (build_study(Path(temporary, name), arguments.jobs) for name in ("cluster", "local"))
        began = time.monotonic()
        run_study(folder, cluster, arguments.seconds)
        print(f"on Slurm: {time.monotonic() - began:.0f} s")
        ended = histories(cluster, folder)  # before Slurm forgets
        began = time.monotonic()
        snakemake(local)
        print(f"here:     {time.monotonic() - began:.0f} s")
        for name, attempts in sorted(ended.items()):
            print(f"  {name:16s}", *(f"{state} ({memory})" for state, memory in attempts))
        different = differing(folder, local)
        print("different:", *(different or ["nothing"]))
        return len(different)


if __name__ == "__main__":
    sys.exit(main())
