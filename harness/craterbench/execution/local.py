"""The executor that is always there: processes on this machine."""

from __future__ import annotations

from craterbench.execution.devices import available_cores, environment, fitting_workers, memory_of_each
from craterbench.execution.executor import ExecutorConfig, Worker
from craterbench.execution.worker import WorkerProcess
from craterbench.plugin.errors import UserError

__all__ = ["LocalExecutor", "open_executor"]


def open_executor(executor_config: ExecutorConfig) -> LocalExecutor:
    """Return the executor of this machine.

    Raises:
        UserError: an address is given, which it has none.
    """
    if executor_config.address is not None:
        raise UserError(
            f"--scheduler {executor_config.address}: the executor 'local' has no scheduler; add --executor dask"
        )
    return LocalExecutor(executor_config)


class LocalExecutor:
    """Children on this machine, which stay warm between two tasks, share the cores and are replaced when they grow."""

    def __init__(self, executor_config: ExecutorConfig) -> None:
        """Settle how many workers there are: as many as are asked for, or as cores and memory allow."""
        self._workers = executor_config.workers or fitting_workers(executor_config.device)
        self._threads = max(1, available_cores() // self._workers)
        self._most = memory_of_each(self._workers)
        self._variables = environment(
            threads=self._threads, device=executor_config.device, framework=executor_config.framework.environment
        )
        self._idle: list[WorkerProcess] = []
        self._busy: list[WorkerProcess] = []

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        for child in [*self._idle, *self._busy]:
            child.stop()

    @property
    def workers(self) -> int:
        """How many workers there can be at once."""
        return self._workers

    @property
    def threads(self) -> int:
        """How many threads each of them uses."""
        return self._threads

    def check(self) -> None:
        """Do nothing: this machine is there."""

    def acquire(self) -> Worker | None:
        """Return a child with nothing to do, a warm one if there is any; ``None`` if all are at work."""
        if len(self._busy) >= self._workers:
            return None
        while self._idle and not self._idle[-1].alive:
            self._idle.pop().stop()
        child = self._idle.pop() if self._idle else WorkerProcess(self._variables)
        self._busy.append(child)
        return child

    def release(self, worker: Worker, *, usable: bool) -> None:
        """Take a child back; one that has grown by much, or beyond its share, is replaced."""
        child = next(child for child in self._busy if child is worker)
        self._busy.remove(child)
        if usable and not child.has_grown(self._most):
            self._idle.append(child)
        else:
            child.stop()
