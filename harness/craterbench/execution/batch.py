"""Trains a list of runs: which of them need not be trained, how they share the machine, and what came of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from craterbench.execution.cache import RunCache
from craterbench.execution.devices import workers_and_threads
from craterbench.execution.executor import ExecutionOptions, open_executor
from craterbench.execution.held_ctrl_c import HeldCtrlC
from craterbench.execution.run import ActiveRun, RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.scheduler import RunFailed, RunFinished, Scheduler
from craterbench.execution.versions import distributions_of, packages_of, versions_of
from craterbench.plugin import UserError
from craterbench.results.record import Record

__all__ = ["EndedRun", "train"]

#: Seconds after which it is seen again whether another process still has a run under way.
_PATIENCE = 0.5


@dataclass(frozen=True)
class EndedRun:
    """What came of a run.

    Attributes:
        position: its index in the list of runs.
        record: its record; of a run that could not be gone on with, the one that it had before.
        refusal: why it cannot be trained, if so: its benchmark, and what is wrong.
    """

    position: int
    record: Record
    refusal: str | None = None


def train(
    factory: RunFactory,
    specs: Sequence[RunSpec],
    options: ExecutionOptions,
    *,
    force: bool = False,
    resume: bool = False,
) -> Generator[EndedRun]:
    """Yield what comes of runs: of those that are done already first, of the others as they end.

    What another process has under way is not trained beside it, but waited for while others train, and taken over once
    it is done. If it comes to nothing there, it is trained here. A run that fails, or that is refused, does
    not keep the others from their end.

    All that start here have the same number of threads, also the last of them, which have the machine for themselves:
    digits are those of a number of threads, and so these can be compared to the last one.

    Args:
        factory: keeps their records.
        specs: the runs.
        options: where they train; how many there are is filled in.
        force: whether to train also what is done already or under way elsewhere.
        resume: whether to go on with what was interrupted, with the threads and on the device that it began with.

    Raises:
        UserError: the images cannot be cut into the folds that are wanted, the results folder cannot be written, or
            there is nobody to train; what was under way is interrupted.
    """
    recovered, damaged = factory.store.recover()
    for line in [*map(_died, recovered), *damaged]:
        factory.log(line)
    cache = RunCache(factory.store)
    missing: list[int] = []
    begun_with = [1]
    now: dict[str, int | str] = {}
    if options.address is None:  # elsewhere it is known only there
        now["threads"] = workers_and_threads(len(specs), options.workers, options.device)[1]
    now["device"] = options.device
    for spec in specs:  # before the first of them trains
        problem = cache.folds_problem(spec)
        if problem is not None:
            raise UserError(f"{spec.benchmark.name}: {problem}")
    for position, spec in enumerate(specs):
        record = None if force else cache.done(spec)
        if record is not None:
            factory.log(_done_already(spec, record, now))
            yield EndedRun(position, record)
            continue
        missing.append(position)
        if resume and isinstance(before := cache.interrupted(spec, device=factory.device), tuple):
            begun_with.append(before[0].environment["threads"])
    if not missing:
        return
    packages: dict[str, str] = {}
    for position in missing:
        benchmark = specs[position].benchmark
        packages |= packages_of(benchmark) | versions_of(distributions_of(factory.registry, benchmark.versions()))
    options = replace(options, runs=len(missing), threads=max(begun_with), packages=packages)
    wanted = _Wanted(factory, cache, {position: specs[position] for position in missing}, force=force, resume=resume)
    with open_executor(factory.registry, options) as executor, HeldCtrlC() as ctrl_c:
        with closing(Scheduler(executor, allowing_ctrl_c=ctrl_c.allowed).events(wanted)) as events:
            for event in events:
                yield from wanted.ended_elsewhere()
                if isinstance(event, (RunFinished, RunFailed)):
                    yield _ended(factory, wanted.positions[event.run], event)
        yield from wanted.ended_elsewhere()


def _ended(factory: RunFactory, position: int, event: RunFinished | RunFailed) -> EndedRun:
    run = event.run
    if not isinstance(event, RunFailed):
        return EndedRun(position, run.record)
    refusal = event.cause if event.cause.startswith(run.spec.title) else f"{run.spec.title}: {event.cause}"
    if run.record.status == "failed":
        log = factory.store.folder(run.record) / "log.txt"
        factory.log(f"{run.spec.title} failed: {event.cause}; see {log}")
    return EndedRun(position, run.record, refusal if event.refused else None)


class _Wanted:
    """Those of the runs that are to be trained, unless another process does so: the scheduler's source."""

    def __init__(
        self, factory: RunFactory, cache: RunCache, specs: dict[int, RunSpec], *, force: bool, resume: bool
    ) -> None:
        self._factory, self._cache = factory, cache
        self._force, self._resume = force, resume
        self._specs = specs
        self._waiting = deque(specs)
        self._elsewhere: dict[int, Record] = {}  # what another process had under way when it was last seen
        self._asleep: list[int] = []
        self._look_again = 0.0
        self._ended: list[EndedRun] = []
        self.positions: dict[ActiveRun, int] = {}

    @property
    def wanted(self) -> bool:
        """Whether there is one that nobody trains, as far as is known."""
        if self._asleep and time.monotonic() >= self._look_again:
            self._waiting.extend(self._asleep)
            self._asleep.clear()
        return bool(self._waiting)

    @property
    def ask_again(self) -> float | None:
        """In how many seconds another process may have come to its end."""
        return max(0.0, self._look_again - time.monotonic()) if self._asleep else None

    def next(self, threads: int) -> ActiveRun | None:
        """Begin the next; ``None`` if another process trains it, or has done so.

        Raises:
            UserError: the results folder cannot be written.
        """
        position = self._waiting.popleft()
        spec, store = self._specs[position], self._factory.store
        with store.start_lock():
            before = self._elsewhere.get(position)
            if before is not None and before.identity is not None and store.is_under_way(before.id):
                self._wait_for(position)
                return None
            for record in store.recover()[0]:
                self._factory.log(_died(record))
            self._cache.refresh(spec)  # for all that others have done by now
            if not self._force:
                if self._is_elsewhere(position, spec):
                    self._wait_for(position)
                    return None
                done = self._cache.done(spec)
                if done is not None:
                    self._factory.log(_done_already(spec, done, {}))
                    self._ended.append(EndedRun(position, done))
                    return None
            run = self._begun(position, spec, threads)
        if run is not None:
            self.positions[run] = position
        return run

    def ended_elsewhere(self) -> Iterator[EndedRun]:
        """Yield what was not trained here and has come to its end since the last call."""
        yield from self._ended
        self._ended = []

    def _begun(self, position: int, spec: RunSpec, threads: int) -> ActiveRun | None:
        left = self._cache.interrupted(spec, device=self._factory.device) if self._resume else None
        if isinstance(left, tuple):
            try:
                return self._factory.resume(spec, *left)
            except UserError as refusal:
                self._ended.append(EndedRun(position, left[0], f"{spec.title}: {refusal}"))
                return None
        if left is not None:
            self._factory.log(f"{spec.title}: {left}")
        return self._factory.start(spec, threads=threads)

    def _wait_for(self, position: int) -> None:
        self._asleep.append(position)
        self._look_again = time.monotonic() + _PATIENCE

    def _is_elsewhere(self, position: int, spec: RunSpec) -> bool:
        """Whether another process has the run under way, which is said once."""
        before, now = self._elsewhere.pop(position, None), self._cache.under_way(spec)
        if now is None:
            return False
        self._elsewhere[position] = now
        if before is None or before.id != now.id:
            self._factory.log(f"{spec.title}: another command is training it, {now.id}; waiting")
        return True


def _died(record: Record) -> str:
    return f"{record.benchmark} {record.id}: its process died; it is {record.status}"


def _done_already(spec: RunSpec, record: Record, now: Mapping[str, int | str]) -> str:
    """Say that a run is done, and with what, as far as it would be done with something else now.

    Args:
        spec: the run.
        record: what is there of it.
        now: the threads and the device that it would have; of the device ``auto`` it is only known to a framework,
            which takes seconds to import, what it would come to.
    """
    before = {key: record.environment.get(key, value) for key, value in now.items() if value != "auto"}
    before |= record.environment.get("packages", {})
    now = {**now, **packages_of(spec.benchmark)}
    other = [f"{name} {value}" for name, value in before.items() if now.get(name) != value]
    with_other = f" with {', '.join(other)}" if other else ""
    changed = spec.changed_code(record)
    if changed is None:
        with_other += "; its code is not known"
    elif changed:
        with_other += f"; the code has changed since of {', '.join(changed)}"
    return f"{spec.title}: done already{with_other}, {record.id} (bench run --force repeats it)"
