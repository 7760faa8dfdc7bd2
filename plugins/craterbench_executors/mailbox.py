"""What one thread has for another, which can wait for it together with pipes."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Mailbox"]


class Mailbox:
    """A queue with a ``connection`` that is readable as long as there is something in it.

    Only a sign goes through the pipe, so that ``put`` never waits for a reader however large the item is.
    """

    def __init__(self) -> None:
        self.connection: Connection
        self.connection, self._bell = multiprocessing.Pipe(duplex=False)
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Add an item; it is lost if the mailbox is closed."""
        self._items.append(item)
        with contextlib.suppress(OSError):
            self._bell.send_bytes(b"!")

    def take(self) -> Any:
        """Wait for an item and return it."""
        self.connection.recv_bytes()
        return self._items.popleft()

    def close(self) -> None:
        """Give back the pipe."""
        self.connection.close()
        self._bell.close()
