"""Runs that there is not the memory for are refused before they start."""

import os
import resource
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def require_memory(needed: int, what: str) -> None:
    """Raise `MemoryError` if the machine, or what this process may take of it, has less than `needed` bytes."""
    present = memory_here()
    if needed > present:
        raise MemoryError(f"{what} would take {needed / 1e9:.3g} GB, and there are {present / 1e9:.3g} GB here.")


def memory_here() -> int:
    """Bytes that this process may take: those of the machine, or fewer under `ulimit -v` or in a cgroup."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [] if limit == resource.RLIM_INFINITY else [limit]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits, *allotted()])


@cache
def allotted(groups: str = "/proc/self/cgroup", system: str = "/sys/fs/cgroup") -> tuple[int, ...]:
    """What cgroups (version 2) allow, by which batch systems and containers share out a machine."""
    try:
        lines = Path(groups).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    names = [line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")]
    return tuple(limit for name in names for limit in _limits(Path(system), name))


def _limits(system: Path, name: str) -> Iterator[int]:
    """The limits of a group and of those that it lies in; "max", or no file, is none."""
    group = system / name
    for place in (group, *group.parents):
        if place.is_relative_to(system):
            try:
                yield int((place / "memory.max").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
