"""The workers of a Dask cluster, each with a warm child of ours.

A worker is acquired by a Dask task, bound to one Dask worker, that lives until the worker is released (see
``craterbench_executors.relay``). It is idle until it is sent a run. So Dask, which starts a task again whose worker was
lost, never repeats a trial: the scheduler of runs is informed of the loss and decides.

All that waits for the network runs in the client's event loop; the loop's thread only starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import warnings
from collections.abc import Mapping
from typing import Any

from distributed import Client, Security
from distributed.comm import connect
from distributed.core import send_recv
from distributed.versions import VersionMismatchWarning

from craterbench.execution.executor import ExecutionOptions, Worker
from craterbench.plugin import UserError
from craterbench_executors import relay
from craterbench_executors.dask_versions import at_scheduler, differences, found, here, other_versions, question
from craterbench_executors.dask_worker import DaskWorker, start

__all__ = ["open_executor"]

_PATIENCE = 10  # seconds to wait for the scheduler, for its first worker, and for an answer of each

_LOOK = 1.0  # seconds between two looks at who has come and who is gone

_UNFIT = 30  # seconds to wait for a Dask worker that fits when there are only others


def open_executor(options: ExecutionOptions) -> DaskExecutor:
    """Connect to the scheduler at ``options.address`` and see that what is there is what is here.

    Raises:
        UserError: no scheduler, no worker, one that does not answer, or other versions there.
    """
    address = _checked(options.address)
    _quieten()
    executor = DaskExecutor(_connected(address, here(options.packages)), address, options)
    try:
        executor.open()
    except OSError as error:
        executor.__exit__()
        raise _no_scheduler(address, error) from error
    except BaseException:
        executor.__exit__()
        raise
    return executor


class DaskExecutor:
    """Hands out Dask workers, those that join later too. Those with other versions than here are never acquired."""

    shares_files = False

    def __init__(self, client: Any, address: str, options: ExecutionOptions) -> None:
        self._client = client
        self._link = client.scheduler_comm  # another one is to another scheduler, which knows nothing of us
        self._address = address
        self._options = options
        self._versions = here(options.packages)
        self._threads = 1
        self._fit: dict[str, int] = {}  # the threads of each Dask worker that can be acquired
        self._unfit: dict[str, str] = {}  # what is wrong with each that cannot
        self._elsewhere: set[str] = set()  # those that are at work for somebody else
        self._handshakes: dict[str, asyncio.Task[None]] = {}
        self._had_fit = time.monotonic()
        self._workers: dict[str, DaskWorker] = {}
        self._idle: list[DaskWorker] = []
        self._gone = False
        self._watching: Any = None

    def open(self) -> None:
        """Look at the workers of the scheduler, and go on looking.

        Raises:
            UserError: there is no worker, one that does not answer, or another version.
            OSError: the scheduler cannot be reached.
        """
        with contextlib.suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        silent = start(self._client, self._survey()).result()
        if self._unfit:
            raise other_versions(self._unfit)
        if silent:
            raise UserError(f"Dask workers that do not answer: {', '.join(silent)}; stop them, or restart them")
        if not self._fit:
            cure = f"on each machine that is to train: dask worker {self._address} --nworkers 2 --nthreads 1"
            raise UserError(f"the Dask scheduler at {self._address} has no workers; start some, {cure}")
        self._threads = min(self._fit.values())
        self._client.subscribe_topic(relay.TOPIC, self._on_event)
        self._watching = start(self._client, self._watch())

    def __enter__(self) -> DaskExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            if self._client.status == "running":
                self._client.unsubscribe_topic(relay.TOPIC)
        for worker in self._workers.values():
            worker.stop()
        self._client.close()

    @property
    def workers(self) -> int:
        """How many workers there can be at once, now."""
        most = sum(address not in self._elsewhere for address in list(self._fit))
        return most if self._options.workers is None else min(most, self._options.workers)

    @property
    def threads(self) -> int:
        """How many threads each of them uses: the fewest that a Dask worker had when the executor was opened."""
        return self._threads

    def check(self) -> None:
        """See that the scheduler is there; no worker is marked lost because of it before this raises.

        Raises:
            UserError: it is gone, or for a while all workers that were there were unfit.
        """
        if self._gone:
            cure = "when it runs, and its workers, go on with --resume"
            raise UserError(f"the Dask scheduler at {self._address} is gone or cannot be reached; {cure}")
        if self._unfit and not self._fit and not self._workers and time.monotonic() - self._had_fit > _UNFIT:
            lines = [f"  {address}: {cause}" for address, cause in self._unfit.items()]
            raise UserError("\n".join(["no Dask worker is left that could be used; there are:", *lines]))

    def acquire(self, variables: Mapping[str, str]) -> Worker | None:
        """Return a worker with nothing to do, or ``None`` if there is none just now.

        Raises:
            UserError: there will be none (see ``check``).
        """
        self.check()
        for idle in [idle for idle in self._idle if idle.lost or idle.suspect_cause or idle.variables != variables]:
            self._idle.remove(idle)
            self.release(idle, usable=False)
        if self._idle:
            return self._idle.pop()
        taken = {worker.address for worker in self._workers.values()}
        free = [address for address in list(self._fit) if address not in taken and address not in self._elsewhere]
        if not free or len(taken) == self._options.workers:
            return None
        worker = DaskWorker(self._client, free[0], variables)
        self._workers[worker.task_key] = worker
        worker.start()
        return worker

    def release(self, worker: Worker, *, usable: bool) -> None:
        """Take a worker back; one whose child has grown beyond the memory of its Dask worker is replaced."""
        assert isinstance(worker, DaskWorker)
        if usable and not worker.grown:
            self._idle.append(worker)
            return
        if worker.unfit is not None:
            self._unfit[worker.address] = worker.unfit
        if worker.lost or worker.suspect_cause or worker.unfit:
            self._fit.pop(worker.address, None)  # until the next handshake
        del self._workers[worker.task_key]
        worker.stop()

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Hand over an event of a relay; those of other searches have the same topic."""
        _, content = event
        if (worker := self._workers.get(content["task_key"])) is not None:
            worker.on_event(content["kind"], content["content"])

    async def _survey(self) -> list[str]:
        """Look once, and return those Dask workers that do not answer."""
        await self._look()
        handshakes = dict(self._handshakes)
        await asyncio.gather(*handshakes.values())
        return [address for address in handshakes if address not in self._fit and address not in self._unfit]

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_LOOK)
                await self._look()
        except Exception:  # whatever it was, nothing more will be known of the cluster
            self._gone = True
            for worker in list(self._workers.values()):
                worker.mark_lost(f"the Dask scheduler at {self._address} is gone")
        finally:
            for handshake in self._handshakes.values():
                handshake.cancel()

    async def _look(self) -> None:
        """See which Dask workers there are, start a handshake with those that are new, and mark those that are lost.

        Raises:
            OSError: the scheduler cannot be reached.
        """
        suspects = [worker for worker in list(self._workers.values()) if worker.suspect_cause]
        threads: dict[str, int] = await self._client.nthreads()
        tasks: dict[str, list[str]] = await self._client.processing()
        if self._client.scheduler_comm is not self._link:
            raise ConnectionError("the connection to the scheduler was broken")
        for worker in suspects:  # the scheduler has answered since, so it was not that
            worker.mark_lost(worker.suspect_cause or "")
        for known in (self._fit, self._unfit):
            for address in [address for address in list(known) if address not in threads]:
                known.pop(address, None)
        self._elsewhere = {at for at, keys in tasks.items() if any(key not in self._workers for key in keys)}
        for worker in list(self._workers.values()):
            await worker.check(there=worker.address in threads, elsewhere=worker.address in self._elsewhere)
        known_by_now = (self._fit, self._unfit, self._handshakes)
        for address in [address for address in threads if not any(address in known for known in known_by_now)]:
            self._handshakes[address] = asyncio.create_task(self._handshake(address, threads[address]))
        if self._fit:
            self._had_fit = time.monotonic()

    async def _handshake(self, address: str, threads: int) -> None:
        """See whether a Dask worker can be acquired; one that does not answer gets another handshake."""
        try:
            broadcast = self._client.scheduler.broadcast(msg=question(self._versions), workers=[address])
            answers = await asyncio.wait_for(broadcast, _PATIENCE)
            differs = differences(found(answers[address], self._versions), self._versions)
        except Exception:  # it hangs, or has just left
            return
        finally:
            del self._handshakes[address]
        if differs:
            self._unfit[address] = differs
        elif threads < self._threads:
            self._unfit[address] = f"its --nthreads is {threads}, and trials use {self._threads}"
        else:
            self._fit[address] = threads


def _checked(address: str | None) -> str:
    if address is None:
        raise UserError("executor 'dask' needs the address of a scheduler: --scheduler HOST:PORT")
    if not re.fullmatch(r"([a-z]+://)?(\[[^\]]+\]|[^\s:/]+):\d+", address):
        raise UserError(f"--scheduler {address}: give HOST:PORT, as dask scheduler prints it, such as 192.168.1.5:8786")
    return address


def _connected(address: str, versions: Mapping[str, str]) -> Any:
    """Return a client of the scheduler, which says nothing of versions: they are compared here, and before.

    Raises:
        UserError: there is no scheduler, or it has other versions.
    """
    try:
        answer = asyncio.run(_versions_at(address, versions))
        if differs := differences(at_scheduler(answer), versions):
            raise other_versions({"the scheduler": differs})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TypeError, ValueError, RuntimeError, LookupError) as error:
        raise _no_scheduler(address, error) from error


def _no_scheduler(address: str, error: Exception) -> UserError:
    """Return the error that says that no scheduler is there."""
    cure = f"start one there: dask scheduler --port {address.rpartition(':')[2]}"
    return UserError(f"no Dask scheduler answers at {address} ({error or 'time is up'}); {cure}")


async def _versions_at(address: str, versions: Mapping[str, str]) -> Any:
    """Ask what Dask has installed there; a client waits for ever at a port where somebody else says nothing."""
    secured = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=_PATIENCE, **secured), _PATIENCE)
    try:
        return await asyncio.wait_for(send_recv(comm, **question(versions)), _PATIENCE)
    finally:
        comm.abort()


def _quieten() -> None:
    """Keep the terminal clean: what goes wrong is shown as an error or as the state of a trial."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
