"""The engine that is always there: processes on this machine."""

from __future__ import annotations

from craterbench.host.child import Child
from craterbench.host.devices import available_cores, environment, fitting_workers, memory_of_each
from craterbench.host.engine import Terms, Worker
from craterbench.plugin.errors import UserError

__all__ = ["LocalEngine", "open_engine"]


def open_engine(terms: Terms) -> LocalEngine:
    """Return the engine of this machine.

    Raises:
        UserError: an address is given, which it has none.
    """
    if terms.address is not None:
        raise UserError(f"--scheduler {terms.address}: the engine 'local' has no scheduler; add --engine dask")
    return LocalEngine(terms)


class LocalEngine:
    """Children on this machine, which stay warm between two tasks, share the cores and are replaced when they grow."""

    def __init__(self, terms: Terms) -> None:
        """Settle how many workers there are: as many as are asked for, or as cores and memory allow."""
        self._workers = terms.workers or fitting_workers(terms.device)
        self._threads = max(1, available_cores() // self._workers)
        self._most = memory_of_each(self._workers)
        self._variables = environment(threads=self._threads, device=terms.device, framework=terms.framework.environment)
        self._idle: list[Child] = []
        self._busy: list[Child] = []

    def __enter__(self) -> LocalEngine:
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

    def hire(self) -> Worker | None:
        """Return a child with nothing to do, a warm one if there is any; ``None`` if all are at work."""
        if len(self._busy) >= self._workers:
            return None
        while self._idle and not self._idle[-1].alive:
            self._idle.pop().stop()
        child = self._idle.pop() if self._idle else Child(self._variables)
        self._busy.append(child)
        return child

    def dismiss(self, worker: Worker, *, usable: bool) -> None:
        """Take a child back; one that has grown by much, or beyond its share, is replaced."""
        child = next(child for child in self._busy if child is worker)
        self._busy.remove(child)
        if usable and not child.has_grown(self._most):
            self._idle.append(child)
        else:
            child.stop()
