"""What runs on a Dask worker: a task that holds a warm child and passes on what goes to it and comes from it.

The task ``serve`` lives until its worker is released. It ends, and its child with it, when the loop cancels
it, when Dask does so because the loop is gone, and when the Dask worker closes. ``ask``, ``answer``, ``provide``
and ``collect`` are called beside it by ``Client.run``; they return at once.

What the child sends goes to the loop as an event of the topic ``TOPIC``. The scheduler keeps the last thousand
events of a topic, so what a task brings home, or can go on from, some megabytes, is not one: the event only says that
it can be collected. Of checkpoints only the last is kept until then.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Status, get_worker

from craterbench.execution.worker import WorkerDied, WorkerError, WorkerProcess
from craterbench.plugin import UserError
from craterbench_executors.event_queue import EventQueue

if TYPE_CHECKING:
    from craterbench.data.dataset import TrainVal

__all__ = [
    "CHECKPOINT",
    "ENDED",
    "READY",
    "TOPIC",
    "UNREADABLE",
    "answer",
    "ask",
    "checkpoint",
    "collect",
    "provide",
    "serve",
]

TOPIC = "craterbench"

#: Kinds of events that no child sends: the relay is ready, and the task has ended.
READY, ENDED = "ready", "ended"

#: What a child sends that has to be collected.
CHECKPOINT = "checkpoint"

#: How a task ends that cannot be read on this Dask worker, which a child could not report either.
UNREADABLE = "unreadable"

_LOOK = 0.5  # seconds between two looks at whether the relay is still wanted

_relays: dict[str, _Relay] = {}

# The images that came last, by their id: a Dask worker is sent them once, whatever becomes of its children.
_images: dict[str, TrainVal] = {}


def serve(task_key: str, variables: Mapping[str, str]) -> None:
    """Hold a child with these environment variables until nobody wants it any more. ``task_key`` is this task's key."""
    worker = get_worker()
    # Dask's nanny starts its worker as a daemon, which Python forbids to have children lest they outlive it; a child of
    # ours leaves by itself when its pipe closes.
    multiprocessing.current_process().daemon = False
    with tempfile.TemporaryDirectory() as folder, WorkerProcess(variables) as child:
        relay = _relays[task_key] = _Relay(worker, task_key, child, Path(folder) / "log.txt")
        try:
            relay.send_event(READY)
            while _is_wanted(worker, task_key):
                relay.advance(timeout=_LOOK)
        finally:
            del _relays[task_key]
            relay.requests.close()


def provide(task_key: str, images_id: str, content: bytes | None = None) -> bool:
    """Hand the relay's child the images of this id, and say whether they are here: without content they may not be.

    Args:
        content: the pickled images, if they have to be sent.
    """
    if content is not None:
        _images.clear()
        _images[images_id] = pickle.loads(content)
    if images_id not in _images:
        return False
    _relays[task_key].requests.put(("provide", _images[images_id]))
    return True


def ask(task_key: str, kind: str, arguments: bytes) -> None:
    """Hand the relay's child a task with its pickled arguments."""
    _relays[task_key].requests.put(("ask", (kind, arguments)))


def answer(task_key: str, should_continue: bool) -> None:
    """Send the relay's child whether to go on after an epoch."""
    _relays[task_key].requests.put(("answer", should_continue))


def collect(task_key: str) -> bytes:
    """Return, pickled, the outcome of the task that has ended: its kind and content as a child sends them, and the log.

    Beside them stands whether the child has grown by much, or beyond the memory that its Dask worker may take.
    """
    relay = _relays[task_key]
    outcome, relay.outcome = relay.outcome, b""
    return outcome


def checkpoint(task_key: str) -> bytes:
    """Return, pickled, the last checkpoint of the task; nothing if it was collected already."""
    relay = _relays[task_key]
    last, relay.checkpoint = relay.checkpoint, b""
    return last


def _is_wanted(worker: Any, task_key: str) -> bool:
    """Say whether the task is not cancelled and the worker not about to close."""
    task = worker.state.tasks.get(task_key)
    serving = worker.status in (Status.running, Status.paused, Status.closing_gracefully)
    return serving and task is not None and task.state == "executing"


class _Relay:
    """Stands between the loop and a child.

    Attributes:
        requests: queue of what the client sends, each a kind and its content.
        outcome: of the last task, until it is collected.
        checkpoint: of the task, until it is collected.
    """

    def __init__(self, worker: Any, task_key: str, child: WorkerProcess, log: Path) -> None:
        self.requests = EventQueue()
        self.outcome = b""
        self.checkpoint = b""
        self._worker = worker
        self._task_key = task_key
        self._child = child
        self._log = log
        self._busy = False

    def advance(self, *, timeout: float) -> None:
        """Pass on what comes next from either side, or nothing if nothing comes in time."""
        pipes = [self.requests.connection, self._child.connection] if self._busy else [self.requests.connection]
        for pipe in wait(pipes, timeout):
            if pipe is self._child.connection:
                self._hear()
            else:
                self._obey(*self.requests.get())

    def send_event(self, kind: str, content: Any = None) -> None:
        """Send the loop an event."""
        self._worker.log_event(TOPIC, {"task_key": self._task_key, "kind": kind, "content": pickle.dumps(content)})

    def _obey(self, what: str, content: Any) -> None:
        if what == "provide":
            self._child.provide(content)
        elif what == "answer":
            self._child.answer(should_continue=content)
        else:
            self._ask(*content)

    def _ask(self, kind: str, arguments: bytes) -> None:
        self._log.unlink(missing_ok=True)
        self.checkpoint = b""
        try:
            content = pickle.loads(arguments)
        except Exception as error:  # a module that is not installed here, say
            self._end(UNREADABLE, f"{type(error).__name__}: {error}")
        else:
            self._child.ask(kind, content, self._log)
            self._busy = True

    def _hear(self) -> None:
        try:
            kind, content = self._child.hear()
        except UserError as refusal:
            self._end("refused", str(refusal))
        except WorkerDied as death:
            self._end("died", str(death))
        except WorkerError as error:
            self._end("failed", str(error))
        else:
            if kind == "finished":
                self._end(kind, content)
            elif kind == CHECKPOINT:
                self.checkpoint = pickle.dumps(content)
                self.send_event(kind)
            else:
                self.send_event(kind, content)

    def _end(self, kind: str, content: Any) -> None:
        log = self._log.read_bytes() if self._log.exists() else b""
        self.outcome = pickle.dumps((kind, content, log, self._has_grown()))
        self._busy = False
        self.send_event(ENDED)

    def _has_grown(self) -> bool:
        return self._child.has_grown(self._worker.memory_manager.memory_limit)
