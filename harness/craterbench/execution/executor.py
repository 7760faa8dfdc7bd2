"""The contract between the scheduler and what trains its runs: here, or on other machines.

An executor hands out workers, of which each does one task at a time and stays warm between two. A ``WorkerProcess`` is
a worker; that of another executor behaves as one does, and says by ``WorkerDied`` that it was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry

if TYPE_CHECKING:
    from craterbench.data.dataset import TrainVal

__all__ = ["ExecutionOptions", "Executor", "Worker", "open_executor"]


class Worker(Protocol):
    """A process, here or elsewhere, that does one task after the other."""

    @property
    def connection(self) -> Connection:
        """What becomes readable when ``hear`` has something to return or to raise, so that many can be waited for."""

    def provide(self, train_val: TrainVal) -> None:
        """Send images, once: a task names them by their id."""

    def ask(self, kind: str, arguments: dict[str, Any], log: Path) -> None:
        """Send a task; ``hear`` returns its outcome, or raises if the worker has died.

        Args:
            log: the file, on this machine, in which all that the task prints is found when it has ended.
        """

    def hear(self) -> tuple[str, Any]:
        """Wait for the next message of the worker, and return its kind and content, at the end ``finished``.

        Raises:
            UserError: the task cannot be done, for a reason that the user can mend.
            WorkerError: it raised.
            WorkerDied: the worker died.
        """

    def answer(self, *, should_continue: bool) -> None:
        """Answer an epoch of an interactive task: whether to go on."""

    def stop(self) -> None:
        """End the worker, whatever it is doing; it will not be used again."""


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """How runs are trained; none of it changes what they are.

    Attributes:
        executor: its name.
        device: ``auto``, ``cpu`` or ``gpu``.
        workers: how many runs at once, or ``None`` for what the executor finds right.
        address: of a scheduler of other machines, as ``HOST:PORT``.
        packages: the versions, as they are here, of what can move a digit: libraries, the framework, and the
            distributions of the plugins that runs use.
        runs: how many runs there are, if that is known.
        threads: how many threads one of the runs has anyway.
    """

    executor: str = "local"
    device: str = "auto"
    workers: int | None = None
    address: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    runs: int | None = None
    threads: int = 1


class Executor(Protocol):
    """Hands out workers. Use it as a context manager, so that none outlives it."""

    @property
    def shares_files(self) -> bool:
        """Whether its workers find the files of this process by their paths."""

    @property
    def workers(self) -> int:
        """How many workers there can be at once, now."""

    @property
    def threads(self) -> int:
        """How many threads each of them uses."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *error: object) -> None: ...

    def check(self) -> None:
        """See that the executor is there at all: if it is gone, a lost worker is not the fault of its run.

        Raises:
            UserError: it is gone, and all its workers with it.
        """

    def acquire(self, variables: Mapping[str, str]) -> Worker | None:
        """Return a worker with nothing to do, or ``None`` if there is none just now.

        Args:
            variables: the environment variables that it had before its first import (see
                ``craterbench.execution.devices.environment``).

        Raises:
            UserError: there will be none any more.
        """

    def release(self, worker: Worker, *, usable: bool) -> None:
        """Take a worker back.

        Args:
            usable: whether it has ended its task; otherwise it is stopped, and another takes its place.
        """


def open_executor(registry: Registry, options: ExecutionOptions) -> Executor:
    """Return the executor of this name, a context manager.

    Raises:
        UserError: there is none of that name, it is not installed, or it has no workers or other versions there.
    """
    spec = registry.get("executor", options.executor)
    spec.check_installed()
    executor: Executor = load(spec.target)(options)
    return executor
