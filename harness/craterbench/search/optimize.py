"""The optimization loop: asks the study for trials, has the scheduler run them, and reports what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from craterbench.config.resolve import Override, ResolvedConfig
from craterbench.data.dataset import TrainVal
from craterbench.execution.executor import Executor
from craterbench.execution.held_ctrl_c import HeldCtrlC
from craterbench.execution.run import ActiveRun, RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.scheduler import EpochFinished, Event, RunFailed, RunFinished, Scheduler, WorkerLost
from craterbench.metrics.metric import Metric
from craterbench.plugin import UserError
from craterbench.results.record import Record
from craterbench.search.space.space import Space
from craterbench.search.study import Study
from craterbench.search.summary import Progress, Trial

if TYPE_CHECKING:
    import optuna

__all__ = ["TrialLoop", "trial_seed"]

#: So many failures in a row, with no trial between them that came to its end, and the search gives up.
_MOST_FAILURES = 10


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed that a trial trains with: it follows from the trial's number, in whatever order trials end."""
    return int(np.random.SeedSequence([study_seed, number]).generate_state(1)[0])


@dataclass(eq=False)
class _ActiveTrial:
    """A trial under way.

    Attributes:
        history: the first objective after each epoch.
        curve: the same of the epoch that was the best until then, which would be kept if it were the last.
    """

    trial: optuna.Trial
    parameters: Mapping[str, Any]
    started: float
    retry_of: int | None
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
    """Brings a study to the number of trials that are wanted: the scheduler's source.

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
        train_val: TrainVal,
        progress: Progress,
    ) -> None:
        """Take what the search needs.

        Args:
            study: the study.
            space: what is tried.
            resolve: returns the config of a trial from its number and what it changes.
            factory: keeps the records of the trials.
            train_val: the images of all trials.
            progress: shows the trials.
        """
        self._study = study
        self._space = space
        self._resolve = resolve
        self._factory = factory
        self._train_val = train_val
        self._progress = progress
        self._last: float | None = None
        self._running: list[_ActiveTrial] = []
        self._active: dict[ActiveRun, _ActiveTrial] = {}
        self._failures = 0
        self._best: Trial | None = None
        self._seconds: list[float] = []  # that trials took, of those that ended here

    @property
    def gave_up(self) -> bool:
        """Whether so many trials failed in a row that the search ended early."""
        return self._failures >= min(_MOST_FAILURES, self._study.config.trials)

    def search(self, executor: Executor, *, timeout: float | None = None) -> None:
        """Search until as many trials as are wanted are complete or pruned.

        Whatever stops it, such as Ctrl-C, leaves the study intact: trials under way have failed and are tried once more
        when it goes on.

        Args:
            executor: where the trials run.
            timeout: seconds after which no trial is started.

        Raises:
            UserError: no worker has been free for a while, the executor is gone, or a folder cannot be written.
        """
        self._last = None if timeout is None else time.monotonic() + timeout
        self._remember_best()
        with HeldCtrlC() as ctrl_c:
            scheduler = Scheduler(
                executor,
                allowing_ctrl_c=ctrl_c.allowed,
                warm=True,
                train_val=self._train_val,
                prunable=True,
                timeout=self._study.config.trial_timeout,
            )
            try:
                with closing(scheduler.events(self)) as events:
                    for event in events:
                        self._take(event)
                        self._show_progress(executor.workers)
            finally:
                records = {active.trial.number: run.record for run, active in self._active.items()}
                for active in list(self._running):  # they are tried once more when the search goes on
                    self._fail(active, "the search was interrupted", records.get(active.trial.number), again=True)

    @property
    def wanted(self) -> bool:
        """Whether another trial is to be started."""
        more = self._study.counted + len(self._running) < self._study.config.trials and not self.gave_up
        return more and (self._last is None or time.monotonic() < self._last)

    @property
    def ask_again(self) -> None:
        """No trial is wanted because time has passed."""

    def next(self, threads: int) -> ActiveRun | None:
        """Ask the study for a trial and begin its run; ``None`` if its config is refused."""
        trial, study = self._study.ask(), self._study
        active = _ActiveTrial(trial, self._space.suggest(trial), time.monotonic(), study.retry_of(trial))
        self._running.append(active)
        number = trial.number
        try:
            resolved = self._resolve(number, self._space.overrides(active.parameters))
        except UserError as refusal:
            self._fail(active, str(refusal))
            return None
        self._progress.trial(active.shown("running"), most=study.config.epochs)
        spec = RunSpec(resolved, trial_seed(study.config.seed, number), objectives=tuple(study.config.objectives))
        run = self._factory.start(spec, threads=threads, trial=number)
        self._active[run] = active
        study.begin(trial, run.record.id)
        return run

    def _remember_best(self) -> None:
        trials = self._study.trials()
        for number in self._study.best():
            if self._better(trials[number]):
                self._best = trials[number]

    def _take(self, event: Event) -> None:
        """Keep what an event says of a trial."""
        active = self._active[event.run]
        if isinstance(event, EpochFinished):
            value = active.reached(float(event.row[self._study.objectives[0].history_column]), int(event.row["best"]))
            self._progress.trial(active.shown("running"), most=self._study.config.epochs)
            if self._study.report(active.trial, value, int(event.row["epoch"])):
                event.run.stop()
        elif isinstance(event, (RunFinished, RunFailed)):
            del self._active[event.run]
            self._end(active, event)

    def _end(self, active: _ActiveTrial, event: RunFinished | RunFailed) -> None:
        """Keep what came of a trial."""
        study, record = self._study, event.run.record
        values = _values(record, study.objectives)
        if isinstance(event, RunFailed) or (record.status == "done" and not values):
            cause = (
                event.cause
                if isinstance(event, RunFailed)
                else f"it has no {' or '.join(metric.label for metric in study.objectives)}: on the validation part, "
                "which may lack a class, that is not defined"
            )
            again = isinstance(event, WorkerLost) and active.retry_of is None
            self._fail(active, cause, record, again=again)
            return
        self._running.remove(active)
        if record.status == "pruned":
            study.prune(active.trial, epochs=record.epochs)
            shown = active.shown("pruned", record=record.id)
        else:
            study.complete(active.trial, values, epochs=record.epochs)
            shown = active.shown("complete", record=record.id, values=values)
            if self._better(shown):
                self._best = shown
        self._failures = 0
        self._seconds.append(shown.seconds or 0.0)
        self._show(shown)

    def _fail(self, active: _ActiveTrial, cause: str, record: Record | None = None, *, again: bool = False) -> None:
        """Keep that a trial failed."""
        self._running.remove(active)
        self._study.fail(active.trial, cause, again=again, **({} if record is None else {"epochs": record.epochs}))
        self._failures += not again
        self._show(active.shown("failed", reason=cause, record=None if record is None else record.id))

    def _show(self, ended: Trial) -> None:
        self._progress.trial(ended, most=self._study.config.epochs)
        self._factory.call_hook("bench_trial_finished", study=self._study.context, trial=asdict(ended))

    def _better(self, trial: Trial) -> bool:
        if self._best is None:
            return True
        mine, best = trial.values[0], self._best.values[0]
        return mine > best if self._study.objectives[0].greater_is_better else mine < best

    def _show_progress(self, workers: int) -> None:
        left = None
        wanted, done = self._study.config.trials, self._study.counted
        if self._seconds:
            at_once = max(1, min(workers, wanted - done))
            under_way = sum(time.monotonic() - active.started for active in self._running)
            mean = sum(self._seconds) / len(self._seconds)
            left = max(0.0, (mean * (wanted - done) - under_way) / at_once)
        self._progress.progress(done=done, wanted=wanted, best=self._best, workers=workers, left=left)


def _values(record: Record, objectives: Sequence[Metric]) -> list[float]:
    """Return the objectives of the best epoch, or nothing where one of them has no value."""
    if "validation" not in record.parts:
        return []
    sums = record.parts["validation"]["statistics"]
    values = [value for metric in objectives if (value := metric.score(sums)) is not None]
    return values if len(values) == len(objectives) else []
