"""What is asked for, before anything is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.identity import config_digest, former_identity, run_identity
from craterbench.config.resolve import ResolvedConfig
from craterbench.data.split import Fold
from craterbench.plugin.context import run_title
from craterbench.results.record import Record

__all__ = ["RunSpec"]


@dataclass(frozen=True)
class RunSpec:
    """A run that is wanted: a benchmark, a seed, and the fold that validates, if not the share of the definition."""

    resolved: ResolvedConfig
    seed: int
    fold: Fold | None = None

    @property
    def benchmark(self) -> BenchmarkConfig:
        """What is to be trained."""
        return self.resolved.benchmark

    @property
    def overrides(self) -> list[str]:
        """What the command line changed in it."""
        return [str(override) for override in self.resolved.overrides]

    @property
    def fold_name(self) -> str | None:
        """The fold as a record has it."""
        return None if self.fold is None else str(self.fold)

    @property
    def title(self) -> str:
        """What the run is called while it is under way."""
        return run_title(self.benchmark.name, self.seed, self.fold_name)

    @property
    def _row(self) -> tuple[Any, ...]:
        return self.benchmark.name, self.overrides, config_digest(self.benchmark), self.seed, self.fold_name

    @property
    def key(self) -> str:
        """Equal for two that are the same run of the same row, as far as can be told before the data are read."""
        return repr((*self._row, self.benchmark.dataset))

    def is_of(self, record: Record) -> bool:
        """Say whether a record was asked for alike, so that both stand in one row of the table."""
        return self._row == (record.benchmark, record.overrides, record.definition, record.seed, record.fold)

    def identity(self, *, data: str) -> str:
        """Return the identity of the run on data of this digest (see ``run_identity``)."""
        return run_identity(self.benchmark, data=data, seed=self.seed, fold=self.fold_name)

    def is_same_as(self, record: Record, *, data: str) -> bool:
        """Say whether a record is of this very run on data of this digest, whatever it was trained with and on.

        An older record's identity is compared as it was made then, with the threads and the device of that record.
        """
        known = {self.identity(data=data)}
        trained = {key: record.environment[key] for key in ("threads", "device") if key in record.environment}
        if len(trained) == 2:
            known.add(former_identity(self.benchmark, data=data, seed=self.seed, fold=self.fold_name, **trained))
        return record.identity in known
