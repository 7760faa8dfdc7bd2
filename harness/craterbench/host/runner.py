"""Run a benchmark in a child and keep what it leaves, whatever the child does."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import craterbench
from craterbench.definition.benchmark import Benchmark
from craterbench.definition.identity import definition_digest
from craterbench.host.asked import Asked
from craterbench.host.child import Child, ChildError
from craterbench.host.devices import available_cores, environment
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.errors import UserError
from craterbench.plugin.registry import Problem, Registry
from craterbench.records.record import Record
from craterbench.records.store import RunFolder, Store, new_id
from craterbench.records.verdicts import standing
from craterbench.scoring.counts import EVALUATOR_VERSION, REGIONS
from craterbench.scoring.metrics import pooled
from craterbench.training.experiment import Outcome, Start

__all__ = ["Runner", "versions_of"]

_LOG_LINES = 20

#: Packages of every run whose versions can move a digit of the data or of a score.
_ALWAYS = ("numpy", "scipy", "scikit-learn", "opencv-python-headless")


class Runner:
    """Runs benchmarks, each in a child of its own, and keeps a record of each.

    Args:
        on_warning: told what makes the scores of the run under way doubtful.
        on_problem: told what a plugin's life-cycle hook raised.
        illustrate: called with the folder, the record and the outcome of a run that is done, to add its pictures.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        *,
        device: str,
        on_epoch: Callable[[dict[str, Any]], None],
        on_warning: Callable[[str], None],
        on_problem: Callable[[Problem], None],
        illustrate: Callable[[Path, Record, Outcome], None],
    ) -> None:
        self._registry = registry
        self._store = store
        self._device = device
        self._on_epoch = on_epoch
        self._on_warning = on_warning
        self._on_problem = on_problem
        self._illustrate = illustrate

    def run(self, asked: Asked) -> Record:
        """Train a benchmark and return the record: ``done`` or ``failed``.

        Raises:
            UserError: the run cannot be had as asked; nothing is left of it.
            KeyboardInterrupt: the record says ``interrupted``.
        """
        benchmark = asked.benchmark
        framework: FrameworkSpec = self._registry.get("framework", benchmark.framework.name)
        framework.check_installed()
        threads = available_cores()
        record = self._new_record(asked, threads)
        folder = self._store.begin(record)
        history: list[dict[str, Any]] = []

        def on_start(start: Start) -> None:
            nonlocal record
            record = _started(record, asked, start)
            folder.write_record(record)
            for warning in start.warnings:
                self._on_warning(warning)

        def on_epoch(row: dict[str, Any]) -> None:
            history.append(row)
            folder.write_history(history)
            self._on_epoch(row)
            self._tell("bench_epoch_finished", run=run, epoch=row)

        log = folder.path / "log.txt"
        run = record.as_json()
        self._tell("bench_run_started", run=run)
        variables = environment(threads=threads, device=self._device, framework=framework.environment)
        leaving: BaseException | None = None
        outcome: Outcome | None = None
        try:
            folder.write_definition(benchmark.as_dict())
            with Child(variables) as child:
                outcome = child.perform(
                    benchmark,
                    seed=asked.seed,
                    fold=asked.fold,
                    device=self._device,
                    log=log,
                    on_start=on_start,
                    on_epoch=on_epoch,
                )
            _write_arrays(folder, outcome)
            record = _done(record, outcome)
        except UserError:
            folder.discard()
            raise
        except ChildError as failure:
            record = replace(record, status="failed", error=str(failure), log_tail=_tail(log))
        except (KeyboardInterrupt, SystemExit) as end:
            leaving, record = end, replace(record, status="interrupted")
        except Exception as error:  # a full disk, say: the run is lost, but not the word of it
            record = replace(record, status="failed", error=f"{type(error).__name__}: {error}")
        record = replace(record, epochs=len(history))
        folder.write_record(record)
        try:
            if outcome is not None and record.status == "done":
                self._illustrate(folder.path, record, outcome)
        finally:
            folder.finish(record)
        self._tell("bench_run_finished", run=run, record=record.as_json())
        if leaving is not None:
            raise leaving
        return record

    def _tell(self, hook: str, **arguments: Any) -> None:
        for problem in self._registry.tell(hook, **arguments):
            self._on_problem(problem)

    def _new_record(self, asked: Asked, threads: int) -> Record:
        benchmark = asked.benchmark
        run_id, started = new_id()
        dataset = self._registry.get("dataset", benchmark.dataset.name)
        components, packages = benchmark.versions(), versions_of((*_ALWAYS, *benchmark.framework.distributions))
        precision = benchmark.training.precision
        return Record(
            id=run_id,
            benchmark=benchmark.name,
            seed=asked.seed,
            fold=asked.fold_name,
            status="running",
            started=started,
            overrides=asked.overrides,
            definition=definition_digest(benchmark),
            framework=benchmark.framework.name,
            model=benchmark.model.name,
            loss=benchmark.loss.name,
            monitor=benchmark.training.monitor,
            protocol=_protocol(benchmark),
            precision=precision,
            parity=standing(self._store.root, components=components, packages=packages, precision=precision),
            depth=getattr(benchmark.model.parameters, "depth", None),
            dataset={"name": dataset.name, "provenance": dataset.provenance, "licence": dataset.licence},
            environment={
                "craterbench": craterbench.__version__,
                "evaluator": EVALUATOR_VERSION,
                "components": components,
                "python": platform.python_version(),
                "packages": packages,
                "machine": f"{platform.system()} {platform.machine()}",
                "threads": threads,
                "device": self._device,
            },
        )


def _started(record: Record, asked: Asked, start: Start) -> Record:
    """Return the record of a run whose data and device are known."""
    environment = {**record.environment, "device": start.device}
    return replace(
        record,
        identity=asked.identity(data=start.data_digest, threads=environment["threads"], device=start.device),
        dataset={**record.dataset, "digest": start.data_digest, "notes": list(start.data_notes)},
        environment=environment,
        warnings=list(start.warnings),
    )


def _done(record: Record, outcome: Outcome) -> Record:
    weights = outcome.course.best_weights
    return replace(
        record,
        status="done",
        parts={
            name: {
                "yardstick": scored.yardstick,
                "scores": {
                    "all": pooled(scored.counts),
                    **{region: pooled(scored.counts, region) for region in REGIONS},
                },
            }
            for name, scored in outcome.scored.items()
        },
        num_weights=sum(int(a.size) for a in weights.values() if a.ndim and a.dtype.kind == "f"),
        best_epoch=outcome.course.best_epoch,
        seconds=outcome.seconds,
        images_per_second=outcome.course.images_trained / outcome.course.training_seconds,
        peak_memory=outcome.peak_memory,
    )


def _protocol(benchmark: Benchmark) -> str:
    """Say in a few words how the parts were made."""
    split = "by group" if benchmark.split.when == "before-augmentation" else "after augmentation"
    return split if benchmark.augmentation.warp == "both" else f"{split}, masks not warped"


def _write_arrays(folder: RunFolder, outcome: Outcome) -> None:
    counts = {
        f"{name}_{array}": getattr(scored.counts, array)
        for name, scored in outcome.scored.items()
        for array in ("confusion", "cross_entropy", "groups")
    }
    folder.write_counts(counts)
    folder.write_weights(outcome.course.best_weights)


def _tail(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
