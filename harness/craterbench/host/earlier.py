"""What has been run before, so that no run is repeated for nothing."""

from __future__ import annotations

import os
from pathlib import Path

from craterbench.definition.benchmark import Benchmark
from craterbench.host.asked import Asked
from craterbench.host.child import Child, ChildError
from craterbench.host.devices import environment
from craterbench.records.record import Record
from craterbench.records.store import Store

__all__ = ["Earlier"]


class Earlier:
    """The runs in a results folder, as it is now. Use it as a context manager.

    A run is the same as an earlier one if it was asked for alike, so that both stand in one row of the table, and their
    identities are equal. The data's part of the identity is computed anew, in a child without a framework: data that
    have changed where they lie are other data. ``auto`` is content with whatever device the earlier run trained on,
    since only a framework, which takes seconds to import, knows what it would come to now.
    """

    def __init__(self, store: Store) -> None:
        """Read the records."""
        self._records, _ = store.records()
        self._child: Child | None = None
        self._digests: dict[str, str | None] = {}

    def __enter__(self) -> Earlier:
        return self

    def __exit__(self, *error: object) -> None:
        if self._child is not None:
            self._child.stop()

    def done(self, asked: Asked, *, threads: int, device: str) -> Record | None:
        """Return the newest record of such a run that is done, or ``None``.

        Raises:
            UserError: the data cannot be had as asked.
        """
        for record in reversed(self._records):
            on = str(record.environment.get("device"))
            if record.status == "done" and asked.is_of(record) and device in ("auto", on):
                data = self._digest(asked.benchmark)
                if data is not None and record.identity == asked.identity(data=data, threads=threads, device=on):
                    return record
        return None

    def _digest(self, benchmark: Benchmark) -> str | None:
        """Return the digest of the data, or ``None`` if it cannot be had: the run itself will say and keep why."""
        key = repr(benchmark.dataset)
        if key not in self._digests:
            if self._child is None:
                self._child = Child(environment(threads=1, device="cpu", framework={}))
            try:
                self._digests[key] = self._child.data_digest(benchmark, log=Path(os.devnull))
            except ChildError:
                self._digests[key] = None
        return self._digests[key]
