"""How every file of a results folder is written."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PART", "write_atomically"]

#: What the name of a file ends with while it is written.
PART = ".part"


def write_atomically(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file atomically: who reads it meanwhile finds what it was, or what it is to be.

    Args:
        path: the file; what it held is replaced.
        content: text is written as UTF-8.
        durable: whether it is on the disk when this returns, so that it is there even if the machine stops.
    """
    part = path.with_name(f"{path.name}{PART}")
    with part.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
    if durable and os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
