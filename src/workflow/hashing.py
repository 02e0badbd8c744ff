"""Hashes of files and of anything that is JSON."""

import hashlib
import json
from pathlib import Path


def digest(content: object) -> str:
    """Return the hash of anything that is JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def short(hash: str) -> str:
    """Return the beginning of a hash, enough to tell versions of one thing apart."""
    return hash[:12]


def file_digest(file: Path) -> str:
    """Return the hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_digest(file: Path) -> str:
    """Return the md5 of a file's bytes, the checksum that older datasets are published with."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
