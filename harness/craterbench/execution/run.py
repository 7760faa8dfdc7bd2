"""Run a benchmark in a child and keep what it leaves, whatever the child does."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import craterbench
from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.identity import config_digest
from craterbench.data.dataset import TrainVal
from craterbench.execution.devices import environment
from craterbench.execution.executor import Worker
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.versions import packages_of
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerDied, WorkerError, WorkerProcess, log_tail
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.errors import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.checkpoint import Checkpoint
from craterbench.results.parity_verdicts import standing
from craterbench.results.record import Record
from craterbench.results.store import RunFolder, Store, new_id
from craterbench.training.experiment import RunInfo, RunResult, SplitResult

__all__ = ["Place", "Progress", "Run", "RunFactory", "arrays_of", "parts_of"]


class Progress(Protocol):
    """Shows runs as they go; each is known by the id of its record."""

    def start(self, run: str, title: str, epochs: int, history: Sequence[Mapping[str, Any]]) -> None:
        """Show that a run starts, of at most so many epochs, or goes on after those of its history."""

    def epoch(self, run: str, row: Mapping[str, Any]) -> None:
        """Show a row of its history."""

    def end(self, run: str, status: str) -> None:
        """Show that it has ended."""

    def say(self, line: str) -> None:
        """Show a line."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial of a search runs, and what it is to go by.

    Attributes:
        worker: a warm worker, which outlives the trial.
        development: the images, so that the test part is never read.
        judge: is told each row of the history and says whether to go on.
    """

    worker: Worker
    train_val: TrainVal
    should_prune: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class RunFactory:
    """Starts runs, each in a child of its own unless it is given another place.

    Attributes:
        illustrate: called with the folder, what was asked for and the outcome of a run that is done, to add its
            pictures; ``None`` adds none.
    """

    registry: Registry
    store: Store
    device: str
    progress: Progress
    save_plots: Callable[[Path, RunSpec, RunResult], None] | None

    def start(self, asked: RunSpec, *, threads: int, place: Place | None = None) -> Run:
        """RunInfo a run from its beginning.

        Args:
            threads: how many threads its child may use, or the worker of the place does.

        Raises:
            UserError: the results folder cannot be written.
        """
        record = self._new_record(asked, threads)
        return Run(self, asked, record, self.store.begin(record), place=place)

    def resume(self, asked: RunSpec, interrupted: Record, checkpoint: Checkpoint) -> Run:
        """Go on with a run from a checkpoint, with as many threads and on the device that it began with.

        Raises:
            UserError: another process does so already.
        """
        return Run(self, asked, interrupted, self.store.reopen(interrupted), checkpoint)

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook of every plugin, and show what went wrong in which."""
        for problem in self.registry.tell(hook, **arguments):
            self.progress.say(f"plugin {problem.plugin}: {problem.message}")

    def _new_record(self, asked: RunSpec, threads: int) -> Record:
        benchmark = asked.benchmark
        run_id, started = new_id()
        dataset = self.registry.get("dataset", benchmark.dataset.name)
        components, packages = benchmark.versions(), packages_of(benchmark)
        return Record(
            id=run_id,
            benchmark=benchmark.name,
            seed=asked.seed,
            fold=asked.fold_name,
            status="running",
            started=started,
            overrides=asked.overrides,
            definition=config_digest(benchmark),
            config=benchmark.as_dict(),
            protocol=_protocol(benchmark),
            dataset={"name": dataset.name, "provenance": dataset.provenance, "licence": dataset.licence},
            environment={
                "craterbench": craterbench.__version__,
                "evaluator": EVALUATOR_VERSION,
                "components": components,
                "sources": benchmark.sources(),
                "python": platform.python_version(),
                "packages": packages,
                "machine": f"{platform.system()} {platform.machine()}",
                "threads": threads,
                "device": self.device,
            },
        )


class Run:
    """A run under way: a worker, and what is kept of what it tells.

    Attributes:
        record: its record as far as it is known.
        ended: whether it is over. Of a run that could not be had as asked nothing is left then, or, if it was to go on,
            what there was before; but a trial of a search has failed.
        died: whether it ended because its worker did.
        worker_free: whether its worker has ended the task, and could do another.
    """

    def __init__(
        self,
        factory: RunFactory,
        asked: RunSpec,
        record: Record,
        folder: RunFolder,
        checkpoint: Checkpoint | None = None,
        place: Place | None = None,
    ) -> None:
        self.record = replace(record, status="running", error=None, log_tail=[])
        self.ended = False
        self.died = False
        self.worker_free = False
        self._place = place
        self._factory = factory
        self._asked = asked
        self._folder = folder
        self._before = None if checkpoint is None else record
        self._history = [] if checkpoint is None else list(checkpoint.history)
        self._worker: Worker | None = None
        self._told = self.record.as_json()
        try:
            self._begin(checkpoint)
        except Exception as error:
            self._fail(error)
        except BaseException:
            self.interrupt()
            raise

    @property
    def connection(self) -> Connection:
        """The pipe to wait at: ``advance`` takes what comes."""
        assert self._worker is not None
        return self._worker.connection

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        factory, benchmark = self._factory, self._asked.benchmark
        framework: FrameworkSpec = factory.registry.get("framework", benchmark.framework.name)
        factory.progress.start(self.record.id, self._asked.title, benchmark.training.epochs, self._history)
        self._folder.write_record(self.record)
        self._folder.write_definition(benchmark.as_dict())
        self._folder.write_history(self._history)
        factory.tell("bench_run_started", run=self._told)
        # as asked for or, of a run that goes on, what it began with
        threads, device = (self.record.environment[key] for key in ("threads", "device"))
        if self._place is None:
            self._worker = WorkerProcess(environment(threads=threads, device=device, framework=framework.environment))
        else:
            self._worker = self._place.worker
            self._worker.provide(self._place.train_val)
        task = {
            "benchmark": benchmark,
            "seed": self._asked.seed,
            "fold": self._asked.fold,
            "objectives": self._asked.objectives,
            "device": device,
            "checkpoint": checkpoint,
            "asks": self._place is not None,
            "given": None if self._place is None else self._place.train_val.digest,
        }
        self._worker.ask(TRAIN_AND_EVALUATE, task, self._log)

    def advance(self) -> None:
        """Wait for what the worker tells next and keep it.

        Raises:
            UserError: the run cannot be had as asked.
        """
        assert self._worker is not None
        take: dict[str, Callable[[Any], None]] = {
            "start": self._on_start,
            "epoch": self._on_epoch,
            "checkpoint": self._folder.write_checkpoint,
            "finished": self._on_finished,
        }
        try:
            kind, content = self._hear()
            take[kind](content)
        except UserError as refusal:
            if self._place is not None:
                self.fail(str(refusal))
                return
            self._leave()
            raise
        except Exception as error:  # a full disk, say: the run is lost, but not the word of it
            if self.ended:  # its record cannot be written
                raise
            self._fail(error)

    def _hear(self) -> tuple[str, Any]:
        assert self._worker is not None
        try:
            kind, content = self._worker.hear()
        except WorkerDied:
            self.died = True
            raise
        except UserError as refusal:
            self.worker_free = True
            if self._before is not None:
                began = f"it began with device {self.record.environment['device']}"
                raise UserError(f"{self._asked.title} cannot go on, {began}: {refusal}") from None
            raise
        except WorkerError:
            self.worker_free = True
            raise
        self.worker_free = kind == "finished"
        return kind, content

    def interrupt(self) -> None:
        """End the run, if it has not ended, as ``interrupted``."""
        if not self.ended:
            self._end(replace(self.record, status="interrupted"))

    def fail(self, cause: str) -> None:
        """End the run, if it has not ended, as failed for this cause."""
        if not self.ended:
            self._fail(WorkerError(cause))

    def _on_start(self, start: RunInfo) -> None:
        record = _started(self.record, self._asked, start, self._factory.store.root)
        if self._before is not None and record.dataset["digest"] != self._before.dataset.get("digest"):
            raise UserError(f"{self._asked.title} cannot go on: its data have just changed; leave out --resume")
        self.record = record
        self._folder.write_record(record)
        for warning in start.warnings:
            self._factory.progress.say(f"{self._asked.title}: warning: {warning}")

    def _on_epoch(self, row: dict[str, Any]) -> None:
        self._history.append(row)
        self._folder.write_history(self._history)
        self._factory.progress.epoch(self.record.id, row)
        self._factory.tell("bench_epoch_finished", run=self._told, epoch=row)
        if self._place is not None:
            self._place.worker.answer(should_continue=self._place.should_prune(row))

    def _on_finished(self, outcome: RunResult) -> None:
        self._stop()
        _write_arrays(self._folder, outcome)
        record = _done(self.record, outcome)
        self._folder.write_record(replace(record, epochs=len(self._history)))
        self._folder.remove_checkpoint()
        self._end(record, outcome)

    def _fail(self, error: Exception) -> None:
        """End the run as failed; only if it went wrong by itself would it do so again."""
        if isinstance(error, WorkerError):
            record = replace(self.record, error=str(error), log_tail=log_tail(self._log))
        else:
            record = replace(self.record, error=f"{type(error).__name__}: {error}")
        if isinstance(error, WorkerError) and not self.died:
            self._folder.remove_checkpoint()
        self._end(replace(record, status="failed"))

    def _end(self, record: Record, outcome: RunResult | None = None) -> None:
        self._stop()
        self.ended = True
        self.record = replace(record, epochs=len(self._history))
        self._folder.write_record(self.record)
        try:
            if outcome is not None:
                self._save_plots(outcome)
        finally:
            self._finish()
        self._factory.tell("bench_run_finished", run=self._told, record=self.record.as_json())

    def _finish(self) -> None:
        progress, whole = self._factory.progress, self._factory.store.folder(self.record)
        path_now = self._folder.finish(self.record)
        progress.end(self.record.id, self.record.status)
        if path_now != whole:
            progress.say(f"{self._asked.title}: left in {path_now}, for it cannot be moved to {whole}")

    def _save_plots(self, outcome: RunResult) -> None:
        """Add its pictures; without them it is as done as with them."""
        if self._factory.save_plots is None:
            return
        try:
            self._factory.save_plots(self._folder.path, self._asked, outcome)
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            self._factory.progress.say(f"{self._asked.title} is done, but its pictures are missing: {cause}")

    def _leave(self) -> None:
        """Leave what was there before the run."""
        self._stop()
        self.ended = True
        if self._before is None:
            self._folder.discard()
        else:
            self._folder.finish(self._before)

    def _stop(self) -> None:
        """End the child that the run has for itself."""
        if self._place is None and self._worker is not None:
            self._worker.stop()

    @property
    def _log(self) -> Path:
        return self._folder.path / "log.txt"


def _started(record: Record, asked: RunSpec, start: RunInfo, results: Path) -> Record:
    """Return the record of a run whose data are known, and where it trains, which may be another machine."""
    environment = {**record.environment, "device": start.device, "python": start.python, "machine": start.machine}
    judged = {key: environment[key] for key in ("components", "packages", "device")}
    judged["sources"] = environment.get("sources", {})  # a run that goes on may be older than they
    return replace(
        record,
        identity=asked.identity(data=start.data_digest),
        dataset={**record.dataset, "digest": start.data_digest, "notes": list(start.data_notes)},
        environment=environment,
        warnings=list(start.warnings),
        parity=standing(results, precision=record.precision, **judged),
    )


def parts_of(scored: Mapping[str, SplitResult]) -> dict[str, dict[str, Any]]:
    """Return what a record says of the parts that were scored."""
    return {
        name: {
            "fingerprint": part.fingerprint,
            "num_images": len(part.statistics.groups),
            "statistics": part.statistics.sums(),
        }
        for name, part in scored.items()
    }


def arrays_of(scored: Mapping[str, SplitResult]) -> dict[str, dict[str, Any]]:
    """Return the arrays that lie beside the record, by part and name."""
    return {name: {**part.statistics.arrays, "groups": part.statistics.groups} for name, part in scored.items()}


def _done(record: Record, outcome: RunResult) -> Record:
    weights = outcome.training.best_weights
    return replace(
        record,
        status="pruned" if outcome.training.pruned else "done",
        parts=parts_of(outcome.scored),
        num_weights=sum(int(a.size) for a in weights.values() if a.ndim and a.dtype.kind == "f"),
        best_epoch=outcome.training.best_epoch,
        seconds=outcome.seconds,
        images_per_second=outcome.training.images_trained / outcome.training.training_seconds,
        peak_memory=outcome.peak_memory,
        warnings=[*record.warnings, *outcome.warnings],
    )


def _protocol(benchmark: BenchmarkConfig) -> str:
    """Say in a few words how the parts were made."""
    split = "by group" if benchmark.split.when == "before-augmentation" else "after augmentation"
    return split if benchmark.augmentation.warp == "both" else f"{split}, masks not warped"


def _write_arrays(folder: RunFolder, outcome: RunResult) -> None:
    folder.write_statistics(arrays_of(outcome.scored))
    folder.write_weights(outcome.training.best_weights)
