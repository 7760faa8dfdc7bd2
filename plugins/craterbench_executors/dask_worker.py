"""The worker of the contract on a Dask cluster: the near end of a relay on a Dask worker and its child.

All that waits for the network runs in the client's event loop; the loop's thread only starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craterbench.execution.worker import WorkerDied, WorkerError
from craterbench.plugin import UserError
from craterbench_executors import relay
from craterbench_executors.event_queue import EventQueue

if TYPE_CHECKING:
    from craterbench.data.dataset import TrainVal

__all__ = ["DaskWorker", "start"]

_PATIENCE = 10  # seconds that a Dask worker with tasks of others has to begin with ours

_LOST = "lost"  # the kind of event that only the executor puts

_UNREACHABLE = "it was killed, or its machine cannot be reached"


class DaskWorker:
    """A relay on a Dask worker, and its child; the worker of the contract.

    Attributes:
        address: that of the Dask worker.
        variables: the environment variables of its child.
        task_key: the key of its Dask task, which identifies it everywhere.
        suspect_cause: why it may be lost. Whether it is, or the scheduler, the next call to the scheduler shows.
        lost: whether it is of no more use.
        unfit: why the Dask worker should not be acquired again, if so.
        grown: whether its child should be replaced.
    """

    def __init__(self, client: Any, address: str, variables: Mapping[str, str]) -> None:
        self.address = address
        self.variables = variables
        self.task_key = f"{relay.TOPIC}-{uuid.uuid4().hex}"
        self.suspect_cause: str | None = None
        self.lost = False
        self.unfit: str | None = None
        self.grown = False
        self._since = time.monotonic()
        self._provided: set[str] = set()
        self._client = client
        self._events = EventQueue()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()  # what is sent comes in the order in which it was sent
        self._collecting = asyncio.Lock()
        self._log = Path()
        self._future: Any = None

    def start(self) -> None:
        """Start the relay. Whoever hands over its events knows the worker by then: its first may come at once."""
        self._future = self._client.submit(
            relay.serve, self.task_key, self.variables, key=self.task_key, workers=[self.address], pure=False, retries=0
        )

    @property
    def connection(self) -> Connection:
        """What becomes readable when ``hear`` has something to return or to raise."""
        return self._events.connection

    def provide(self, train_val: TrainVal) -> None:
        """Send images, unless the Dask worker has them; a task names them by their digest."""
        if train_val.digest not in self._provided:
            self._provided.add(train_val.digest)
            start(self._client, self._send(self._provide, train_val))

    def ask(self, kind: str, arguments: dict[str, Any], log: Path) -> None:
        """Send a task; the log comes back with its outcome."""
        self._log = log
        start(self._client, self._send(self._call, relay.ask, kind, pickle.dumps(arguments)))

    def answer(self, *, should_continue: bool) -> None:
        """Answer an epoch of an interactive task: whether to go on."""
        start(self._client, self._send(self._call, relay.answer, should_continue))

    def hear(self) -> tuple[str, Any]:
        """Wait for what the child sends next, and return its kind and content, at the end ``finished``.

        Raises:
            UserError: the task cannot be done, for a reason that the user can mend.
            WorkerError: it raised.
            WorkerDied: the child died, or the Dask worker was lost.
        """
        kind, content = self._events.get()
        if kind == _LOST:
            raise WorkerDied(content)
        content = pickle.loads(content)
        if kind == relay.ENDED:
            kind, content, log, self.grown = content
            with self._log.open("ab") as file:
                file.write(log)
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise WorkerError(content)
        if kind == relay.UNREADABLE:
            self.unfit = f"it cannot read a trial: {content}"
            raise WorkerDied(f"the Dask worker at {self.address} is unfit: {self.unfit}")
        if kind == "died":
            raise WorkerDied(f"{content}, on the Dask worker at {self.address}")
        return kind, content

    def stop(self) -> None:
        """End it, whatever it is doing: the relay ends, and its child with it."""
        self.lost = True
        self._client.loop.add_callback(self._ready.set)
        start(self._client, self._cancel())
        self._events.close()

    def on_event(self, kind: str, content: bytes) -> None:
        """Take an event of the relay; in the event loop."""
        if self.lost:
            return
        if kind in (relay.ENDED, relay.CHECKPOINT):
            start(self._client, self._collect(kind))
        elif kind != relay.READY:
            self._events.put((kind, content))
        elif self._ready.is_set():  # Dask started it again, on another process at the same address
            self.mark_lost("it was killed, and has come back")
        else:
            self._ready.set()

    async def check(self, *, there: bool, elsewhere: bool) -> None:
        """Mark it suspect if the Dask worker is not there or its task has ended; in the event loop.

        Args:
            elsewhere: whether the Dask worker has a task of somebody else, which ours may have to wait for.
        """
        if not there:
            self._mark_suspect(_UNREACHABLE)
        elif self._future is not None and self._future.done():
            self._mark_suspect(await _why(self._future))
        elif elsewhere and not self._ready.is_set() and time.monotonic() - self._since > _PATIENCE:
            self._mark_suspect("it is at work for somebody else")

    def _mark_suspect(self, cause: str) -> None:
        self.suspect_cause = self.suspect_cause or cause

    def mark_lost(self, cause: str) -> None:
        """Mark it lost, for good; in the event loop."""
        if not self.lost:
            self.lost = True
            self._ready.set()
            self._events.put((_LOST, f"the Dask worker at {self.address} was lost: {cause}"))

    async def _send(self, send: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        async with self._turn:
            await self._ready.wait()
            if not self.lost and self.suspect_cause is None:
                await self._trying(send(*arguments))

    async def _collect(self, kind: str) -> None:
        async with self._collecting:  # or what a task could go on from would come after its end
            function = relay.collect if kind == relay.ENDED else relay.checkpoint
            content = await self._trying(self._call(function))
            if content and not self.lost:
                self._events.put((kind, content))

    async def _provide(self, train_val: TrainVal) -> None:
        if not await self._call(relay.provide, train_val.id):
            await self._call(relay.provide, train_val.id, pickle.dumps(train_val))

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the relay's module on the Dask worker."""
        answers = await self._client.run(function, self.task_key, *arguments, workers=[self.address])
        return answers[self.address]

    async def _trying(self, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        except OSError:  # from the Dask worker, or from the scheduler
            self._mark_suspect(_UNREACHABLE)
        except Exception as error:  # whatever it was, the relay cannot be sent what it needs
            self.mark_lost(f"{type(error).__name__}: {error}")

    async def _cancel(self) -> None:
        if self._future is not None:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._client.cancel([self._future])


def start(client: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run something in the client's event loop and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop)


async def _why(future: Any) -> str:
    """Say why a relay ended that nobody ended."""
    error = await future.exception() if future.status == "error" else None
    return f"its task is {future.status}" if error is None else f"{type(error).__name__}: {error}"
