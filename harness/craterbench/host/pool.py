"""Several runs at once: one loop, which waits for whichever child tells something next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from multiprocessing.connection import Connection, wait
from typing import TypeVar, cast

from craterbench.host.runner import Run
from craterbench.plugin import UserError
from craterbench.records.record import Record

__all__ = ["run_all"]

Key = TypeVar("Key")


def run_all(starts: Mapping[Key, Callable[[], Run]], *, workers: int) -> Generator[tuple[Key, Record]]:
    """Start runs in their order, at most so many at once, and yield the record of each as it ends.

    Whatever stops this loop, such as Ctrl-C or that the iterator is closed, leaves the runs under way ``interrupted``.

    Raises:
        UserError: a run cannot be had as asked; no other was started after it, and those under way came to their end.
    """
    waiting = deque(starts.items())
    under_way: dict[Connection, tuple[Key, Run]] = {}
    refusal: UserError | None = None
    try:
        while under_way or (waiting and refusal is None):
            while waiting and refusal is None and len(under_way) < workers:
                key, start = waiting.popleft()
                try:
                    run = start()
                except UserError as error:
                    refusal = error
                    break
                if run.ended:
                    yield key, run.record
                else:
                    under_way[run.connection] = key, run
            if not under_way:
                continue  # to wait for nothing would never end
            for connection in cast(list[Connection], wait(list(under_way))):
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
