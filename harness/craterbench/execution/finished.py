"""What is done with the weights of a finished run: score them again, or predict; each in a worker process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import Override, resolve_recorded
from craterbench.data.split import Fold
from craterbench.execution.devices import available_cores, environment
from craterbench.execution.run import arrays_of, parts_of
from craterbench.execution.worker import WorkerError, WorkerProcess
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import UserError
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.registry import Registry
from craterbench.results.statistics_file import read_statistics
from craterbench.results.store import Store, amend
from craterbench.training.experiment import Evaluation

__all__ = ["FinishedRun"]

_EVALUATE = "craterbench.training.experiment:evaluate_weights"


class FinishedRun:
    """A run that has left its weights.

    Attributes:
        record: its record.
        folder: of its files.
    """

    def __init__(self, store: Store, name: str) -> None:
        """Find a run by its id, a beginning of it, or the path of its folder.

        Raises:
            UserError: there is none, or there are several.
        """
        self.record, self.folder = store.find(name)

    @property
    def weights_file(self) -> Path:
        """The file of its weights.

        Raises:
            UserError: it has left none.
        """
        file = self.folder / "weights.safetensors"
        if not file.is_file():
            raise UserError(
                f"{file}: there is no such file, and the run is {self.record.status}; a run that is done leaves it"
            )
        return file

    @property
    def fold(self) -> Fold | None:
        """The fold that validated it."""
        return None if self.record.fold is None else Fold(*map(int, self.record.fold.split("/")))

    def evaluate(self, registry: Registry, *, overrides: Sequence[Override] = (), device: str = "auto") -> Evaluation:
        """Score its weights in a worker process.

        Args:
            overrides: other data than its own.

        Raises:
            UserError: the data or the weights cannot be had, or the weights cannot be used.
        """
        benchmark = self.benchmark(registry, overrides)
        found: Evaluation = self.call(registry, _EVALUATE, benchmark, device, fold=self.fold)
        if not overrides:
            self.check_data(found)
        return found

    def check_data(self, found: Evaluation) -> None:
        """Raise a UserError unless something was scored on the data and the parts of this run."""
        if not self.is_on(found):
            raise UserError(
                f"{self.record.id}: the data of {self.record.benchmark} are others now than it was trained on; "
                "where they lie is said with --data PATH"
            )
        if not found.drawn and "split" not in self.record.dataset:
            raise UserError(
                f"{self.record.id}: an earlier version cut its images in other parts, farther from split.validation; "
                f"bench run {self.record.benchmark} trains it on the parts of now"
            )

    def is_on(self, found: Evaluation) -> bool:
        """Say whether a run was scored on the data that it was trained on, whatever their path."""
        return found.data_digest == self.record.dataset.get("digest")

    def supplement(self, found: Evaluation) -> list[str]:
        """Add to its record and its statistics what they lack, and return it, each as ``part/statistic``.

        What is there is kept to the last digit; but of a part that another evaluator scored nothing is.
        """
        parts, arrays, added = parts_of(found.scored), arrays_of(found.scored), []
        for name, part in parts.items():
            kept = self.record.parts.get(name, {})
            there = self._arrays(name) if kept.get("fingerprint") == part["fingerprint"] else {}
            added += [f"{name}/{statistic}" for statistic in part["statistics"] if statistic not in there]
            if there:
                arrays[name] = {**arrays[name], **there}
                part["statistics"] = {**part["statistics"], **kept["statistics"]}
        if added:
            environment = {**self.record.environment, "evaluator": EVALUATOR_VERSION}
            self.record = replace(self.record, parts=parts, environment=environment)
            amend(self.folder, self.record, arrays)
        return added

    def _arrays(self, part: str) -> dict[str, npt.NDArray[Any]]:
        """Return the statistics kept beside the record, or nothing where they are lost or of another record."""
        try:
            arrays = read_statistics(self.folder, part)
            Statistics.beside(self.record.parts[part]["statistics"], arrays)
        except ValueError:
            return {}
        return arrays

    def benchmark(self, registry: Registry, overrides: Sequence[Override] = ()) -> BenchmarkConfig:
        """Return its benchmark, with these overrides.

        Raises:
            UserError: naming what it has that is not installed any more, or not in such a framework.
        """
        if self.record.members:
            raise UserError(
                f"{self.record.id}: is an ensemble and has no weights of its own; name the runs that it is made of: "
                f"{', '.join(self.record.members)}"
            )
        return resolve_recorded(registry, self.record.benchmark, self.record.config, overrides).benchmark

    def call(self, registry: Registry, target: str, benchmark: BenchmarkConfig, device: str, **arguments: Any) -> Any:
        """Return what a function returns that is called in a worker process with a benchmark and the run's weights.

        Args:
            target: the function, as ``"module:attribute"``.
            benchmark: what decides in which framework.

        Raises:
            UserError: the weights cannot be had, or not be used.
        """
        framework: FrameworkSpec = registry.get("framework", benchmark.framework.name)
        framework.check_installed()
        weights = self.weights_file
        variables = environment(threads=available_cores(), device=device, framework=framework.environment)
        with tempfile.TemporaryDirectory() as folder, WorkerProcess(variables) as worker:
            try:
                task = {"benchmark": benchmark, "weights": weights, "device": device, **arguments}
                return worker.call(target, task, log=Path(folder) / "log.txt")
            except WorkerError as error:
                raise UserError(f"{weights}: these weights cannot be used: {error}") from None
