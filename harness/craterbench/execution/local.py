"""The executor that is always there: processes on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from craterbench.execution.devices import memory_of_each, workers_and_threads
from craterbench.execution.executor import ExecutionOptions, Worker
from craterbench.execution.worker import WorkerProcess
from craterbench.plugin.errors import UserError

__all__ = ["LocalExecutor", "open_executor"]


def open_executor(options: ExecutionOptions) -> LocalExecutor:
    """Return the executor of this machine.

    Raises:
        UserError: an address is given, which it has none.
    """
    if options.address is not None:
        raise UserError(f"--scheduler {options.address}: the executor 'local' has no scheduler; add --executor dask")
    return LocalExecutor(options)


class LocalExecutor:
    """Children on this machine, which stay warm between two tasks, share the cores and are replaced when they grow."""

    shares_files = True

    def __init__(self, options: ExecutionOptions) -> None:
        """Settle how many workers there are: as many as the options say, or as runs, cores and memory allow."""
        self._workers, self._threads = workers_and_threads(
            options.runs, options.workers, options.device, most=options.threads
        )
        self._most = memory_of_each(self._workers)
        self._idle: list[tuple[WorkerProcess, Mapping[str, str]]] = []
        self._busy: dict[WorkerProcess, Mapping[str, str]] = {}

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        for child in [*(child for child, _ in self._idle), *self._busy]:
            child.stop()

    @property
    def workers(self) -> int:
        """How many workers there can be at once."""
        return self._workers

    @property
    def threads(self) -> int:
        """How many threads each of them has for itself."""
        return self._threads

    def check(self) -> None:
        """Do nothing: this machine is there."""

    def acquire(self, variables: Mapping[str, str]) -> Worker | None:
        """Return a child with nothing to do, a warm one if there is any that fits; ``None`` if all are at work."""
        if len(self._busy) >= self._workers:
            return None
        while self._idle:
            child, its_own = self._idle.pop()
            if child.alive and its_own == variables:
                break
            child.stop()
        else:
            child = WorkerProcess(variables)
        self._busy[child] = variables
        return child

    def release(self, worker: Worker, *, usable: bool) -> None:
        """Take a child back; one that has grown by much, or beyond its share, is replaced."""
        child = next(child for child in self._busy if child is worker)
        variables = self._busy.pop(child)
        if usable and not child.has_grown(self._most):
            self._idle.append((child, variables))
        else:
            child.stop()
