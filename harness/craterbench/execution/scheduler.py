"""Several runs at once: one loop, which waits for whichever child tells something next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from multiprocessing.connection import Connection, wait
from typing import TypeVar, cast

from craterbench.execution.run import Run
from craterbench.plugin import UserError
from craterbench.results.record import Record

__all__ = ["run_all"]

Key = TypeVar("Key")

#: Seconds after which those are asked again whose run another process had under way.
_PATIENCE = 0.5


def run_all(starts: Mapping[Key, Callable[[], Run | Record | None]], *, workers: int) -> Generator[tuple[Key, Record]]:
    """Start runs in their order, at most so many at once, and yield the record of each as it ends.

    A start may find that the run is done, and return its record, or that it is under way elsewhere, and return
    ``None``: then those behind it come first, and it is asked again.

    Whatever stops this loop, such as Ctrl-C or that the iterator is closed, leaves the runs under way ``interrupted``.

    Raises:
        UserError: a run cannot be had as asked; no other was started after it, and those under way came to their end.
    """
    waiting = deque(starts.items())
    elsewhere: list[tuple[Key, Callable[[], Run | Record | None]]] = []
    ask_again = 0.0
    under_way: dict[Connection, tuple[Key, Run]] = {}
    refusal: UserError | None = None
    try:
        while under_way or ((waiting or elsewhere) and refusal is None):
            if time.monotonic() >= ask_again:
                waiting += elsewhere
                elsewhere.clear()
            while waiting and refusal is None and len(under_way) < workers:
                key, start = waiting.popleft()
                try:
                    run = start()
                except UserError as error:
                    refusal = error
                    break
                if run is None:
                    elsewhere.append((key, start))
                    ask_again = time.monotonic() + _PATIENCE
                elif isinstance(run, Record):
                    yield key, run
                elif run.ended:
                    yield key, run.record
                else:
                    under_way[run.connection] = key, run
            left = max(0.0, ask_again - time.monotonic()) if elsewhere and refusal is None else None
            if not under_way:
                time.sleep(left or 0.0)
                continue  # to wait for nothing would never end
            for connection in cast(list[Connection], wait(list(under_way), left)):
                key, run = under_way[connection]
                try:
                    run.advance()
                except UserError as error:
                    refusal = refusal or error
                if run.ended:
                    del under_way[connection]
                    if run.record.status != "running":
                        yield key, run.record
    finally:
        for _, run in under_way.values():
            run.interrupt()
    if refusal is not None:
        raise refusal
