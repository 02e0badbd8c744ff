"""Runs of the miniature workflow that something happens to: `python -m tests.faults.runs --tries 2` prints the table.

With `--keep FILE` each try is a line of that file as soon as it is over, and tries of the same code that stand there
are not made again: what is stopped goes on where it was, and two of it with other faults can share a file.

A fault strikes one run at a moment drawn from a seed. Then the same command is given again, and where it answers with a
sentence that says what to remove, that is removed, once. It survives if the command succeeds, nothing was left running
and nobody had to unlock anything; its bytes are compared with those of a run that nothing happened to.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import disks
from tests.workflow import miniature

from workflow.hashing import digest, file_digest

RESULTS = Path("results/quick")
TARGET = str(RESULTS / "walk/numbers.json")
REMOVE = re.compile(r"^(\S+)[^\n]*: remove it\b|remove (\S+?)[,.]? (?:to|and|or)\b", re.MULTILINE)
PATIENCE = 180


@dataclass
class Try:
    """One run that something happened to: how it ended, and the run after it."""

    fault: str
    seed: int = 0
    said: str = ""
    left_running: int = 0
    again: str = ""
    survived: bool = False
    differing: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether all results are those of a run that nothing happened to."""
        return not self.differing

    @property
    def traceback(self) -> bool:
        """Whether one of the two runs ended in a traceback."""
        return "Traceback" in self.said + self.again

    @property
    def unlock(self) -> bool:
        """Whether the run after it wanted to be unlocked by hand."""
        return "unlock" in self.again.lower()


def command(folder: Path) -> list[str]:
    """Return what `./reproduce` runs in a folder; an older repository has no start of its own."""
    start = "workflow.start" if (folder / "src/workflow/start.py").exists() else "snakemake"
    return [sys.executable, "-m", start, "--cores", "2", TARGET]


def started(folder: Path, line: list[str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start a run, or another command line, in a process group of its own."""
    given = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    environment = miniature.environment(folder)
    return subprocess.Popen(line or command(folder), cwd=folder, env=environment, **(given | options))


def ended(run: subprocess.Popen[str]) -> str:
    """Wait for a run and return what it said."""
    try:
        return run.communicate(timeout=PATIENCE)[1] or ""
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        return "Traceback: it hung"


def at_work(folder: Path) -> dict[int, str]:
    """Return the processes that work in a folder, with their command lines."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(place / "cwd")).is_relative_to(folder) and int(place.name) != os.getpid():
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
    return {number: line for number, line in found.items() if line}


# What may happen


def signalled(folder: Path, chance: random.Random, seconds: float, who: str, number: int) -> str:
    """Send a signal to the processes of a kind, or to all of the group, at a moment of the run."""
    run = started(folder)
    time.sleep(chance.uniform(0.1, 0.95) * seconds)
    while run.poll() is None:
        if who == "group":
            os.killpg(run.pid, number)
            break
        if struck := [one for one, line in at_work(folder).items() if re.search(who, line)]:
            for one in struck:
                send(one, number)
            break
        time.sleep(0.05)
    return ended(run)


def send(process: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def reader_left(folder: Path, chance: random.Random, seconds: float) -> str:
    """Close the pipe that the run writes to."""
    run = started(folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(chance.uniform(0.1, 0.95) * seconds)
    run.stdout.close()  # type: ignore[union-attr]
    run.stdout = None
    return ended(run)


def limited(folder: Path, chance: random.Random, _: float, what: int, sizes: tuple[int, ...]) -> str:
    """Run under a limit of the system's: of a file's size or of a process's memory."""
    size = chance.choice(sizes)
    return ended(started(folder, preexec_fn=partial(resource.setrlimit, what, (size, resource.RLIM_INFINITY))))


def small_disk(folder: Path, chance: random.Random, _: float, kind: str) -> str:
    """Run on a disk that becomes full, or beyond a quota."""
    return ended(started(folder, disks.small(command(folder), folder, chance, kind)))


def read_only(folder: Path, chance: random.Random, _: float) -> str:
    """Run where something is mounted read-only."""
    return ended(started(folder, disks.read_only(command(folder), folder, chance)))


def unwritable(folder: Path, chance: random.Random, _: float) -> str:
    """Run where a file lies in the place of a folder, which no right of an administrator overcomes."""
    place = folder / chance.choice(["results", ".cache", "logs", ".cache/plans", "results/quick/walk-training"])
    kept = folder.with_name("kept")
    if place.exists():
        place.rename(kept)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    said = ended(started(folder))
    place.unlink()
    if kept.exists():
        kept.rename(place)
    return said


def clock_back(folder: Path, chance: random.Random, seconds: float) -> str:
    """Kill a run and make all that it left a day younger than now."""
    said = signalled(folder, chance, seconds, "group", signal.SIGKILL)
    for path in folder.rglob("*"):
        os.utime(path, (time.time() + 86400,) * 2, follow_symlinks=False)
    return said


def private(folder: Path, _: random.Random, __: float) -> str:
    """Run under a umask that lets nobody else read."""
    return ended(started(folder, umask=0o077))


def two_at_once(folder: Path, chance: random.Random, seconds: float) -> str:
    """Start a second run while the first is at work, which is refused."""
    first = started(folder)
    time.sleep(chance.uniform(0.0, 0.7) * seconds)
    second = started(folder)
    said = [ended(first), ended(second)]
    return "\n".join(said)


def damaged(folder: Path, chance: random.Random, _: float, raw: bool) -> str:
    """Flip a bit of a result, or cut it off, after the run."""
    said = ended(started(folder))
    where = [path for path in sorted((folder / RESULTS).rglob("*")) if path.is_file()]
    path = chance.choice([path for path in where if ("raw" in path.parts) == raw and path.name != "made_from.txt"])
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content if chance.random() < 0.5 else content[:place])
    if raw:
        (folder / RESULTS / "walk/provenance.json").unlink()  # so that the raw files are read again
    return said


Strike = Callable[[Path, random.Random, float], str]
FAULTS: dict[str, Strike] = {
    "kill -9 of the kernel": partial(signalled, who="ipykernel_launcher", number=signal.SIGKILL),
    "kill -9 of the job": partial(signalled, who=r"-m workflow\.run", number=signal.SIGKILL),
    "kill -9 of Snakemake": partial(signalled, who=r"-m (workflow\.start|snakemake)", number=signal.SIGKILL),
    "kill -9 of the group": partial(signalled, who="group", number=signal.SIGKILL),
    "SIGINT to Snakemake": partial(signalled, who=r"-m (workflow\.start|snakemake)", number=signal.SIGINT),
    "SIGTERM to Snakemake": partial(signalled, who=r"-m (workflow\.start|snakemake)", number=signal.SIGTERM),
    "Ctrl-C (SIGINT to the group)": partial(signalled, who="group", number=signal.SIGINT),
    "SIGTERM to the group": partial(signalled, who="group", number=signal.SIGTERM),
    "the reader of the pipe leaves": reader_left,
    "disk full": partial(small_disk, kind="full"),
    "beyond the quota": partial(small_disk, kind="quota"),
    "mounted read-only": read_only,
    "a file too large (ulimit -f)": partial(limited, what=resource.RLIMIT_FSIZE, sizes=(0, 300, 3000, 30000)),
    "little memory (ulimit -v)": partial(
        limited, what=resource.RLIMIT_AS, sizes=tuple(n << 20 for n in (200, 400, 800))
    ),
    "a place that cannot be written": unwritable,
    "clock back by a day": clock_back,
    "umask 077": private,
    "two runs at once": two_at_once,
    "a result flipped or cut": partial(damaged, raw=False),
    "a raw file flipped or cut": partial(damaged, raw=True),
}
MOUNTED = ("disk full", "beyond the quota", "mounted read-only")  # where the system lets us mount


class Workshop:
    """A miniature that ran once without a fault, and copies of it as it was before."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fresh = miniature.build(place / "fresh")
        with self.copied() as folder:  # a first run fills what later ones find: lists of fonts, byte code
            ended(started(folder))
            for kept in (".cache/matplotlib", "src"):
                if (folder / kept).is_dir():
                    shutil.copytree(folder / kept, self.fresh / kept, dirs_exist_ok=True)
        with self.copied() as folder:
            began = time.monotonic()
            said = ended(started(folder))
            self.seconds = time.monotonic() - began
            self.reference = products(folder)
            assert self.reference, said

    @contextmanager
    def copied(self) -> Iterator[Path]:
        """Return a copy of the miniature, always under the same path, which products may not depend on but logs do."""
        folder = self.place / "copy"
        shutil.copytree(self.fresh, folder)
        yield folder
        shutil.rmtree(folder)

    def tried(self, fault: str, seed: int) -> Try:
        """Let a fault strike a run, give the command again, and return what became of it."""
        with self.copied() as folder:
            found = Try(fault, seed, FAULTS[fault](folder, random.Random(f"{fault}-{seed}"), self.seconds))
            time.sleep(3)
            found.left_running = len(at_work(folder))
            run = started(folder)
            found.again = ended(run)
            if run.returncode and (asked := REMOVE.search(found.again)):
                (folder / (asked[1] or asked[2])).unlink()
                run = started(folder)
                found.again += ended(run)
            after = products(folder)
            names = sorted(after.keys() | self.reference.keys())
            found.differing = tuple(name for name in names if after.get(name) != self.reference.get(name))
            found.survived = run.returncode == 0 and not found.left_running
            return found


def products(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all results."""
    place = folder / RESULTS
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def table(tries: list[Try]) -> str:
    """Return the table: a row for each fault."""
    rows = ["| fault | tries | survived | same bytes | traceback | unlock by hand |", "|---|---|---|---|---|---|"]
    for fault in dict.fromkeys(found.fault for found in tries):
        of_it = [found for found in tries if found.fault == fault]
        counts = [sum(getattr(one, what) for one in of_it) for what in ("survived", "same", "traceback", "unlock")]
        rows.append(f"| {fault} | {len(of_it)} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def kept(file: Path | None, code: str) -> list[Try]:
    """Return the tries of this code that a file has."""
    lines = file.read_text(encoding="utf-8").splitlines() if file and file.exists() else []
    read = [json.loads(line) for line in lines]
    return [Try(**one["try"] | {"differing": tuple(one["try"]["differing"])}) for one in read if one["code"] == code]


def keep(file: Path | None, code: str, one: Try) -> None:
    """Add a try to the file."""
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"code": code, "try": asdict(one)}) + "\n")


def code_of(folder: Path) -> str:
    """Return the hash of what runs in a miniature."""
    return digest({str(path.relative_to(folder)): file_digest(path) for path in folder.rglob("*") if path.is_file()})


def troubled(one: Try) -> str:
    """Return what a try that did not go well said; nothing for the others."""
    if one.survived and one.same and not one.traceback and not one.unlock:
        return ""
    differing = ", ".join(one.differing) or "none"
    head = f"\n## {one.fault}, seed {one.seed}: {one.left_running} left running; other bytes: {differing}"
    return f"{head}\n{one.said[-1500:]}\n# again\n{one.again[-1500:]}"


def main() -> None:
    """Let every fault strike some runs and print the table; what did not go well is told below it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tries", type=int, default=2, help="runs for each fault")
    parser.add_argument("--minutes", type=float, default=60, help="no new try begins after these")
    parser.add_argument("--only", default="", help="a regular expression that the fault's name has to match")
    parser.add_argument("--repository", type=Path, default=miniature.ROOT, help="whose workflow to run")
    parser.add_argument("--keep", type=Path, help="a file of the tries, which are not made again")
    chosen = parser.parse_args()
    miniature.ROOT = chosen.repository.resolve()
    until = time.monotonic() + 60 * chosen.minutes
    faults = [name for name in FAULTS if re.search(chosen.only, name) and (name not in MOUNTED or disks.mountable())]
    with tempfile.TemporaryDirectory() as place:
        code = code_of(miniature.build(Path(place, "read")))
        tries = [one for one in kept(chosen.keep, code) if one.fault in faults and one.seed < chosen.tries]
        done = {(one.fault, one.seed) for one in tries}
        left = [(fault, seed) for seed in range(chosen.tries) for fault in faults if (fault, seed) not in done]
        workshop = Workshop(Path(place).resolve()) if left else None
        for fault, seed in left if workshop else ():
            if time.monotonic() < until:
                tries.append(workshop.tried(fault, seed))
                keep(chosen.keep, code, tries[-1])
                print(fault, seed, tries[-1].survived, tries[-1].same, file=sys.stderr, flush=True)
    print(table(tries), *filter(None, map(troubled, tries)), sep="\n")


if __name__ == "__main__":
    main()
