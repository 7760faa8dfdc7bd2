"""A run under way: its worker trains it, and this process keeps its record and its files."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import craterbench
from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.identity import config_digest
from craterbench.data.dataset import TrainVal
from craterbench.execution.devices import environment
from craterbench.execution.executor import Worker
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.versions import packages_of
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerDied, WorkerError, log_tail
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.plugin import RunContext, UserError
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.registry import Registry
from craterbench.results.checkpoint import Checkpoint
from craterbench.results.parity_verdicts import standing
from craterbench.results.predictions_file import write_predictions
from craterbench.results.record import Record
from craterbench.results.store import RunFolder, Store, new_id
from craterbench.training.experiment import RunInfo, RunResult, Samples, SplitResult

__all__ = ["ActiveRun", "RunFactory", "arrays_of", "parts_of"]


@dataclass(frozen=True, kw_only=True)
class RunFactory:
    """Begins runs.

    Attributes:
        registry: the components, and the plugins with hooks.
        device: what new runs train on.
        log: shows a line.
        study: the name of the study whose trials they are, if they are.
    """

    registry: Registry
    store: Store
    device: str
    log: Callable[[str], None]
    study: str | None = None
    _logged: set[str] = field(default_factory=set, init=False, repr=False)

    def start(self, spec: RunSpec, *, threads: int, trial: int | None = None) -> ActiveRun:
        """Make the folder of a new run, which nobody trains yet.

        Args:
            threads: how many threads its worker will have.
            trial: its number in the study.

        Raises:
            UserError: the results folder cannot be written.
        """
        record = self._new_record(spec, threads)
        return ActiveRun(self, spec, record, self.store.begin(record), trial=trial)

    def resume(self, spec: RunSpec, interrupted: Record, checkpoint: Checkpoint) -> ActiveRun:
        """Take up a run from a checkpoint, with as many threads and on the device that it began with.

        Raises:
            UserError: another process does so already.
        """
        return ActiveRun(self, spec, interrupted, self.store.reopen(interrupted), checkpoint)

    def call_hook(self, hook: str, **arguments: Any) -> list[str]:
        """Call a life-cycle hook of all plugins, and return what went wrong in which; each problem is logged once."""
        problems = [f"plugin {each.plugin}: {each.message}" for each in self.registry.call_hook(hook, **arguments)]
        for problem in problems:
            if problem not in self._logged:
                self._logged.add(problem)
                self.log(problem)
        return problems

    def _new_record(self, spec: RunSpec, threads: int) -> Record:
        benchmark = spec.benchmark
        run_id, started = new_id()
        dataset = self.registry.get("dataset", benchmark.dataset.name)
        components, packages = benchmark.versions(), packages_of(benchmark)
        return Record(
            id=run_id,
            benchmark=benchmark.name,
            seed=spec.seed,
            fold=spec.fold_name,
            status="running",
            started=started,
            overrides=spec.overrides,
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


class ActiveRun:
    """A run: what its worker reports, and what is kept of it.

    Attributes:
        spec: its benchmark, seed and fold.
        record: its record as far as it is known.
        ended: whether it is over. A run that was to go on and was refused is left as it was before.
        cause: why it came to nothing, if it did.
        refused: whether that was a ``UserError``: its benchmark, its data or its device is at fault.
        worker_lost: whether that was because its worker died.
        worker_free: whether its worker has ended the task, and could do another.
    """

    def __init__(
        self,
        factory: RunFactory,
        spec: RunSpec,
        record: Record,
        folder: RunFolder,
        checkpoint: Checkpoint | None = None,
        trial: int | None = None,
    ) -> None:
        self.spec = spec
        self.record = replace(record, status="running", error=None, log_tail=[])
        self.ended = False
        self.cause: str | None = None
        self.refused = False
        self.worker_lost = False
        self.worker_free = False
        self._factory = factory
        self._folder = folder
        self._checkpoint = checkpoint
        self._before = None if checkpoint is None else record
        self._history = [] if checkpoint is None else list(checkpoint.history)
        self._worker: Worker | None = None
        self._stopped = False
        self._listened_to = False
        self._context = RunContext(
            id=record.id,
            folder=folder.path,
            config={"name": spec.benchmark.name, **spec.benchmark.as_dict()},
            seed=spec.seed,
            fold=spec.fold_name,
            study=factory.study,
            trial=trial,
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that its worker must have, with the threads and the device that it began with."""
        framework: FrameworkSpec = self._factory.registry.get("framework", self.spec.benchmark.framework.name)
        threads, device = (self.record.environment[key] for key in ("threads", "device"))
        return environment(threads=threads, device=device, framework=framework.environment)

    def begin(self, worker: Worker, *, train_val: TrainVal | None, prunable: bool, shares_files: bool) -> None:
        """Have a worker train it.

        Args:
            worker: a worker with these ``variables`` that has nothing to do.
            train_val: the images, if it is to see no others.
            prunable: whether it waits after each epoch for the answer whether to go on, and makes no checkpoints.
            shares_files: whether the worker can write its checkpoints into its folder.
        """
        self._worker, self._prunable = worker, prunable
        benchmark = self.spec.benchmark
        task = {
            "benchmark": benchmark,
            "seed": self.spec.seed,
            "fold": self.spec.fold,
            "objectives": self.spec.objectives,
            "device": self.record.environment["device"],
            "checkpoint": self._checkpoint,
            "checkpoint_file": self._folder.checkpoint_file.absolute() if shares_files else None,
            "interactive": prunable,
            "dataset_id": None if train_val is None else train_val.id,
        }
        self._checkpoint = None  # the worker has it now
        try:
            self._folder.write_record(self.record)
            config = {key: value for key, value in self._context.config.items() if key != "name"}
            self._folder.write_config(config)
            self._folder.write_history(self._history)
            self._listened_to = True
            self._call_hook("bench_run_started")
            if train_val is not None:
                worker.provide(train_val)
            worker.ask(TRAIN_AND_EVALUATE, task, self._log)
        except Exception as error:
            self._fail(error)

    def advance(self) -> tuple[str, Any]:
        """Wait for the next message of the worker, keep its content, and return its kind and content."""
        kind, content = "", None
        try:
            kind, content = self._hear()
            take: dict[str, Callable[[Any], None]] = {
                "start": self._on_start,
                "epoch": self._on_epoch,
                "checkpoint": self._on_checkpoint,
                "finished": self._on_finished,
            }
            take[kind](content)
        except Exception as error:  # a full disk, say: the run is lost, but its failure is recorded
            if self.ended:  # its record cannot be written
                raise
            if isinstance(error, UserError) and self._before is not None:
                self._leave(self._before, error)
            else:
                self._fail(error)
        return kind, content

    def stop(self) -> None:
        """Have a run that can be pruned end after the epoch that it has just reported."""
        self._stopped = True

    def answer(self) -> None:
        """Answer the worker whether to go on, if it waits for that."""
        if self._prunable and self._worker is not None:
            self._worker.answer(should_continue=not self._stopped)

    def interrupt(self) -> None:
        """End the run, if it has not ended, as ``interrupted``."""
        if not self.ended:
            self._end(replace(self.record, status="interrupted"))

    def fail(self, cause: str) -> None:
        """End the run, if it has not ended, as failed for this cause."""
        if not self.ended:
            self._fail(WorkerError(cause))

    def _hear(self) -> tuple[str, Any]:
        assert self._worker is not None
        try:
            kind, content = self._worker.hear()
        except WorkerDied:
            self.worker_lost = True
            raise
        except UserError as refusal:
            self.worker_free = True
            if self._before is not None:
                began = f"it began with device {self.record.environment['device']}"
                raise UserError(f"{self.spec.title} cannot go on, {began}: {refusal}") from None
            raise
        except WorkerError:
            self.worker_free = True
            raise
        self.worker_free = kind == "finished"
        return kind, content

    def _on_start(self, start: RunInfo) -> None:
        record = _started(self.record, self.spec, start, self._factory.store.root)
        if self._before is not None and record.dataset["digest"] != self._before.dataset.get("digest"):
            raise UserError(f"{self.spec.title} cannot go on: its data have just changed; leave out --resume")
        self.record = record
        self._folder.write_record(record)
        for warning in start.warnings:
            self._factory.log(f"{self.spec.title}: warning: {warning}")

    def _on_epoch(self, row: dict[str, Any]) -> None:
        self._history.append(row)
        self._folder.write_history(self._history)
        self._call_hook("bench_epoch_finished", epoch=row)

    def _on_checkpoint(self, content: Checkpoint | str | None) -> None:
        """Write a checkpoint that came from another machine; here the worker has done so, or says why it could not."""
        if isinstance(content, str):
            raise OSError(f"no checkpoint could be written: {content}")
        if content is not None:
            self._folder.write_checkpoint(content)

    def _on_finished(self, outcome: RunResult) -> None:
        _write_arrays(self._folder, outcome, drawn=self._context.trial is None)  # tables show no trial
        record = _done(self.record, outcome)
        self._folder.write_record(replace(record, epochs=len(self._history)))
        self._folder.remove_checkpoint()
        self._end(record, outcome.samples)

    def _fail(self, error: Exception) -> None:
        """End the run as failed; only if it went wrong by itself would it do so again."""
        by_itself = isinstance(error, (UserError, WorkerError))
        self.cause = str(error) if by_itself else f"{type(error).__name__}: {error}"
        self.refused = isinstance(error, UserError)
        self._stop()
        if by_itself and not self.worker_lost:
            self._folder.remove_checkpoint()
        tail = log_tail(self._log) if isinstance(error, WorkerError) else []
        self._end(replace(self.record, status="failed", error=self.cause, log_tail=tail))

    def _leave(self, before: Record, refusal: UserError) -> None:
        """Leave what there was before the run."""
        self.cause, self.refused = str(refusal), True
        self._end(before)

    def _end(self, record: Record, samples: Samples | None = None) -> None:
        self._stop()
        self.ended = True
        self.record = record if record is self._before else replace(record, epochs=len(self._history))
        self._folder.write_record(self.record)
        try:
            if self._listened_to:
                shown = None if samples is None else vars(samples)
                self._call_hook("bench_run_finished", record=self.record.as_json(), samples=shown)
        finally:
            final = self._factory.store.folder(self.record)
            path_now = self._folder.finish(self.record)
            if path_now != final:
                self._factory.log(f"{self.spec.title}: left in {path_now}, for it cannot be moved to {final}")

    def _call_hook(self, hook: str, **arguments: Any) -> None:
        """Call a hook of all plugins; what goes wrong is among the run's warnings, unless it is left as it was."""
        problems = self._factory.call_hook(hook, run=self._context, **arguments)
        added = [problem for problem in problems if problem not in self.record.warnings]
        if added and self.record is not self._before:
            self.record = replace(self.record, warnings=[*self.record.warnings, *added])

    def _stop(self) -> None:
        """End the worker, unless it has ended its task: it may be writing into the folder, which moves."""
        if self._worker is not None and not self.worker_free:
            self._worker.stop()

    @property
    def _log(self) -> Path:
        return self._folder.path / "log.txt"


def _started(record: Record, spec: RunSpec, start: RunInfo, results: Path) -> Record:
    """Return the record of a run whose data are known, and where it trains, which may be another machine."""
    environment = {**record.environment, "device": start.device, "python": start.python, "machine": start.machine}
    trained_with = {key: environment[key] for key in ("components", "packages", "device")}
    trained_with["sources"] = environment.get("sources", {})  # a run that goes on may be older than they
    return replace(
        record,
        identity=spec.identity(data=start.data_digest, drawn=start.drawn),
        dataset={
            **record.dataset,
            "digest": start.data_digest,
            "notes": list(start.data_notes),
            **({} if start.drawn else {"split": "nearest"}),
        },
        environment=environment,
        warnings=list(dict.fromkeys((*start.warnings, *record.warnings))),
        parity=standing(results, precision=record.precision, **trained_with),
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
    """Return the arrays that are kept beside the record, by part and name."""
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


def _write_arrays(folder: RunFolder, outcome: RunResult, *, drawn: bool) -> None:
    folder.write_statistics(arrays_of(outcome.scored))
    if drawn:
        write_predictions(folder.path, {name: part.predictions for name, part in outcome.scored.items()})
    folder.write_weights(outcome.training.best_weights)
