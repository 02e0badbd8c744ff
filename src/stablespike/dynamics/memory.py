"""Runs that this machine has not the memory for are refused before they start."""

import os


def require_memory(needed: int, what: str) -> None:
    """Raise `MemoryError` if this machine has less memory than `needed` bytes."""
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise MemoryError(f"{what} would take {needed / 1e9:.3g} GB, and this machine has {present / 1e9:.3g} GB.")
