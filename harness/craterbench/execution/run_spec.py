"""What a run is to be: its benchmark, seed and fold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.identity import comparable_overrides, config_digests, run_identities, run_identity
from craterbench.config.resolve import Override, ResolvedConfig, resolve
from craterbench.data.split import Fold
from craterbench.plugin.context import run_title
from craterbench.plugin.registry import Registry
from craterbench.results.record import Record
from craterbench.training.augment import check_folds

__all__ = ["RunSpec", "run_specs"]


@dataclass(frozen=True)
class RunSpec:
    """A run that is wanted: a benchmark, a seed, and the fold that validates, if not the share of the config.

    Attributes:
        objectives: the metrics that a search goes by, which the history shows beside the monitor.
    """

    resolved: ResolvedConfig
    seed: int
    fold: Fold | None = None
    objectives: tuple[str, ...] = ()

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
    def key(self) -> str:
        """Equal for two that are the same run of the same row, as far as can be known before the data are read."""
        benchmark, overrides = self.benchmark, comparable_overrides(self.overrides)
        return repr(
            (benchmark.name, overrides, config_digests(benchmark), self.seed, self.fold_name, benchmark.dataset)
        )

    def is_of(self, record: Record) -> bool:
        """Say whether a record is of the same benchmark, seed and fold, so that both stand in one row of the table."""
        return (
            (self.benchmark.name, self.seed, self.fold_name) == (record.benchmark, record.seed, record.fold)
            and comparable_overrides(self.overrides) == comparable_overrides(record.overrides)
            and record.definition in config_digests(self.benchmark)
        )

    def identity(self, *, data: str, drawn: bool) -> str:
        """Return the identity of the run on data of this digest, drawn as ``run_identity`` says."""
        return run_identity(self.benchmark, data=data, seed=self.seed, fold=self.fold_name, drawn=drawn)

    def is_same_as(self, record: Record, *, data: str, drawn: bool) -> bool:
        """Say whether a record is of this very run on data of this digest, whatever it was trained with and on.

        An older record's identity is compared as it was made then.
        """
        return record.identity in run_identities(
            self.benchmark, data=data, seed=self.seed, fold=self.fold_name, drawn=drawn, trained=record.environment
        )

    def changed_code(self, record: Record) -> list[str] | None:
        """Return the components whose code is another than a record's, as ``kind name``; ``None`` if it does not say.

        So has craterbench's own, as long as its version is the same: what it computes is meant to be the same as well.
        """
        before = record.environment.get("sources")
        if before is None:
            return None
        return [name for name, source in self.benchmark.sources().items() if before.get(name) != source]


def run_specs(
    registry: Registry,
    names: Iterable[str],
    overrides: Sequence[Override] = (),
    *,
    seeds: Iterable[int],
    folds: int | None = None,
) -> list[RunSpec]:
    """Return the runs of benchmarks, in the order of benchmarks, seeds and folds, each once.

    Args:
        registry: the components.
        names: of the benchmarks, or paths of their files.
        overrides: of each of them.
        seeds: of each of them.
        folds: into how many folds the images are cut, each of which validates once.

    Raises:
        UserError: a benchmark cannot be run, or not in folds, or its framework is not installed.
    """
    resolved = [resolve(registry, name, overrides) for name in names]
    for each in resolved:
        registry.get("framework", each.benchmark.framework.name).check_installed()
        if folds is not None:
            check_folds(each.benchmark)
    validating = [None] if folds is None else [Fold(number, folds) for number in range(1, folds + 1)]
    specs: dict[str, RunSpec] = {}
    for one, seed, fold in itertools.product(resolved, seeds, validating):
        spec = RunSpec(one, seed, fold)
        specs.setdefault(spec.key, spec)  # two names may mean the same benchmark
    return list(specs.values())
