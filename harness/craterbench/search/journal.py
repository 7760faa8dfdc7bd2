"""The file that a study is kept in: Optuna's journal, a line of JSON for each thing that happened."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

__all__ = ["open_journal", "repair"]


def open_journal(file: Path) -> JournalStorage:
    """Return the storage that is kept in a file, for one process alone; the file is made if there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # a relative path makes the lock spin for ever if it is stale
    return JournalStorage(JournalFileBackend(str(file.absolute())))


def repair(file: Path) -> str | None:
    """Make a journal readable again after its process or its machine died, and return what was done, if anything.

    A process that dies while it writes leaves half a line, at which Optuna would stop for good. It is cut off, and a
    copy of the damaged file stays beside it. What stands behind a damaged line cannot be used either: journals number
    their trials by counting lines. Call this only where no other process uses the journal.
    """
    with contextlib.suppress(FileNotFoundError):
        Path(f"{file.absolute()}.lock").unlink()  # a stale lock: whoever held it is dead
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    sound = 0
    lines = content.splitlines(keepends=True)
    for line in lines:
        if not _whole(line):
            break
        sound += len(line)
    if sound == len(content):
        return None
    kept = file.with_name(f"{file.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    kept.write_bytes(content)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content[:sound])
    part.replace(file)
    lost = len(lines) - content[:sound].count(b"\n")
    return f"{file}: {lost} damaged line{'s' if lost > 1 else ''} at its end cut off; the file as it was is {kept.name}"


def _whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and {"op_code", "worker_id"} <= entry.keys()
