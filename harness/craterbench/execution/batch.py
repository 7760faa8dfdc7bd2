"""Runs that are asked for at once: which of them are to be trained, how they share the machine, and who trains them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from craterbench.execution.cache import RunCache
from craterbench.execution.devices import workers_and_threads
from craterbench.execution.run import Run, RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.scheduler import run_all
from craterbench.execution.versions import packages_of
from craterbench.results.record import Record

__all__ = ["train"]


def train(
    factory: RunFactory, asked: Sequence[RunSpec], *, workers: int | None, force: bool = False, resume: bool = False
) -> Generator[tuple[int, Record]]:
    """Yield the records of runs with their positions: of those that are done already first, of the others as they end.

    What another process has under way is not trained beside it, but waited for while others train, and taken over once
    it is done. If it comes to nothing there, it is trained here.

    All that start here have the same number of threads, also the last of them, which have the machine for themselves:
    digits are those of a number of threads, and so these can be compared to the last one.

    Args:
        workers: how many to train at once, or ``None`` for as many as there are and cores and memory allow.
        force: whether to train also what is done already or under way elsewhere.
        resume: whether to go on with what was interrupted, with the threads and on the device that it began with.

    Raises:
        UserError: a run cannot be had as asked; those under way came to their end.
    """
    recovered, damaged = factory.store.recover()
    for line in [*map(_died, recovered), *damaged]:
        factory.progress.say(line)
    cache = RunCache(factory.store)
    done: dict[int, Record] = {}
    begun_with = [1]
    _, threads = workers_and_threads(len(asked), workers, factory.device)
    for position, one in enumerate(asked):
        record = None if force else cache.done(one)
        if record is not None:
            factory.progress.say(_done_already(one, record, threads=threads, device=factory.device))
            done[position] = record
        elif resume and isinstance(before := cache.interrupted(one, device=factory.device), tuple):
            begun_with.append(before[0].environment["threads"])
    yield from done.items()
    missing = [position for position in range(len(asked)) if position not in done]
    at_once, threads = workers_and_threads(len(missing), workers, factory.device, most=max(begun_with))
    starts = {
        position: _Wanted(factory, cache, asked[position], threads=threads, force=force, resume=resume)
        for position in missing
    }
    with closing(run_all(starts, workers=at_once)) as ends:
        for position, record in ends:
            if record.status == "failed":
                log = factory.store.folder(record) / "log.txt"
                factory.progress.say(f"{asked[position].title} failed: {record.error}; see {log}")
            yield position, record


class _Wanted:
    """A run that is to be trained, unless another process does so."""

    def __init__(
        self, factory: RunFactory, cache: RunCache, asked: RunSpec, *, threads: int, force: bool, resume: bool
    ) -> None:
        self._factory, self._cache, self._asked = factory, cache, asked
        self._threads, self._force, self._resume = threads, force, resume
        self._elsewhere: Record | None = None

    def __call__(self) -> Run | Record | None:
        """Start the run; or return its record if another process has done it, or ``None`` while one is at it.

        Raises:
            UserError: it cannot be had as asked.
        """
        store = self._factory.store
        with store.start_lock():
            before = self._elsewhere
            if before is not None and before.identity is not None and store.is_under_way(before.id):
                return None
            for record in store.recover()[0]:
                self._say(_died(record))
            self._cache.refresh(self._asked)  # for all that others have done by now
            if not self._force:
                if self._is_elsewhere():
                    return None
                done = self._cache.done(self._asked)
                if done is not None:
                    self._say(_done_already(self._asked, done))
                    return done
            left = self._cache.interrupted(self._asked, device=self._factory.device) if self._resume else None
            if isinstance(left, tuple):
                return self._factory.resume(self._asked, *left)
            if left is not None:
                self._say(f"{self._asked.title}: {left}")
            return self._factory.start(self._asked, threads=self._threads)

    def _is_elsewhere(self) -> bool:
        """Whether another process has the run under way, which is said once."""
        before, self._elsewhere = self._elsewhere, self._cache.under_way(self._asked)
        if self._elsewhere is None:
            return False
        if before is None or before.id != self._elsewhere.id:
            self._say(f"{self._asked.title}: another command is training it, {self._elsewhere.id}; waiting")
        return True

    def _say(self, line: str) -> None:
        self._factory.progress.say(line)


def _died(record: Record) -> str:
    return f"{record.benchmark} {record.id}: its process died; it is {record.status}"


def _done_already(asked: RunSpec, record: Record, **now: int | str) -> str:
    """Say that a run is done, and with what, as far as it would be done with something else now.

    Args:
        now: the threads and the device that it would have; of the device ``auto`` it is only known to a framework,
            which takes seconds to import, what it would come to.
    """
    before = {key: record.environment.get(key, value) for key, value in now.items() if value != "auto"}
    before |= record.environment.get("packages", {})
    now |= packages_of(asked.benchmark)
    other = [f"{name} {value}" for name, value in before.items() if now.get(name) != value]
    with_other = f" with {', '.join(other)}" if other else ""
    changed = asked.changed_code(record)
    if changed is None:
        with_other += "; its code is not known"
    elif changed:
        with_other += f"; the code has changed since of {', '.join(changed)}"
    return f"{asked.title}: done already{with_other}, {record.id} (bench run --force repeats it)"
