"""The workers of a Dask cluster, each with a warm child of ours.

A worker is hired by a Dask task, bound to one Dask worker, that lives until the worker is let go (see
``craterbench_engines.relay``). It does nothing unless it is asked. So Dask, which starts a task again whose worker was
lost, never does a trial again: the coordinator hears of the loss and decides.

All that waits for the network runs in the client's event loop; the coordinator's thread only starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import re
import uuid
import warnings
from collections.abc import Callable, Coroutine, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, Security
from distributed.comm import connect
from distributed.versions import VersionMismatchWarning

from craterbench.host.child import ChildDied, ChildError
from craterbench.host.devices import environment
from craterbench.host.engine import Terms, Worker
from craterbench.plugin import UserError
from craterbench_engines import relay
from craterbench_engines.dask_versions import at_scheduler, at_workers, differences, here, other_versions
from craterbench_engines.mailbox import Mailbox

if TYPE_CHECKING:
    from craterbench.data.dataset import Development

__all__ = ["open_engine"]

_PATIENCE = 10  # seconds to wait for the scheduler, and then for its first worker

_LOOK = 1.0  # seconds between two looks at who has come and who is gone

_LOST = "lost"  # the kind of what only the engine tells

_UNREACHABLE = "it was killed, or its machine cannot be reached"


def open_engine(terms: Terms) -> DaskEngine:
    """Connect to the scheduler at ``terms.address`` and see that what is there is what is here.

    Raises:
        UserError: no scheduler, no worker, or other versions there.
    """
    address = _checked(terms.address)
    _quieten()
    engine = DaskEngine(_connected(address), address, terms)
    try:
        engine.open()
    except BaseException:
        engine.__exit__()
        raise
    return engine


class DaskEngine:
    """Hires Dask workers, those that join later too. None is hired whose versions are not those here."""

    def __init__(self, client: Any, address: str, terms: Terms) -> None:
        self._client = client
        self._address = address
        self._terms = terms
        self._versions = here(terms.packages)
        self._threads = 1
        self._fit: dict[str, int] = {}  # the threads of each Dask worker that can be hired
        self._unfit: dict[str, str] = {}  # what differs at each that cannot
        self._hired: dict[str, _Hired] = {}
        self._idle: list[_Hired] = []
        self._gone = False
        self._watching: Any = None

    def open(self) -> None:
        """Look at the scheduler and its workers, and go on looking.

        Raises:
            UserError: there is no worker, or another version.
        """
        with contextlib.suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        if differs := differences(_start(self._client, at_scheduler(self._client)).result(), self._versions):
            raise other_versions({"the scheduler": differs})
        _start(self._client, self._look()).result()
        if self._unfit:
            raise other_versions(self._unfit)
        if not self._fit:
            cure = f"on each machine that is to train: dask worker {self._address} --nworkers 2 --nthreads 1"
            raise UserError(f"the Dask scheduler at {self._address} has no workers; start some, {cure}")
        self._threads = min(self._fit.values())
        self._client.subscribe_topic(relay.TOPIC, self._on_event)
        self._watching = _start(self._client, self._watch())

    def __enter__(self) -> DaskEngine:
        return self

    def __exit__(self, *error: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._client.unsubscribe_topic(relay.TOPIC)
        for hired in self._hired.values():
            hired.stop()
        self._client.close()

    @property
    def workers(self) -> int:
        """How many workers there can be at once, now."""
        return len(self._fit) if self._terms.workers is None else min(len(self._fit), self._terms.workers)

    @property
    def threads(self) -> int:
        """How many threads each of them uses: the fewest that a Dask worker had when the engine was opened."""
        return self._threads

    def hire(self) -> Worker | None:
        """Return a worker with nothing to do, or ``None`` if there is none just now.

        Raises:
            UserError: there will be none, for the scheduler is gone, or all that have joined have other versions.
        """
        if self._gone:
            raise UserError(f"the Dask scheduler at {self._address} is gone; start it and its workers, and go on")
        for idle in [idle for idle in self._idle if idle.lost]:
            self._idle.remove(idle)
            self.dismiss(idle, usable=False)
        if self._idle:
            return self._idle.pop()
        if self._unfit and not self._fit:
            raise other_versions(self._unfit)
        taken = {hired.address for hired in self._hired.values()}
        free = [address for address in self._fit if address not in taken]
        if not free or len(taken) == self._terms.workers:
            return None
        framework = self._terms.framework.environment
        variables = environment(threads=self._threads, device=self._terms.device, framework=framework)
        hired = _Hired(self._client, free[0], variables)
        self._hired[hired.ticket] = hired
        return hired

    def dismiss(self, worker: Worker, *, usable: bool) -> None:
        """Take a worker back; one whose child has grown beyond the memory of its Dask worker is replaced."""
        assert isinstance(worker, _Hired)
        if usable and not worker.grown:
            self._idle.append(worker)
        else:
            if worker.lost:
                self._fit = {
                    at: threads for at, threads in self._fit.items() if at != worker.address
                }  # until seen again
            del self._hired[worker.ticket]
            worker.stop()

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Hand over what a relay tells; those of other coordinators tell theirs under the same topic."""
        _, told = event
        if (hired := self._hired.get(told["ticket"])) is not None:
            hired.on_event(told["kind"], told["content"])

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_LOOK)
                await self._look()
        except Exception:  # whatever it was, nothing more will be known of the cluster
            self._gone = True
            for hired in list(self._hired.values()):
                hired.lose(f"the Dask scheduler at {self._address} is gone")

    async def _look(self) -> None:
        """See which Dask workers there are, what those that are new have installed, and whom we have lost.

        Raises:
            OSError: the scheduler cannot be reached.
        """
        if self._client.status != "running":
            raise ConnectionError("the connection to the scheduler was broken")
        threads: dict[str, int] = await self._client.nthreads()
        self._fit = {address: threads[address] for address in self._fit if address in threads}
        self._unfit = {address: differs for address, differs in self._unfit.items() if address in threads}
        for hired in list(self._hired.values()):
            if hired.address not in threads:
                hired.lose(_UNREACHABLE)
            elif hired.future.done():
                hired.lose(await _why(hired.future))
        new = [address for address in threads if address not in self._fit and address not in self._unfit]
        try:
            found = await asyncio.wait_for(at_workers(self._client, new, self._versions), _PATIENCE)
        except TimeoutError:
            return  # one of them hangs; they are asked again at the next look
        for address, versions in found.items():
            if differs := differences(versions, self._versions):
                self._unfit = {**self._unfit, address: differs}
            else:
                self._fit = {**self._fit, address: threads[address]}


class _Hired:
    """A relay on a Dask worker, and its child; the worker of the contract.

    Attributes:
        address: that of the Dask worker.
        ticket: the key of its task, by which it is known everywhere.
        future: its task.
        lost: whether it is of no more use.
        grown: whether its child should be replaced.
    """

    def __init__(self, client: Any, address: str, variables: Mapping[str, str]) -> None:
        self.address = address
        self.ticket = f"{relay.TOPIC}-{uuid.uuid4().hex}"
        self.lost = False
        self.grown = False
        self._provided: set[str] = set()
        self._client = client
        self._mailbox = Mailbox()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()  # what is sent comes in the order in which it was sent
        self._log = Path()
        self.future = client.submit(
            relay.serve, self.ticket, variables, key=self.ticket, workers=[address], pure=False, retries=0
        )

    @property
    def connection(self) -> Connection:
        """What becomes readable when ``hear`` has something to return or to raise."""
        return self._mailbox.connection

    def provide(self, development: Development) -> None:
        """Send images, unless the Dask worker has them; a task names them by their digest."""
        if development.digest not in self._provided:
            self._provided.add(development.digest)
            _start(self._client, self._send(self._provide, development))

    def ask(self, kind: str, arguments: dict[str, Any], log: Path) -> None:
        """Send a task; the log comes back with its outcome."""
        self._log = log
        _start(self._client, self._send(self._call, relay.ask, kind, pickle.dumps(arguments)))

    def answer(self, *, go_on: bool) -> None:
        """Answer an epoch of a task that asks after each whether to go on."""
        _start(self._client, self._send(self._call, relay.answer, go_on))

    def hear(self) -> tuple[str, Any]:
        """Wait for what the child tells next, and return its kind and content, at the end ``finished``.

        Raises:
            UserError: the task cannot be done as asked.
            ChildError: it raised.
            ChildDied: the child died, or the Dask worker was lost.
        """
        kind, told = self._mailbox.take()
        if kind == _LOST:
            raise ChildDied(told)
        content = pickle.loads(told)
        if kind == relay.ENDED:
            kind, content, log, self.grown = content
            with self._log.open("ab") as file:
                file.write(log)
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise ChildError(content)
        if kind == "died":
            raise ChildDied(f"{content}, on the Dask worker at {self.address}")
        return kind, content

    def stop(self) -> None:
        """Let it go, whatever it is doing: the relay ends, and its child with it."""
        self.lost = True
        self._client.loop.add_callback(self._ready.set)
        _start(self._client, self._cancel())
        self._mailbox.close()

    def on_event(self, kind: str, content: bytes) -> None:
        """Take what the relay tells; in the event loop."""
        if self.lost:
            return
        if kind == relay.ENDED:
            _start(self._client, self._collect())
        elif kind != relay.READY:
            self._mailbox.put((kind, content))
        elif self._ready.is_set():  # Dask started it again, on another process at the same address
            self.lose("it was killed, and has come back")
        else:
            self._ready.set()

    def lose(self, cause: str) -> None:
        """Give it up; in the event loop."""
        if not self.lost:
            self.lost = True
            self._ready.set()
            self._mailbox.put((_LOST, f"the Dask worker at {self.address} was lost: {cause}"))

    async def _send(self, send: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        async with self._turn:
            await self._ready.wait()
            if not self.lost:
                await self._trying(send(*arguments))

    async def _collect(self) -> None:
        outcome = await self._trying(self._call(relay.collect))
        if not self.lost:
            self._mailbox.put((relay.ENDED, outcome))

    async def _provide(self, development: Development) -> None:
        if not await self._call(relay.provide, development.digest):
            await self._call(relay.provide, development.digest, pickle.dumps(development))

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the relay's module on the Dask worker."""
        answers = await self._client.run(function, self.ticket, *arguments, workers=[self.address])
        return answers[self.address]

    async def _trying(self, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        except OSError:
            self.lose(_UNREACHABLE)
        except Exception as error:  # whatever it was, the relay cannot be told what it should know
            self.lose(f"{type(error).__name__}: {error}")

    async def _cancel(self) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._client.cancel([self.future])


def _start(client: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run something in the client's event loop and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop)


def _checked(address: str | None) -> str:
    if address is None:
        raise UserError("engine 'dask' needs the address of a scheduler: --scheduler HOST:PORT")
    if not re.fullmatch(r"([a-z]+://)?(\[[^\]]+\]|[^\s:/]+):\d+", address):
        raise UserError(f"--scheduler {address}: give HOST:PORT, as dask scheduler prints it, such as 192.168.1.5:8786")
    return address


def _connected(address: str) -> Any:
    """Return a client of the scheduler, which says nothing of versions: they are compared here."""
    try:
        asyncio.run(_greet(address))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        port = address.rpartition(":")[2]
        cure = f"start one there: dask scheduler --port {port}"
        raise UserError(f"no Dask scheduler answers at {address} ({error or 'time is up'}); {cure}") from error


async def _greet(address: str) -> None:
    """Raise an OSError unless Dask answers; a client waits for ever at a port where somebody else says nothing."""
    secured = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=_PATIENCE, **secured), _PATIENCE)
    comm.abort()


def _quieten() -> None:
    """Keep the terminal clean: what goes wrong is told as an error or as the state of a trial."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


async def _why(future: Any) -> str:
    """Say why a relay ended that nobody ended."""
    error = await future.exception() if future.status == "error" else None
    return f"its task is {future.status}" if error is None else f"{type(error).__name__}: {error}"
