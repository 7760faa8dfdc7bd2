"""A worker of the contract on a Dask cluster: a relay on a Dask worker, with its child, as the search sees it.

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
from craterbench_executors.mailbox import Mailbox

if TYPE_CHECKING:
    from craterbench.data.dataset import TrainVal

__all__ = ["DaskWorker", "start"]

_PATIENCE = 10  # seconds that a Dask worker with tasks of others has to begin with ours

_LOST = "lost"  # the kind of what only the executor tells

_UNREACHABLE = "it was killed, or its machine cannot be reached"


class DaskWorker:
    """A relay on a Dask worker, and its child; the worker of the contract.

    Attributes:
        address: that of the Dask worker.
        variables: the environment variables of its child.
        ticket: the key of its task, by which it is known everywhere.
        doubt: why it may be lost; whether it is, or the scheduler, whoever asks the scheduler next will know.
        lost: whether it is of no more use.
        unfit: why the Dask worker should not be hired again, if so.
        grown: whether its child should be replaced.
    """

    def __init__(self, client: Any, address: str, variables: Mapping[str, str]) -> None:
        self.address = address
        self.variables = variables
        self.ticket = f"{relay.TOPIC}-{uuid.uuid4().hex}"
        self.doubt: str | None = None
        self.lost = False
        self.unfit: str | None = None
        self.grown = False
        self._since = time.monotonic()
        self._provided: set[str] = set()
        self._client = client
        self._mailbox = Mailbox()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()  # what is sent comes in the order in which it was sent
        self._collecting = asyncio.Lock()
        self._log = Path()
        self._future = client.submit(
            relay.serve, self.ticket, variables, key=self.ticket, workers=[address], pure=False, retries=0
        )

    @property
    def connection(self) -> Connection:
        """What becomes readable when ``hear`` has something to return or to raise."""
        return self._mailbox.connection

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
        """Answer an epoch of a task that asks after each whether to go on."""
        start(self._client, self._send(self._call, relay.answer, should_continue))

    def hear(self) -> tuple[str, Any]:
        """Wait for what the child tells next, and return its kind and content, at the end ``finished``.

        Raises:
            UserError: the task cannot be done as asked.
            WorkerError: it raised.
            WorkerDied: the child died, or the Dask worker was lost.
        """
        kind, told = self._mailbox.take()
        if kind == _LOST:
            raise WorkerDied(told)
        content = pickle.loads(told)
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
        """Let it go, whatever it is doing: the relay ends, and its child with it."""
        self.lost = True
        self._client.loop.add_callback(self._ready.set)
        start(self._client, self._cancel())
        self._mailbox.close()

    def on_event(self, kind: str, content: bytes) -> None:
        """Take what the relay tells; in the event loop."""
        if self.lost:
            return
        if kind in (relay.ENDED, relay.CHECKPOINT):
            start(self._client, self._collect(kind))
        elif kind != relay.READY:
            self._mailbox.put((kind, content))
        elif self._ready.is_set():  # Dask started it again, on another process at the same address
            self.lose("it was killed, and has come back")
        else:
            self._ready.set()

    async def suspect(self, *, there: bool, elsewhere: bool) -> None:
        """Doubt that it is of use, if the Dask worker is not there or its task has ended; in the event loop.

        Args:
            elsewhere: whether the Dask worker has a task of somebody else, which ours may have to wait for.
        """
        if not there:
            self._doubt(_UNREACHABLE)
        elif self._future.done():
            self._doubt(await _why(self._future))
        elif elsewhere and not self._ready.is_set() and time.monotonic() - self._since > _PATIENCE:
            self._doubt("it is at work for somebody else")

    def _doubt(self, cause: str) -> None:
        self.doubt = self.doubt or cause

    def lose(self, cause: str) -> None:
        """Give it up; in the event loop."""
        if not self.lost:
            self.lost = True
            self._ready.set()
            self._mailbox.put((_LOST, f"the Dask worker at {self.address} was lost: {cause}"))

    async def _send(self, send: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        async with self._turn:
            await self._ready.wait()
            if not self.lost and self.doubt is None:
                await self._trying(send(*arguments))

    async def _collect(self, kind: str) -> None:
        async with self._collecting:  # or what a task could go on from would come after its end
            function = relay.collect if kind == relay.ENDED else relay.checkpoint
            content = await self._trying(self._call(function))
            if content and not self.lost:
                self._mailbox.put((kind, content))

    async def _provide(self, train_val: TrainVal) -> None:
        if not await self._call(relay.provide, train_val.digest):
            await self._call(relay.provide, train_val.digest, pickle.dumps(train_val))

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the relay's module on the Dask worker."""
        answers = await self._client.run(function, self.ticket, *arguments, workers=[self.address])
        return answers[self.address]

    async def _trying(self, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        except OSError:  # from the Dask worker, or from the scheduler
            self._doubt(_UNREACHABLE)
        except Exception as error:  # whatever it was, the relay cannot be told what it should know
            self.lose(f"{type(error).__name__}: {error}")

    async def _cancel(self) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._client.cancel([self._future])


def start(client: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run something in the client's event loop and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop)


async def _why(future: Any) -> str:
    """Say why a relay ended that nobody ended."""
    error = await future.exception() if future.status == "error" else None
    return f"its task is {future.status}" if error is None else f"{type(error).__name__}: {error}"
