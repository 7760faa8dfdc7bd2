"""Ctrl-C, held back while something is written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["HeldCtrlC"]


class HeldCtrlC:
    """Keeps Ctrl-C back, so that nothing is broken off while it is written; a second one waits no longer."""

    def __init__(self) -> None:
        self._came = False
        self._before = signal.getsignal(signal.SIGINT)
        # only the main thread may say what a signal does; and what is ignored stays so
        self._ours = threading.current_thread() is threading.main_thread() and callable(self._before)

    def __enter__(self) -> HeldCtrlC:
        self._set(self._keep)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._set(self._before)
        if self._came and kind is None:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Let it through for a while, and at once if it came before."""
        self._set(self._before)
        try:
            if self._came:
                self._came = False
                raise KeyboardInterrupt
            yield
        finally:
            self._set(self._keep)

    def _keep(self, *signalled: object) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True

    def _set(self, handler: Any) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, handler)
