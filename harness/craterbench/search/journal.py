"""The file that a study is kept in: Optuna's journal, a line of JSON for each thing that happened."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import TrialState

from craterbench.results.files import write_atomically

__all__ = ["SingleWriterBackend", "open_for_writing", "open_journal", "repair"]


def open_journal(file: Path) -> JournalStorage:
    """Return the storage that is kept in a file, to read it, also while another process writes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return JournalStorage(JournalFileBackend(str(file.absolute())))


def open_for_writing(file: Path) -> JournalStorage:
    """Return the storage that is kept in a file, for the process that owns the study; it is made if there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return JournalStorage(SingleWriterBackend(file.absolute()))


class SingleWriterBackend(BaseJournalBackend):
    """Optuna's journal file as its owner writes it: without a lock, for the study has one.

    What is written can be read by others at once, but is waited for until it is on the disk only where a study begins
    or a trial ends. That takes with it all that was written before, so that after a power cut the trials that had ended
    are there, and others may lack their last parameters or epochs. Nothing is read back that was written here. What
    others add meanwhile, such as a note in optuna-dashboard, is found with the next line.
    """

    def __init__(self, file: Path) -> None:
        file.touch()
        content = file.read_bytes()
        self._file = file
        self._size = len(content)
        self._unread = content.splitlines()
        self._num_read = 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the entries from a number on; what was left out once can be had no more."""
        assert log_number_from >= self._num_read
        del self._unread[: log_number_from - self._num_read]
        self._num_read = log_number_from
        yield from map(json.loads, self._unread.copy())

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries, all or none of them."""
        written = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs).encode()
        with self._file.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                rest = written
                while rest:  # what a full disk takes only in part, it refuses the second time, and says why
                    rest = rest[file.write(rest) :]
                if any(_must_last(log) for log in logs):
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # behind half a line nothing could be read
                    file.truncate(before)
                raise
            size = file.tell()
        if size != self._size + len(written):
            with self._file.open("rb") as file:
                file.seek(self._size)
                written = file.read(size - self._size)
        self._unread += written.splitlines()
        self._size = size


def _must_last(log: dict[str, Any]) -> bool:
    """Whether an entry makes a study, or ends a trial."""
    return "study_name" in log or ("state" in log and TrialState(log["state"]).is_finished())


def repair(file: Path) -> str | None:
    """Make a journal readable again after its process or its machine died, and return what was done, if anything.

    A process that dies while it writes leaves half a line, at which Optuna would stop for good. It is cut off, and a
    copy of the damaged file stays beside it. What stands behind a damaged line cannot be used either: journals number
    their trials by counting lines. Call this only where no other process uses the journal.
    """
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
    write_atomically(file, content[:sound])
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
