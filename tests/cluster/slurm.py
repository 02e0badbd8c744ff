"""A Slurm of one node and without accounting, in a folder: for tests, and to look at by hand.

`python -m tests.cluster.slurm /tmp/slurm` brings one up, says which variable to set, and ends it at Ctrl-C. It needs
root and Debian's packages `slurm-wlm` and `munge`, own ports and sockets, and nothing of a Slurm that is there already.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")

# What a machine of two cores can pretend: eight processors and 64 GB, shared between jobs by request alone.
# A node without hardware to match is accepted by `config_overrides`; nothing here needs cgroups or a database.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
ReturnToService=2
KillWait=5
MinJobAge=900
{kinds}
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 State=UNKNOWN {resources}
PartitionName=short Nodes=node Default=YES MaxTime=1-0 State=UP
PartitionName=long Nodes=node MaxTime=7-0 State=UP
"""


def why_not() -> str:
    """Return why Slurm cannot be brought up here, or nothing where it can."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"Debian's slurm-wlm and munge are not installed ({', '.join(missing)} missing)" if missing else ""


@contextmanager
def slurm(folder: Path, gpu: bool = False) -> Iterator[dict[str, str]]:
    """Run Slurm in a folder and yield the variables that its commands need; a GPU is one by name alone."""
    environment = {"SLURM_CONF": str(write_configuration(folder, gpu))} | path_with_srun(folder)
    with ExitStack() as stack:
        for command in commands(folder):
            stack.enter_context(service(command, folder, environment))
        wait_for_node(environment, folder)
        try:
            yield environment
        finally:
            cancel_everything(environment)


def write_configuration(folder: Path, gpu: bool) -> Path:
    """Write Slurm's configuration and munge's key, and return the former."""
    for name in ("", "state", "spool"):
        (folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    controller_port, node_port = free_ports(2)
    text = CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0],
        controller_port=controller_port,
        node_port=node_port,
        folder=folder,
        kinds="GresTypes=gpu" if gpu else "",
        resources="Gres=gpu:1" if gpu else "",
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    (folder / "gres.conf").write_text(
        "AutoDetect=off\nNodeName=node Name=gpu File=/dev/null\n" if gpu else "", encoding="utf-8"
    )
    return folder / "slurm.conf"


def path_with_srun(folder: Path) -> dict[str, str]:
    """Return a PATH whose srun knows the configuration.

    The executor hides all variables SLURM_* from the srun of a job, SLURM_CONF as well: it counts on /etc/slurm.
    """
    script = folder / "bin" / "srun"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}"}


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens to."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def commands(folder: Path) -> Iterator[list[str]]:
    """Yield the services in the order in which they have to start, all of them in the foreground."""
    munge = {name: folder / f"munge.{name}" for name in ("key", "socket", "pid", "log", "seed")}
    paths = [
        f"--{option}={munge[name]}"
        for option, name in [
            ("key-file", "key"),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("log-file", "log"),
            ("seed-file", "seed"),
        ]
    ]
    yield ["munged", "--foreground", "--force", *paths]
    yield ["slurmctld", "-D", "-f", str(folder / "slurm.conf")]
    yield ["slurmd", "-D", "-N", "node", "-f", str(folder / "slurm.conf")]


@contextmanager
def service(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a service with its output in a file, and end it, by force after ten seconds."""
    with (folder / f"{command[0]}.out").open("w") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the caller, who ends the services in their order
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(environment: dict[str, str], *command: str) -> str:
    """Return what one of Slurm's commands prints, or nothing where it fails."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def wait_for_node(environment: dict[str, str], folder: Path, seconds: float = 60) -> None:
    """Wait until the node takes jobs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ask(environment, "sinfo", "--noheader", "--partition=short", "--format=%T") == "idle":
            return
        time.sleep(0.5)
    output = "\n".join(f"{file.name}: {file.read_text()[-1000:]}" for file in sorted(folder.glob("*.out")))
    raise TimeoutError(f"Slurm's node was not idle within {seconds} s.\n{output}")


def cancel_everything(environment: dict[str, str], seconds: float = 30) -> None:
    """Cancel all jobs and wait until their processes are gone, which would outlive the services."""
    end = time.monotonic() + seconds
    while (jobs := ask(environment, "squeue", "--noheader", "--format=%A").split()) and time.monotonic() < end:
        ask(environment, "scancel", *jobs)
        time.sleep(0.5)


def main() -> None:
    """Run Slurm until Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", action="store_true", help="the node says that it has a GPU")
    arguments = parser.parse_args()
    if reason := why_not():
        parser.error(reason)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with slurm(arguments.folder.resolve(), arguments.gpu) as environment:
        print(*(f"export {name}={value}" for name, value in environment.items()), "# Ctrl-C ends it", flush=True)
        try:
            while True:
                time.sleep(60)
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
