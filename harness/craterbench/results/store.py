"""The folder of results: runs under way, and ended runs."""

from __future__ import annotations

import contextlib
import csv
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest
from craterbench.results.files import PART, write_atomically
from craterbench.results.record import Record
from craterbench.results.statistics_file import OLD_STATISTICS, read_statistics, write_statistics

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from craterbench.results.checkpoint import Checkpoint

__all__ = ["RunFolder", "Store", "amend", "new_id", "read_history"]

_RECORD = "record.json"
_CHECKPOINT = "state.safetensors"


def new_id() -> tuple[str, str]:
    """Return an id for a run that starts now, and the time, in UTC, as ISO 8601."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}", now.isoformat(timespec="seconds")


class RunFolder:
    """The files of one run, first among the runs under way, then among the ended runs.

    Its lock is held while the run's process lives, and released by the system however that ends. It is beside the
    folder, which moves: in it, to lock a run that has just moved would make its old folder again.
    """

    def __init__(self, store: Store, record: Record, lock: filelock.BaseFileLock) -> None:
        self._store = store
        self._lock = lock
        self._written: Record | None = None
        self._num_epochs = 0
        self.path = store.running / record.id

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved config as ``benchmark.toml``."""
        import tomli_w

        write_atomically(self.path / "benchmark.toml", tomli_w.dumps(config))

    def write_record(self, record: Record) -> None:
        """Write ``record.json``, atomically, unless this is what it holds."""
        if record == self._written:
            return
        write_atomically(self.path / _RECORD, record.as_text())
        self._written = record

    def write_history(self, history: Iterable[Mapping[str, Any]]) -> None:
        """Write ``history.csv``, a row for each epoch; those that it has written it skips."""
        rows = list(history)
        if not rows:
            return
        added = rows[self._num_epochs :]
        with (self.path / "history.csv").open("a" if self._num_epochs else "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            if not self._num_epochs:
                writer.writeheader()
            writer.writerows(added)
        self._num_epochs = len(rows)

    def write_statistics(self, parts: Mapping[str, Mapping[str, npt.NDArray[np.generic]]]) -> None:
        """Write ``statistics.npz``: of each part the statistics of its images and their groups, as ``part/name``."""
        write_statistics(self.path, parts)

    def write_weights(self, weights: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Write ``weights.safetensors``, in Keras' lay-out."""
        from craterbench.results.weights import write_weights

        write_weights(self.path / "weights.safetensors", weights)

    @property
    def checkpoint_file(self) -> Path:
        """Where what the run can go on from is written."""
        return self.path / _CHECKPOINT

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write ``state.safetensors``, from which the run can go on, atomically."""
        from craterbench.results.checkpoint import write_checkpoint

        write_checkpoint(self.checkpoint_file, checkpoint)

    def remove_checkpoint(self) -> None:
        """Remove what the run could go on from, if there is any."""
        for name in (_CHECKPOINT, f"{_CHECKPOINT}{PART}"):
            (self.path / name).unlink(missing_ok=True)

    def finish(self, record: Record) -> Path:
        """Write the record, move the run to where ended runs are, and return its folder.

        Where it cannot be moved, because a folder of its name is there already, it stays among those under way.
        """
        self.write_record(record)
        return self._store.move(self.path, record, self._lock)

    def discard(self) -> None:
        """Remove the run as if it had never been, with the folders that were made for it."""
        shutil.rmtree(self.path, ignore_errors=True)
        _release_lock(self._lock)
        self._store.remove_empty()


class Store:
    """A results folder. Runs are only ever added; tables are derived from them."""

    def __init__(self, root: Path) -> None:
        """Use a folder, which is made when the first run starts."""
        self.root = root
        self.runs = root / "runs"
        self.running = root / ".running"
        self._made: set[Path] = set()

    @contextlib.contextmanager
    def start_lock(self) -> Iterator[None]:
        """Keep others out who look whether a run is under way and start it if it is not: only one may do both at once.

        The system lets go of the lock if the process dies.

        Raises:
            UserError: the results folder cannot be written.
        """
        lock = filelock.FileLock(self.running / "starting.lock")
        try:
            while not lock.is_locked:
                self._make(self.running)
                with contextlib.suppress(FileNotFoundError):  # another process has just removed the folder as empty
                    lock.acquire()
        except OSError as error:
            self.remove_empty()
            raise self._not_written(error) from None
        try:
            yield
        finally:
            _release_lock(lock)
            self.remove_empty()

    def begin(self, record: Record) -> RunFolder:
        """Make the folder of a run that starts, and the one where it will be when it has ended.

        Raises:
            UserError: the results folder cannot be written.
        """
        folder, final, lock = self.running / record.id, self.folder(record), self._lock(record.id)
        try:
            self._make(folder)
            self._make(final.parent)
            lock.acquire(timeout=0)
            run = RunFolder(self, record, lock)
            run.write_record(record)  # only now do others see the run, and its lock is held
        except OSError as error:
            _release_lock(lock)
            with contextlib.suppress(OSError):
                folder.rmdir()
            self.remove_empty()
            raise self._not_written(error) from None
        return run

    def _not_written(self, error: OSError) -> UserError:
        cure = "give another one with --results DIR"
        return UserError(f"the results folder {self.root} cannot be written ({error.strerror}); {cure}")

    def reopen(self, record: Record) -> RunFolder:
        """Move a run that was interrupted back to those under way.

        Raises:
            UserError: another process has gone on with it since its record was read.
        """
        final, lock = self.folder(record), self._lock(record.id)
        try:
            lock.acquire(timeout=0)
        except (OSError, filelock.Timeout):
            raise UserError(f"{final} cannot be gone on with: another process is at it") from None
        run = RunFolder(self, record, lock)
        try:
            if _read(final / _RECORD).as_json() != record.as_json():
                raise ValueError
            final.replace(run.path)
        except (OSError, ValueError):
            _release_lock(lock)
            self.remove_empty()
            raise UserError(
                f"{final} cannot be gone on with: another process has just done so, or has removed it"
            ) from None
        return run

    def checkpoint(self, record: Record) -> Checkpoint | None:
        """Return what a run that has ended can go on from, or ``None`` if there is nothing that can be read."""
        from craterbench.results.checkpoint import read_checkpoint

        try:
            return read_checkpoint(self.folder(record) / _CHECKPOINT)
        except ValueError:
            return None

    def move(self, folder: Path, record: Record, lock: filelock.BaseFileLock) -> Path:
        """Move a run that has ended to the ended runs, release its lock, and return its path.

        It stays where it is if it cannot be moved: no folder that is there already is ever written into.
        """
        final = self.folder(record)
        try:
            self._make(final.parent)
            path_now = folder.replace(final)
        except OSError:
            path_now = folder
        _release_lock(lock)
        self.remove_empty()
        return path_now

    def remove_empty(self) -> None:
        """Remove the folder of the runs under way, once there is none, and what else was made here and is empty."""
        try:
            self.running.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        for folder in sorted(self._made, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._made.clear()  # what is left has something in it

    def recover(self) -> tuple[list[Record], list[str]]:
        """Move the runs that a dead process left under way to the ended runs.

        Returns:
            Their records, ``interrupted`` unless they had ended, and a line on each that could not be read or moved.
        """
        recovered, damaged = [], []
        for file in sorted(self.running.glob(f"*/{_RECORD}")):
            folder = file.parent
            lock = self._lock(folder.name)
            try:
                lock.acquire(timeout=0)
                record = _read(file)
                if record.status == "running":
                    record = replace(record, status="interrupted")
                if RunFolder(self, record, lock).finish(record) == folder:
                    final = self.folder(record)
                    raise ValueError(f"{final} {'is there already' if final.exists() else 'cannot be made'}")
                recovered.append(record)
            except filelock.Timeout:
                continue  # its process lives
            except (OSError, ValueError) as error:
                _release_lock(lock)
                if file.exists():  # else its process has just moved it
                    damaged.append(f"{file}: left where it is: {error}")
        self.remove_empty()
        return recovered, damaged

    def under_way(self) -> list[Record]:
        """Return the records, as far as they are known, of the runs that living processes have under way, by their id.

        Ask only while ``start_lock``: to see whether a process lives, its lock is taken for a moment.
        """
        records = []
        for file in sorted(self.running.glob(f"*/{_RECORD}")):
            with contextlib.suppress(ValueError):  # it cannot be read, or has just been moved
                record = _read(file)
                if self.is_under_way(record.id):
                    records.append(record)
        return records

    def is_under_way(self, run: str) -> bool:
        """Say whether a living process has the run of this id under way; ask only while ``start_lock``."""
        lock = self._lock(run)
        try:
            if not (self.running / run).exists():
                return False
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        except OSError:  # the folder has just been removed
            return False
        _release_lock(lock)
        return False

    def records(self, benchmark: str | None = None) -> tuple[list[Record], list[str]]:
        """Return the records of all ended runs, oldest first, and a line on each that could not be read.

        Args:
            benchmark: the name of the one whose runs are wanted, or ``None`` for those of all.
        """
        records, damaged = [], []
        where, pattern = (self.runs, f"*/*/{_RECORD}") if benchmark is None else (self.runs / benchmark, f"*/{_RECORD}")
        for file in where.glob(pattern):
            try:
                record = _read(file)
                if record.benchmark != file.parents[1].name:
                    raise ValueError(f"it is of {record.benchmark}, not of {file.parents[1].name}")
                records.append(record)
            except ValueError as error:
                damaged.append(f"{file}: left out: {error}")
        return sorted(records, key=lambda record: record.id), sorted(damaged)

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, although another process may be removing one of them as empty."""
        self._made |= {path for path in (folder, *folder.parents) if not path.exists()}
        for _ in range(10):
            with contextlib.suppress(FileNotFoundError):
                folder.mkdir(parents=True, exist_ok=True)
                return
        folder.mkdir(parents=True, exist_ok=True)

    def _lock(self, run: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self.running / f"{run}.lock")

    def folder(self, record: Record) -> Path:
        """Return the folder of an ended run."""
        return self.runs / record.benchmark / record.id

    def find(self, name: str) -> tuple[Record, Path]:
        """Return the record and the folder of an ended run, of this store or of one of the studies in it.

        Args:
            name: the run's id, a beginning of it that no other has, or the path of its folder, wherever that is.

        Raises:
            UserError: there is none, there are several, or its record cannot be read.
        """
        folder = Path(name)
        if not (folder / _RECORD).is_file():
            known = {path.parent.name: path.parent for path in self.root.glob(f"runs/*/*/{_RECORD}")}
            known |= {path.parent.name: path.parent for path in self.root.glob(f"studies/*/runs/*/*/{_RECORD}")}
            found = (
                [known[name]] if name in known else [known[each] for each in known if name and each.startswith(name)]
            )
            if len(found) > 1:
                such_as = min(each.name for each in found)
                raise UserError(f"{len(found)} runs begin with {name!r}, such as {such_as}; give more of the id")
            if not found:
                cure = f"{nearest(name, known)}; bench table --columns benchmark,id shows them"
                raise UserError(f"there is no run {name!r} in {self.root}; {cure}")
            folder = found[0]
        try:
            return _read(folder.resolve() / _RECORD), folder
        except ValueError as error:
            raise UserError(f"{folder / _RECORD}: cannot be read: {error}") from None

    def history(self, record: Record) -> list[dict[str, float]]:
        """Return what ``read_history`` finds in the folder of a run."""
        return read_history(self.folder(record))

    def statistics(self, record: Record, part: str) -> dict[str, npt.NDArray[Any]]:
        """Return what ``read_statistics`` finds in the folder of a run."""
        return read_statistics(self.folder(record), part)


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return a row for each epoch of a run; NaN where a cell is empty.

    Raises:
        ValueError: it is missing or damaged.
    """
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise ValueError("it is missing") from None
    except (OSError, TypeError, ValueError, csv.Error):
        raise ValueError("it is damaged") from None


def amend(folder: Path, record: Record, parts: Mapping[str, Mapping[str, npt.NDArray[np.generic]]]) -> None:
    """Write the record and the statistics of an ended run again, the record last; each file atomically."""
    write_statistics(folder, parts)
    write_atomically(folder / _RECORD, record.as_text())
    (folder / OLD_STATISTICS).unlink(missing_ok=True)


def _read(file: Path) -> Record:
    """Return the record of a folder; raises ValueError if it cannot be read, or is of another one."""
    try:
        record = Record.from_json(json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number), file.parent)
    except OSError as error:
        raise ValueError(str(error.strerror)) from None
    except RecursionError:
        raise ValueError("it is no record") from None
    if record.id != file.parent.name:
        raise ValueError(f"its id, {record.id}, is not the name of its folder")
    return record


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _release_lock(lock: filelock.BaseFileLock) -> None:
    """Remove a lock's file, if the lock is held, and release it."""
    if lock.is_locked:
        with contextlib.suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
