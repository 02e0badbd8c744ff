"""What envs/profiles/slurm asks a cluster for: by variables of the reader's, and by what Slurm says of itself.

Nothing here is imported by a rule or a notebook: it is read by the profile and, on a cluster, when a run starts.
"""

import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

from workflow.faults import Fault, did_you_mean
from workflow.machine import cuda_plugin

# The executor asks for the state of its jobs at least every 180 s: what Slurm has forgotten by then never ends for it.
LONGEST_WAIT = 180
UNLIMITED = 365 * 24 * 60
JOB_NAMES = "stablespike"
COMMANDS = Path("envs/profiles/slurm/bin")  # in place of Slurm's, for the executor

# Read with the prefix STABLESPIKE_: the default, and what it is.
SETTINGS = {
    "PARTITION": ("", "the partition, or several joined by commas; Slurm's default where it is empty"),
    "ACCOUNT": ("", "the account that is charged; guessed from earlier jobs where it is empty"),
    "MEMORY_MB": ("16000", "the memory of a job in MB; its second attempt gets twice, its third three times as much"),
    "CORES": ("8", "the processors of a training or conversion; an analysis gets half of them"),
    "HOURS": ("48", "how long a training may run; an analysis gets a twelfth of it"),
    "JOBS": ("50", "how many jobs are queued or running at once"),
    "GROUP": ("1", "how many analyses make one job"),
}


def setting(name: str) -> str:
    """Return a variable of the reader's, or its default."""
    return os.environ.get(f"STABLESPIKE_{name}", "").strip() or SETTINGS[name][0]


def quoted(name: str) -> str:
    """Return a variable so that Snakemake, which evaluates resources, takes it for a text whatever it is called."""
    return repr(setting(name))


def number(name: str) -> int:
    """Return a variable that has to be a positive whole number."""
    value = setting(name)
    if not re.fullmatch(r"[1-9][0-9]*", value):
        stop(f"STABLESPIKE_{name} is {SETTINGS[name][1]}: a positive whole number, not {value!r}.")
    return int(value)


def stop(sentence: str) -> NoReturn:
    """End Snakemake with one sentence: it is still reading its profile, where a Fault would be told as a traceback."""
    sys.exit(sentence)


def gpus() -> int:
    """Return how many GPUs a notebook's job asks for: one where the environment is made for CUDA, else none.

    Nothing is looked for here, as a login node need not have one.
    """
    return int(cuda_plugin() is not None)


def analysis_cores() -> int:
    """Return the processors of an analysis; one for each of a group's."""
    return max(1, number("CORES") // 2) if number("GROUP") == 1 else 1


def most_memory() -> int:
    """Return what a job may grow to in MB: a group to one run for each processor, any job to its third attempt."""
    return number("MEMORY_MB") * max(3, number("CORES"))


def training_minutes() -> int:
    """Return how long a training may run: what is asked for, or as long as the partition lets it."""
    return min(60 * number("HOURS"), partition_minutes())


def analysis_minutes() -> int:
    """Return how long an analysis may run; those of a group run one after the other at worst."""
    return max(1, min(5 * number("HOURS"), partition_minutes() // number("GROUP")))


def partition_minutes() -> int:
    """Return the longest time that the partition gives a job, the shortest such time of several partitions."""
    limits, default = time_limits()
    wanted = [name for name in setting("PARTITION").split(",") if name] or default
    if unknown := next((name for name in wanted if name not in limits), ""):
        stop(f"STABLESPIKE_PARTITION: this Slurm has no partition {unknown!r}; {did_you_mean(unknown, limits)}")
    return min((limits[name] for name in wanted), default=UNLIMITED)


def time_limits() -> tuple[dict[str, int], list[str]]:
    """Return the time limit of each partition in minutes, and the name of the default partition where there is one."""
    lines = asked_of_slurm("scontrol", "--all", "--oneliner", "show", "partition").splitlines()
    found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "PartitionName=" in line]
    limits = {each["PartitionName"]: minutes(each.get("MaxTime", "UNLIMITED")) for each in found}
    return limits, [each["PartitionName"] for each in found if each.get("Default") == "YES"]


def minutes(time: str) -> int:
    """Return Slurm's `days-hours:minutes:seconds`, or `UNLIMITED`, in minutes."""
    if time == "UNLIMITED":
        return UNLIMITED
    days, _, rest = time.rpartition("-")
    hours, minute, _ = (int(part) for part in rest.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + minute


def status_command() -> str:
    """Return the command that tells how jobs ended: `squeue` where Slurm remembers them for long enough, else `sacct`.

    `squeue` comes first since it needs no database.
    """
    configuration = asked_of_slurm("scontrol", "show", "config")
    remembered = int(entry(configuration, "MinJobAge").split()[0])
    if remembered == 0 or remembered > LONGEST_WAIT:  # 0: for ever
        return "squeue"
    if entry(configuration, "AccountingStorageType").endswith("slurmdbd"):
        return "sacct"
    stop(
        f"This Slurm has no accounting and forgets a job {remembered} s after its end (MinJobAge), so that the end can "
        f"be missed: ask its administrator for accounting or for more than {LONGEST_WAIT} s."
    )


def entry(text: str, name: str) -> str:
    """Return the value in one line `name = value` of Slurm's configuration."""
    found = re.search(rf"^{name} *= *(\S.*?) *$", text, re.MULTILINE)
    return found[1] if found else "0"


@cache
def asked_of_slurm(*command: str) -> str:
    """Return what one of Slurm's commands prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        stop(f"envs/profiles/slurm needs Slurm, and there is no {command[0]} here: start it on a login node.")
    except subprocess.TimeoutExpired:
        stop(f"Slurm did not answer `{' '.join(command)}` within a minute: try again when `sinfo` answers.")
    if done.returncode:
        complaint = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        stop(f"Slurm answers `{' '.join(command)}` by {complaint.rstrip('.')!r}: start the run where `sinfo` answers.")
    return done.stdout


def start_run() -> None:
    """Refuse jobs that an earlier run of this folder left, and let SIGTERM cancel those of this run, as Ctrl-C does.

    A Snakemake that was killed leaves its jobs in the queue, where they would write the same files as the new ones.
    """
    if left := jobs_of(Path.cwd()):
        many, they = (f"{len(left)} jobs", "they end") if len(left) > 1 else ("1 job", "it ends")
        raise Fault(
            f"Slurm still has {many} of an earlier run of this folder: wait until {they}, or "
            f"`scancel {' '.join(left)}`, after which a new run goes on from the checkpoints."
        )
    os.environ["PATH"] = f"{COMMANDS.resolve()}{os.pathsep}{os.environ['PATH']}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def jobs_of(folder: Path) -> list[str]:
    """Return the numbers of the jobs in the queue that were submitted from a folder."""
    listed = asked_of_slurm("squeue", "--me", "--noheader", "--format=%A|%j|%Z").splitlines()
    jobs = (line.strip().split("|", 2) for line in listed if line.count("|") >= 2)
    return [job for job, name, place in jobs if name.startswith(JOB_NAMES) and Path(place) == folder]
