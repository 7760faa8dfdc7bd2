"""What has been run before, so that no run is repeated for nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from craterbench.definition.benchmark import Benchmark
from craterbench.host.asked import Asked
from craterbench.host.child import Child, ChildError
from craterbench.host.devices import environment
from craterbench.host.runner import Run, Runner
from craterbench.host.versions import packages_of
from craterbench.records.checkpoint import Checkpoint
from craterbench.records.record import Record
from craterbench.records.store import Store
from craterbench.scoring.counts import EVALUATOR_VERSION

__all__ = ["Earlier", "sort_out"]


class Earlier:
    """The runs in a results folder, as it is now. Use it as a context manager.

    A run is the same as an earlier one if it was asked for alike, so that both stand in one row of the table, and their
    identities are equal. The data's part of the identity is computed anew, in a child without a framework: data that
    have changed where they lie are other data. What another version of the evaluator scored is done again: nothing that
    is scored now may stand beside it. ``auto`` is content with whatever device the earlier run trained on,
    since only a framework, which takes seconds to import, knows what it would come to now.
    """

    def __init__(self, store: Store) -> None:
        """Read the records."""
        self._store = store
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
        for record in self._alike(asked, {"done"}):
            if self._difference(record, asked, threads=threads, device=device) is None:
                return record
        return None

    def interrupted(self, asked: Asked, *, threads: int, device: str) -> tuple[Record, Checkpoint] | str | None:
        """Return the newest of such runs that can be gone on with, or why the newest cannot, or ``None`` without one.

        Runs that were interrupted can, and those whose child was killed, once they had finished an epoch. To come to
        the digits of an unbroken run the packages have to be those that it began with.

        Raises:
            UserError: the data cannot be had as asked.
        """
        found = None
        for record in self._alike(asked, {"interrupted", "failed"}):
            checkpoint = self._store.checkpoint(record)
            if checkpoint is None and record.status == "failed":
                continue  # it would fail again
            if checkpoint is None:
                why: str | None = "it left no state that can be read"
            elif record.environment.get("packages") != packages_of(asked.benchmark):
                why = "it began with other versions of its packages"
            else:
                why = self._difference(record, asked, threads=threads, device=device)
            if checkpoint is not None and why is None:
                return record, checkpoint
            found = found or f"{record.id} cannot be gone on with, {why}; starting anew"
        return found

    def _alike(self, asked: Asked, statuses: Collection[str]) -> Iterator[Record]:
        """Return the runs that were asked for alike and came to such an end, the newest first."""
        return (record for record in reversed(self._records) if record.status in statuses and asked.is_of(record))

    def _difference(self, record: Record, asked: Asked, *, threads: int, device: str) -> str | None:
        """Return in what a run differs from one that is asked for alike, or ``None`` if it is the same."""
        if not {"evaluator", "threads", "device"} <= record.environment.keys():
            return "its record does not say on what it ran"
        if record.environment["evaluator"] != EVALUATOR_VERSION:
            return "it was scored by another version of the evaluator"
        before, on = record.environment["threads"], record.environment["device"]
        if before != threads:
            return f"it had {before} thread(s), not {threads}"
        if device not in ("auto", on):
            return f"it was on {on}, not {device}"
        data = self._digest(asked.benchmark)
        if data is None or record.identity != asked.identity(data=data, threads=threads, device=on):
            return "it was on other data"
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


def sort_out(
    runner: Runner, asked: Sequence[Asked], *, again: bool, resume: bool
) -> tuple[dict[int, Record], dict[int, Callable[[], Run]]]:
    """Return, by their position, the records of the runs that are done already, and how to start each of the others.

    Args:
        again: whether to start also what is done already.
        resume: whether to go on with what was interrupted.

    Raises:
        UserError: the data of one cannot be had as asked.
    """
    done: dict[int, Record] = {}
    starts: dict[int, Callable[[], Run]] = {}
    with Earlier(runner.store) as earlier:
        for position, one in enumerate(asked):
            record = None if again else earlier.done(one, threads=runner.threads, device=runner.device)
            if record is not None:
                done_with = f"done already{_other_versions(record, one)}, {record.id}"
                runner.screen.say(f"{one.title}: {done_with} (bench run --again repeats it)")
                done[position] = record
                continue
            before = earlier.interrupted(one, threads=runner.threads, device=runner.device) if resume else None
            if isinstance(before, str):
                runner.screen.say(f"{one.title}: {before}")
            if isinstance(before, tuple):
                starts[position] = partial(runner.resume, one, *before)
            else:
                starts[position] = partial(runner.start, one)
    return done, starts


def _other_versions(record: Record, asked: Asked) -> str:
    """Say with which versions of packages a run was done, as far as others are installed now."""
    now, before = packages_of(asked.benchmark), record.environment.get("packages", {})
    other = [f"{name} {version}" for name, version in before.items() if now.get(name) != version]
    return f" with {', '.join(other)}" if other else ""
