"""How sure a table may be: intervals and differences, from the statistics that are kept beside the records."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from craterbench.metrics.intervals import Estimate, confidence_interval, difference, minimum_detectable_difference
from craterbench.metrics.metric import Metric
from craterbench.metrics.statistics import Statistics
from craterbench.report.table.rows import Row, ScoredRuns
from craterbench.results.record import Record
from craterbench.results.store import Store, statistics_file

__all__ = ["REFERENCE", "Comparison", "RowIntervals"]

#: The benchmark that the others are compared with.
REFERENCE = "reference"

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """A row and the reference.

    Attributes:
        num_runs: how many runs the row has; pooled folds are one.
        paired: how many of them the reference has too.
        seeds: how many seeds these are of.
    """

    scored: ScoredRuns
    reference: ScoredRuns
    num_runs: int
    paired: int
    seeds: int


class RowIntervals:
    """Reads the statistics behind the rows, each at most once.

    Attributes:
        lacking: a line on each run whose statistics cannot be had, and on each pair that cannot be compared.
    """

    def __init__(self, store: Store, rows: Sequence[Row]) -> None:
        self.lacking: list[str] = []
        self._store = store
        self._rows = rows
        self._read: dict[tuple[str, str], Statistics | None] = {}
        self._gathered: dict[ScoredRuns, Mapping[Hashable, Statistics]] = {}

    def interval(self, scored: ScoredRuns, metric: Metric) -> Estimate | None:
        """Return the interval of a row's score, or ``None`` where the statistics of a run cannot be had."""
        runs = self.runs(scored)
        if not runs or not all(metric.statistic in run.arrays for run in runs):
            return None
        return confidence_interval(runs, metric)

    def runs(self, scored: ScoredRuns) -> list[Statistics]:
        """Return the statistics of each run, or of each seed over all its folds; nothing where one cannot be had."""
        return list(self._statistics(scored).values())

    def comparison(self, scored: ScoredRuns) -> Comparison | None:
        """Return how a row can be compared with the reference on the same fingerprint, or ``None`` if it cannot.

        The reference is the row of that name with the fewest changes by the command line. Of several, such as those of
        two versions of a component, it is the one whose newest run is the newest.
        """
        others = [
            other
            for row in self._rows
            if row.newest.benchmark == REFERENCE and row.folds == scored.row.folds
            for other in row.scored
            if (other.part, other.fingerprint) == (scored.part, scored.fingerprint)
        ]
        if not others:
            return None
        reference = max(others, key=lambda other: (-len(other.row.newest.overrides), other.runs[-1].id))
        keys = _keys(scored)
        paired = keys & _keys(reference)
        seeds = {seed for seed, _ in paired}
        return Comparison(scored, reference, len(keys), len(paired), len(seeds)) if paired else None

    def difference(self, compared: Comparison) -> Estimate | None:
        """Return a row's balanced accuracy minus the reference's, or ``None`` where statistics cannot be had."""
        return self._compare(compared, difference)

    def minimum_detectable_difference(self, compared: Comparison) -> float | None:
        """Return the smallest true difference that the comparison would mostly find."""
        return self._compare(compared, minimum_detectable_difference)

    def num_groups(self, scored: ScoredRuns) -> int | None:
        """Return the number of groups behind a row's score, or ``None`` where statistics cannot be had."""
        runs = self._statistics(scored)
        return len(set(next(iter(runs.values())).groups.tolist())) if runs else None

    def _compare(
        self, compared: Comparison, how: Callable[[Mapping[int, Statistics], Mapping[int, Statistics]], T]
    ) -> T | None:
        runs, others = self._statistics(compared.scored), self._statistics(compared.reference)
        if not runs or not others:
            return None
        numbers = {key: number for number, key in enumerate(sorted(runs.keys() | others.keys(), key=str))}
        try:
            return how(
                {numbers[key]: statistics for key, statistics in runs.items()},
                {numbers[key]: statistics for key, statistics in others.items()},
            )
        except ValueError as error:
            self._lack(f"{compared.scored.row.name}, {compared.scored.part}: no difference: {error}")
            return None

    def _statistics(self, scored: ScoredRuns) -> Mapping[Hashable, Statistics]:
        """Return the statistics of each seed (or seed and fold), or nothing if those of a run cannot be had."""
        if scored not in self._gathered:
            self._gathered[scored] = self._gather(scored)
        return self._gathered[scored]

    def _gather(self, scored: ScoredRuns) -> Mapping[Hashable, Statistics]:
        read = {record.id: self._of(record, scored.part) for record in scored.runs}
        if not scored.complete or None in read.values():
            return {}
        statistics = {run: found for run, found in read.items() if found is not None}
        if scored.pooled_over_folds:
            by_seed = scored.by_seed.items()
            return {
                (seed, None): Statistics.concatenate([statistics[run.id] for run in runs]) for seed, runs in by_seed
            }
        return {(record.seed, record.fold): statistics[record.id] for record in scored.runs}

    def _of(self, record: Record, part: str) -> Statistics | None:
        if (record.id, part) not in self._read:
            found = None
            try:
                found = Statistics.beside(record.parts[part]["statistics"], self._store.statistics(record, part))
            except ValueError as error:
                self._lack(f"{statistics_file(self._store.folder(record))}: no interval for its row: {error}")
            self._read[record.id, part] = found
        return self._read[record.id, part]

    def _lack(self, line: str) -> None:
        if line not in self.lacking:
            self.lacking.append(line)


def _keys(scored: ScoredRuns) -> set[tuple[int, str | None]]:
    if scored.pooled_over_folds:
        return {(seed, None) for seed in scored.by_seed}
    return {(record.seed, record.fold) for record in scored.runs}
