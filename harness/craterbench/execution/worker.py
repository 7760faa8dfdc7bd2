"""A worker process: it trains in one framework, one task after the other. The parent imports no framework.

The pipe carries ``(kind, arguments, log)`` to the child. For each such task the child sends, while
a run is under way, ``("start", what is known before the first epoch)`` and after each epoch ``("epoch", row)`` and
``("checkpoint", what to go on from)``, and then one of ``("finished", what came of it)``, ``("refused", message)`` and
``("failed", cause)``. A checkpoint that the child writes to a file itself is sent without its content, or with what
went wrong. An interactive run waits after each epoch for ``("answer", whether to go on)``, and makes no checkpoints.
``("keep", images)`` is no task: runs name the images by their id from then on.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craterbench.plugin import UserError
from craterbench.plugin.components import load

if TYPE_CHECKING:
    from craterbench.data.dataset import TrainVal
    from craterbench.results.checkpoint import Checkpoint

__all__ = ["WorkerDied", "WorkerError", "WorkerProcess", "log_tail"]

#: The task that reports its progress, and can go on from a checkpoint and be stopped.
TRAIN_AND_EVALUATE = "craterbench.training.experiment:train_and_evaluate"

_LOG_LINES = 20

#: By how many bytes a child may grow after its first task: TensorFlow, for one, keeps something of every model.
_GROWTH = 512 * 2**20

_GRACE = 3.0  # seconds that a child has to go after each way of asking it to


def log_tail(log: Path) -> list[str]:
    """Return the last lines of what a child printed, or none if there is no log."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []


class WorkerError(Exception):
    """A run failed in the child, or took the child with it; the message is the cause."""


class WorkerDied(WorkerError):  # noqa: N818
    """The child was killed, or left, in the middle of a task."""


class WorkerProcess:
    """A process that trains, one task after the other. Use it as a context manager, so that it never outlives you."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Start the process with these environment variables on top of the parent's."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="bench-child", daemon=True)
        with _variables(variables), _without_main(), _holding_back_ctrl_c():
            self._process.start()
        theirs.close()  # or the end of the child would never be seen
        self._provided: set[str] = set()
        self._held_at_first: int | None = None

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process number of the child."""
        return self._process.pid or 0

    @property
    def connection(self) -> Connection:
        """The pipe, to wait for what the child sends."""
        return self._pipe

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def memory(self) -> int | None:
        """How much memory the child holds now, in bytes; ``None`` where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")

    def has_grown(self, most: int | None) -> bool:
        """Whether the child holds more bytes than that, or half a GiB more than at the first call."""
        held = self.memory
        if held is None:
            return False
        self._held_at_first = self._held_at_first or held
        return held > self._held_at_first + _GROWTH or (most is not None and held > most)

    def call(self, target: str, arguments: Mapping[str, Any], *, log: Path) -> Any:
        """Return what a function returns that is called in the child.

        Args:
            target: the function, as ``"module:attribute"``; its arguments and what it returns must pickle.
            log: the file in which all that it prints is found.

        Raises:
            UserError: the task cannot be done, for a reason that the user can mend.
            WorkerError: it raised, or the child died.
        """
        self.ask(target, dict(arguments), log)
        _, content = self.hear()
        return content

    def provide(self, train_val: TrainVal) -> None:
        """Send images, once: a run names them by their id."""
        if train_val.id not in self._provided:
            self._send("keep", train_val)
            self._provided.add(train_val.id)

    def ask(self, kind: str, arguments: dict[str, Any], log: Path) -> None:
        """Send a task; ``hear`` returns its outcome, or raises if the child has died."""
        self._send(kind, arguments, str(log.absolute()))

    def answer(self, *, should_continue: bool) -> None:
        """Answer an epoch of an interactive run: whether to go on."""
        self._send("answer", should_continue)

    def _send(self, kind: str, content: Any, log: str = "") -> None:
        with contextlib.suppress(OSError):
            self._pipe.send((kind, content, log))

    def hear(self) -> tuple[str, Any]:
        """Wait for the next message of the child, and return its kind and content, at the end ``finished``.

        Raises:
            UserError: the task cannot be done, for a reason that the user can mend.
            WorkerError: it raised.
            WorkerDied: the child died.
        """
        try:
            kind, content = self._pipe.recv()
        except (EOFError, OSError):  # the end of the pipe, or an end in the middle of a message
            self._process.join(_GRACE)
            raise WorkerDied(_how_it_died(self._process.exitcode)) from None
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise WorkerError(content)
        return kind, content

    def stop(self) -> None:
        """End the process, gently if it lets itself."""
        self._pipe.close()
        for end in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                end()
                self._process.join(_GRACE)
        self._process.join()


def _how_it_died(code: int | None) -> str:
    if code is None:
        return "the training process closed its pipe"
    if code >= 0:
        return f"the training process exited with status {code}"
    name = signal.Signals(-code).name
    why = " (the system may have run out of memory)" if -code == getattr(signal, "SIGKILL", 0) else ""
    return f"the training process was killed by {name}{why}"


@contextlib.contextmanager
def _variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a moment: a spawned process takes over what it finds when it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program for a moment: a spawned process imports its parent's again, and a script would train there, too.

    So a script needs no ``if __name__ == "__main__"``. All that a worker is sent is found in modules.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextlib.contextmanager
def _holding_back_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: a process that is started meanwhile does not get it from its first instruction.

    Ctrl-C reaches all processes of the group; the parent decides what comes of it, after that moment if it comes in
    it. Where signals cannot be held back, as on Windows, one that comes in it is lost.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # which multiprocessing would do meanwhile, and let Ctrl-C through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    elif threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
    else:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)


def _ignore_ctrl_c() -> None:
    """Ignore Ctrl-C, also what was held back while this process was started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(pipe: Connection) -> None:
    """Be the child: train what comes until the pipe closes."""
    _ignore_ctrl_c()
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, tasks, answers), daemon=True).start()
    kept: dict[str, TrainVal] = {}
    while True:
        kind, content, log = tasks.get()
        if kind == "keep":
            kept[content.id] = content
            continue
        _print_to(log)
        if kind == TRAIN_AND_EVALUATE:
            own = {name: content.pop(name, None) for name in ("interactive", "dataset_id", "checkpoint_file")}
            content |= _callbacks(pipe, answers, kept, **own)
        pipe.send(_done(kind, content))


def _receive(pipe: Connection, tasks: queue.SimpleQueue[Any], answers: queue.SimpleQueue[bool]) -> None:
    """Hand over what comes, and leave at once when the parent is gone, even in the middle of an epoch."""
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        except (
            BaseException
        ):  # what cannot be read here, for want of memory or of a plugin, would be waited for in vain
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        if message[0] == "answer":
            answers.put(message[1])
        else:
            tasks.put(message)


def _callbacks(
    pipe: Connection,
    answers: queue.SimpleQueue[bool],
    kept: Mapping[str, TrainVal],
    *,
    interactive: bool | None,
    dataset_id: str | None,
    checkpoint_file: Path | None,
) -> dict[str, Any]:
    """Return the arguments of a run that report its progress, get its answers, and hold its images."""
    callbacks: dict[str, Any] = {f"on_{what}": functools.partial(_report, pipe, what) for what in ("start", "epoch")}
    if interactive:
        callbacks["should_continue"] = answers.get
    elif checkpoint_file is None:
        callbacks["on_checkpoint"] = functools.partial(_report, pipe, "checkpoint")
    else:
        callbacks["on_checkpoint"] = functools.partial(_write_checkpoint, pipe, checkpoint_file)
    if dataset_id is not None:
        callbacks["train_val"] = kept[dataset_id]
    return callbacks


def _write_checkpoint(pipe: Connection, file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, and report that it is written, or why not: then the parent ends the run."""
    from craterbench.results.checkpoint import write_checkpoint

    try:
        write_checkpoint(file, checkpoint)
    except Exception as error:
        _report(pipe, "checkpoint", f"{type(error).__name__}: {error}")
    else:
        _report(pipe, "checkpoint", None)


def _done(kind: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "finished", load(kind)(**arguments)
    except UserError as refusal:
        return "refused", str(refusal)
    except MemoryError as error:
        traceback.print_exc()
        return "failed", f"out of memory: {error}" if str(error) else "out of memory"
    except Exception as error:
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _report(pipe: Connection, what: str, content: Any) -> None:
    pipe.send((what, content))


def _print_to(log: str) -> None:
    """Send all that this process prints, from C as from Python, to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
