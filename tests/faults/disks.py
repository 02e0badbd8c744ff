"""Disks that are full, have a quota or cannot be written: real ones, mounted for one run where the system lets us."""

import random
import shutil
import subprocess
from functools import cache
from pathlib import Path

# The run sees the folder on a small disk; what it left is put back in its place afterwards.
ON_A_SMALL_DISK = """
folder=$1 room=$2 kind=$3; shift 3
used=$(du -sk "$folder" | cut -f1)
case $kind in
    quota) options=size=1g,usrquota,usrquota_block_hardlimit=$((used + room))k ;;
    *) options=size=$((used + room))k ;;
esac
mount -t tmpfs -o "$options" none /mnt && cp -a "$folder/." /mnt/ || exit 99
mount --bind /mnt "$folder" && cd "$folder" || exit 99
setpriv --bounding-set=-sys_resource "$@"
status=$?
cd / && umount "$folder" && cp -a /mnt/. "$folder/" && exit $status
"""

READ_ONLY = """
place=$1; shift
mkdir -p "$place" && mount --bind "$place" "$place" && mount -o remount,ro,bind "$place" && cd "$PWD" && exec "$@"
"""

ROOMS = (1100, 1200, 1400, 1600, 1800, 2000, 2400, 2800)  # kB; a run asks for 1000 before it begins
PLACES = (".", "results", ".cache", "logs", ".snakemake", "results/quick/walk-training")


@cache
def mountable() -> bool:
    """Whether this system lets us mount a disk of our own."""
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def small(command: list[str], folder: Path, chance: random.Random, kind: str) -> list[str]:
    """A command that runs in a folder on a disk with little room."""
    room = str(chance.choice(ROOMS))
    return ["unshare", "-m", "sh", "-c", ON_A_SMALL_DISK, "sh", str(folder), room, kind, *command]


def read_only(command: list[str], folder: Path, chance: random.Random) -> list[str]:
    """A command that runs in a folder of which a part, or all, cannot be written."""
    return ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(folder / chance.choice(PLACES)), *command]
