"""A queue between threads that can be waited for together with pipes."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["EventQueue"]


class EventQueue:
    """A queue with a ``connection`` that is readable while the queue is not empty.

    Only one byte an item goes through the pipe, so that ``put`` never waits for a reader, however large the item is.
    """

    def __init__(self) -> None:
        self.connection: Connection
        self.connection, self._writer = multiprocessing.Pipe(duplex=False)
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Add an item; it is lost if the queue is closed."""
        self._items.append(item)
        with contextlib.suppress(OSError):
            self._writer.send_bytes(b"!")

    def get(self) -> Any:
        """Wait for an item and return it."""
        self.connection.recv_bytes()
        return self._items.popleft()

    def close(self) -> None:
        """Close the pipe."""
        self.connection.close()
        self._writer.close()
