"""The search itself: one process asks for trials, hands them to workers, and keeps what they tell."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from craterbench.config.resolve import Override, ResolvedConfig
from craterbench.data.dataset import TrainVal
from craterbench.execution.executor import Executor, Worker
from craterbench.execution.run import Place, Run, RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.metrics.metric import Metric
from craterbench.plugin import UserError
from craterbench.results.record import Record
from craterbench.search.space.space import Space
from craterbench.search.study import Study
from craterbench.search.summary import Progress, Trial

if TYPE_CHECKING:
    import optuna

__all__ = ["Lines", "TrialLoop", "trial_seed"]

#: So many failures in a row, with no trial between them that came to its end, and the search gives up.
_MOST_FAILURES = 10

#: How long the search waits for a worker when it has none at all, in seconds.
_PATIENCE = 60.0

#: How long the search waits at most for what a worker tells, in seconds, before it looks whether another has come.
_LONGEST_WAIT = 5.0


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed that a trial trains with: it follows from the trial's number, in whatever order trials end."""
    return int(np.random.SeedSequence([study_seed, number]).generate_state(1)[0])


class Lines:
    """Passes on what runs have to say, and not how they go, which the search shows in its own way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def start(self, run: str, title: str, epochs: int, history: Sequence[Mapping[str, Any]]) -> None:
        """Show nothing."""

    def epoch(self, run: str, row: Mapping[str, Any]) -> None:
        """Show nothing."""

    def end(self, run: str, status: str) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show a line."""
        self._progress.say(line)


class _CtrlC:
    """Keeps Ctrl-C back, so that nothing is broken off while it is written; a second one waits no longer."""

    def __init__(self) -> None:
        self._came = False
        self._before = signal.getsignal(signal.SIGINT)
        # only the main thread may say what a signal does; and what is ignored stays so
        self._ours = threading.current_thread() is threading.main_thread() and callable(self._before)

    def __enter__(self) -> _CtrlC:
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


@dataclass(eq=False)
class _Active:
    """A trial under way.

    Attributes:
        history: the first objective after each epoch.
        curve: the same of the epoch that was the best until then, which would be kept if it were the last.
    """

    trial: optuna.Trial
    worker: Worker
    parameters: Mapping[str, Any]
    started: float
    retry_of: int | None
    run: Run | None = None
    history: list[float] = field(default_factory=list)
    curve: list[float] = field(default_factory=list)

    def reached(self, value: float, best: int) -> float:
        self.history.append(value)
        self.curve.append(self.history[best - 1])
        return self.curve[-1]

    def shown(self, state: str, **more: Any) -> Trial:
        return Trial(
            number=self.trial.number,
            state=state,
            parameters=self.parameters,
            curve=list(self.curve),
            epochs=len(self.curve),
            seconds=time.monotonic() - self.started,
            retry_of=self.retry_of,
            **{"values": self.curve[-1:], **more},
        )


class TrialLoop:
    """Brings a study to the number of trials that are wanted.

    It alone writes to the study. A worker that dies takes its trial with it, which is tried once more; a trial that
    raises, is refused, predicts NaN or takes too long has failed.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        resolve: Callable[[int, Sequence[Override]], ResolvedConfig],
        *,
        factory: RunFactory,
        executor: Executor,
        train_val: TrainVal,
        progress: Progress,
    ) -> None:
        """Take what the search needs.

        Args:
            resolve: returns the definition of a trial from its number and what it changes.
            factory: keeps the records of the trials.
        """
        self._study = study
        self._space = space
        self._resolve = resolve
        self._factory = factory
        self._executor = executor
        self._development = train_val
        self._progress = progress
        self._trial_timeout = study.config.trial_timeout
        self._active: list[_Active] = []
        self._failures = 0
        self._best: Trial | None = None
        self._seconds: list[float] = []  # that trials took, of those that ended here
        self._ctrl_c = _CtrlC()

    @property
    def gave_up(self) -> bool:
        """Whether so many trials failed in a row that the search ended early."""
        return self._failures >= min(_MOST_FAILURES, self._study.config.trials)

    def search(self, *, timeout: float | None = None) -> None:
        """Search until as many trials as are wanted are complete or pruned.

        Whatever stops it, such as Ctrl-C, leaves the study whole: trials under way have failed and are tried once more
        when it goes on.

        Args:
            timeout: seconds after which no trial is started.

        Raises:
            UserError: no worker has been free for a while, the executor is gone, or a folder cannot be written.
        """
        last = None if timeout is None else time.monotonic() + timeout
        self._remember_best()
        with self._ctrl_c:
            try:
                while True:
                    if not self.gave_up and (last is None or time.monotonic() < last):
                        self._start_trials()
                    if not self._active:
                        return
                    self._show_progress()
                    self._hear()
            finally:
                for active in list(self._active):
                    self._leave(active)

    def _remember_best(self) -> None:
        trials = self._study.trials()
        for number in self._study.best():
            if self._better(trials[number]):
                self._best = trials[number]

    def _start_trials(self) -> None:
        """Give every worker that is free a trial, as long as trials are wanted."""
        waited = 0.0
        while self._study.counted + len(self._active) < self._study.config.trials and not self.gave_up:
            worker = self._executor.acquire()
            if worker is not None:
                self._start(worker)
            elif self._active:
                return
            elif waited >= _PATIENCE:
                raise UserError(f"no worker has been free for {_PATIENCE:.0f} s; start one, and go on with --resume")
            else:
                with self._ctrl_c.allowed():
                    time.sleep(1.0)
                waited += 1.0

    def _start(self, worker: Worker) -> None:
        trial = self._study.ask()
        parameters, again = self._space.suggest(trial), self._study.retry_of(trial)
        active = _Active(trial, worker, parameters, time.monotonic(), again)
        self._active.append(active)
        number = trial.number
        try:
            asked = RunSpec(
                self._resolve(number, self._space.overrides(active.parameters)),
                trial_seed(self._study.config.seed, number),
                objectives=tuple(self._study.config.objectives),
            )
        except UserError as refusal:
            self._end(active, str(refusal))
            return
        self._progress.trial(active.shown("running"), most=self._study.config.epochs)
        place = Place(
            worker=worker, train_val=self._development, should_prune=lambda row: self._should_prune(active, row)
        )
        active.run = self._factory.start(asked, threads=self._executor.threads, place=place)
        self._study.begin(trial, active.run.record.id)
        if active.run.ended:
            self._end(active, active.run.record.error)

    def _should_prune(self, active: _Active, row: Mapping[str, Any]) -> bool:
        """Take a row of a trial's history and say whether it goes on."""
        value = active.reached(float(row[self._study.objectives[0].history_column]), int(row["best"]))
        self._progress.trial(active.shown("running"), most=self._study.config.epochs)
        return not self._study.report(active.trial, value, int(row["epoch"]))

    def _hear(self) -> None:
        """Wait a while for what a worker tells, and for no longer than until a trial has taken too long."""
        connections = {active.run.connection: active for active in self._active if active.run is not None}
        with self._ctrl_c.allowed():
            told = wait(list(connections), timeout=self._until_too_long())
        for ready in told:
            self._executor.check()  # or all trials would have failed, and those that were tried once more for good
            active = connections[ready]  # type: ignore[index]
            assert active.run is not None
            active.run.advance()
            if active.run.ended:
                self._end(active, active.run.record.error)
        for active in [active for active in self._active if self._too_long(active) <= 0]:
            assert active.run is not None
            cause = f"it took longer than {self._trial_timeout:g} s, the --trial-timeout"
            active.run.fail(cause)
            self._end(active, cause)

    def _too_long(self, active: _Active) -> float:
        """Return in how many seconds a trial will have taken too long."""
        if self._trial_timeout is None:
            return float("inf")
        return active.started + self._trial_timeout - time.monotonic()

    def _until_too_long(self) -> float:
        return max(0.0, min(_LONGEST_WAIT, *(self._too_long(active) for active in self._active)))

    def _end(self, active: _Active, cause: str | None) -> None:
        """Keep what came of a trial, and give its worker back."""
        self._active.remove(active)
        run, study = active.run, self._study
        died = run is not None and run.died
        self._executor.release(active.worker, usable=run is None or run.worker_free)
        record = None if run is None else run.record
        kept = {} if record is None else {"epochs": record.epochs}
        values = [] if record is None else _values(record, study.objectives)
        if record is not None and record.status == "pruned":
            study.prune(active.trial, **kept)
            shown = active.shown("pruned", record=record.id)
        elif record is not None and record.status == "done" and values:
            study.complete(active.trial, values, **kept)
            shown = active.shown("complete", record=record.id, values=values)
        else:
            cause = cause or f"it has no value of {' or '.join(metric.label for metric in study.objectives)}"
            again = died and active.retry_of is None
            study.fail(active.trial, cause, again=again, **kept)
            shown = active.shown("failed", reason=cause, record=None if record is None else record.id)
            self._failures += not again
        if shown.state != "failed":
            self._failures = 0
            self._seconds.append(shown.seconds or 0.0)
        if shown.state == "complete" and self._better(shown):
            self._best = shown
        self._progress.trial(shown, most=study.config.epochs)

    def _better(self, trial: Trial) -> bool:
        if self._best is None:
            return True
        mine, best = trial.values[0], self._best.values[0]
        return mine > best if self._study.objectives[0].greater_is_better else mine < best

    def _leave(self, active: _Active) -> None:
        """Break a trial off; it is tried once more when the search goes on."""
        self._active.remove(active)
        if active.run is not None:
            active.run.interrupt()
        self._executor.release(active.worker, usable=False)
        self._study.fail(active.trial, "the search was interrupted", again=True)

    def _show_progress(self) -> None:
        left = None
        wanted, done = self._study.config.trials, self._study.counted
        if self._seconds:
            at_once = max(1, min(self._executor.workers, wanted - done))
            under_way = sum(time.monotonic() - active.started for active in self._active)
            mean = sum(self._seconds) / len(self._seconds)
            left = max(0.0, (mean * (wanted - done) - under_way) / at_once)
        self._progress.progress(done=done, wanted=wanted, best=self._best, workers=self._executor.workers, left=left)


def _values(record: Record, objectives: Sequence[Metric]) -> list[float]:
    """Return the objectives of the best epoch, or nothing where one of them has no value."""
    if "validation" not in record.parts:
        return []
    sums = record.parts["validation"]["statistics"]
    values = [value for metric in objectives if (value := metric.score(sums)) is not None]
    return values if len(values) == len(objectives) else []
