"""The scheduler: trains runs on the workers of an executor, and yields what happens as events.

``bench run``, a search and its confirmation all use it. One loop waits for the next message of any worker.
Whoever consumes the events decides what is wanted (see ``Source``) and, after an epoch, whether a run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, cast

from craterbench.data.dataset import TrainVal
from craterbench.execution.executor import Executor, Worker
from craterbench.execution.run import ActiveRun
from craterbench.plugin import UserError

__all__ = [
    "CheckpointWritten",
    "EpochFinished",
    "Event",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "Scheduler",
    "Source",
    "WorkerLost",
]

#: How long is waited for a worker where there is none at all, in seconds.
_PATIENCE = 60.0

#: Seconds to wait at most for a message of a worker before looking whether there are more workers.
_LONGEST_WAIT = 5.0


@dataclass(frozen=True)
class RunStarted:
    """A worker has begun a run."""

    run: ActiveRun


@dataclass(frozen=True)
class EpochFinished:
    """A run has a new row of its history. One that can be pruned waits until this is taken: see ``ActiveRun.stop``."""

    run: ActiveRun
    row: dict[str, Any]


@dataclass(frozen=True)
class CheckpointWritten:
    """A run could go on from here."""

    run: ActiveRun


@dataclass(frozen=True)
class RunFinished:
    """A run is done, or was pruned."""

    run: ActiveRun


@dataclass(frozen=True)
class RunFailed:
    """A run has failed.

    Attributes:
        refused: whether the cause is one that the user can mend.
    """

    run: ActiveRun
    cause: str
    refused: bool = False


@dataclass(frozen=True)
class WorkerLost(RunFailed):
    """A run has failed because its worker died; it may go on from its last checkpoint."""


Event = RunStarted | EpochFinished | CheckpointWritten | RunFinished | RunFailed


class Source(Protocol):
    """Knows which runs are wanted."""

    @property
    def wanted(self) -> bool:
        """Whether a run is wanted now."""

    @property
    def ask_again(self) -> float | None:
        """In how many seconds one may be wanted although nothing has happened here; ``None`` where that cannot be."""

    def next(self, threads: int) -> ActiveRun | None:
        """Return the next run, which nobody trains yet; ``None`` if there turned out to be none.

        Args:
            threads: how many each worker has.
        """


class Scheduler:
    """Trains what a source wants, as many at once as the executor has workers."""

    def __init__(
        self,
        executor: Executor,
        *,
        allowing_ctrl_c: Callable[[], AbstractContextManager[None]],
        warm: bool = False,
        train_val: TrainVal | None = None,
        prunable: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take what all the runs share.

        Args:
            executor: what it has of workers.
            allowing_ctrl_c: in this it waits.
            warm: whether a worker may train one run after the other. Its digits are the same, but not the memory
                and the time to start up that it reports.
            train_val: the images, where the runs are to see no others.
            prunable: whether runs wait after each epoch for the answer whether to go on. They make no checkpoints.
            timeout: seconds after which a run has failed.
        """
        self._executor = executor
        self._allowing_ctrl_c = allowing_ctrl_c
        self._warm = warm
        self._train_val = train_val
        self._prunable = prunable
        self._timeout = timeout
        self._workers: dict[ActiveRun, Worker] = {}
        self._started: dict[ActiveRun, float] = {}
        self._without_worker: ActiveRun | None = None

    def events(self, source: Source) -> Generator[Event]:
        """Train until nothing is wanted any more, and yield what happens.

        Whatever stops this, such as Ctrl-C or that the iterator is closed, leaves the runs under way ``interrupted``.

        Raises:
            UserError: no worker has been free for a while, or the executor is gone.
        """
        waited = 0.0
        try:
            while True:
                yield from self._start(source)
                if self._workers:
                    waited = 0.0
                    yield from self._hear(source)
                elif source.wanted or self._without_worker is not None:
                    self._executor.check()
                    if waited >= _PATIENCE:
                        cure = "start one, and go on with --resume"
                        raise UserError(f"no worker has been free for {_PATIENCE:.0f} s; {cure}")
                    self._sleep(1.0)
                    waited += 1.0
                elif source.ask_again is not None:
                    self._sleep(source.ask_again)
                else:
                    return
        finally:
            for run, worker in self._workers.items():
                self._executor.release(worker, usable=False)  # before its folder moves, in which it may be writing
                run.interrupt()
            if self._without_worker is not None:
                self._without_worker.interrupt()

    def _start(self, source: Source) -> Generator[Event]:
        """Give every worker that is free a run, as long as runs are wanted."""
        while source.wanted or self._without_worker is not None:
            if len(self._workers) >= self._executor.workers:
                return
            run = self._without_worker or source.next(self._executor.threads)
            if run is None:
                continue
            self._without_worker = run
            worker = self._executor.acquire(run.variables)
            if worker is None:
                return
            self._workers[run], self._started[run] = worker, time.monotonic()
            self._without_worker = None
            run.begin(
                worker,
                train_val=self._train_val,
                prunable=self._prunable,
                shares_files=self._executor.shares_files,
            )
            yield RunStarted(run)
            if run.ended:
                yield self._end(run)

    def _hear(self, source: Source) -> Generator[Event]:
        """Wait a while for a message of a worker, and for no longer than until a run has taken too long."""
        of = {worker.connection: run for run, worker in self._workers.items()}
        left = [_LONGEST_WAIT, *map(self._left, self._workers)]
        if source.ask_again is not None:
            left.append(source.ask_again)
        with self._allowing_ctrl_c():
            ready = cast(list[Connection], wait(list(of), max(0.0, min(left))))
        for connection in ready:
            self._executor.check()  # or all runs would have failed, and those that were tried once more for good
            run = of[connection]
            kind, content = run.advance()
            if run.ended:
                yield self._end(run)
            elif kind == "epoch":
                yield EpochFinished(run, content)
                run.answer()
            elif kind == "checkpoint":
                yield CheckpointWritten(run)
        for run in [run for run in self._workers if self._left(run) <= 0]:
            run.fail(f"it took longer than {self._timeout:g} s, the --trial-timeout")
            yield self._end(run)

    def _left(self, run: ActiveRun) -> float:
        """Return in how many seconds a run will have taken too long."""
        return float("inf") if self._timeout is None else self._started[run] + self._timeout - time.monotonic()

    def _end(self, run: ActiveRun) -> Event:
        """Give a run's worker back, and return what came of it."""
        del self._started[run]
        self._executor.release(self._workers.pop(run), usable=self._warm and run.worker_free)
        if run.cause is None:
            return RunFinished(run)
        return WorkerLost(run, run.cause) if run.worker_lost else RunFailed(run, run.cause, run.refused)

    def _sleep(self, seconds: float) -> None:
        with self._allowing_ctrl_c():
            time.sleep(seconds)
