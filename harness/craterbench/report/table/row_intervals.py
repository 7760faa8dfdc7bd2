"""How sure a table may be: intervals and differences, from the statistics that are kept beside the records."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from craterbench.metrics.intervals import Estimate, PairedDifference, ResampledScores
from craterbench.metrics.metric import BALANCED_ACCURACY, TUNED, Metric
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest
from craterbench.report.table.rows import Row, ScoredRuns
from craterbench.results.record import Record
from craterbench.results.statistics_file import statistics_file
from craterbench.results.store import Store

__all__ = ["REFERENCE", "Comparison", "RowIntervals"]

#: The benchmark that the others are compared with by default.
REFERENCE = "reference"

#: Of how many runs all statistics of the images are kept: of one they take some hundred kilobytes.
_KEPT = 512

#: Of how many rows and metrics the scores in all draws are kept; of 50 runs they take a quarter of a megabyte.
_RESAMPLED = 128

#: The metrics in which rows are compared, so that their scores are needed again.
_COMPARED = (BALANCED_ACCURACY, TUNED)


@dataclass(frozen=True)
class Comparison:
    """A row and the baseline.

    Attributes:
        num_runs: how many runs the row has; pooled folds are one.
        paired: how many of them the baseline has too.
        seeds: how many seeds these are of.
    """

    scored: ScoredRuns
    reference: ScoredRuns
    num_runs: int
    paired: int
    seeds: int


class RowIntervals:
    """Reads the statistics behind the rows, scores their draws once, and compares them with the baseline.

    Attributes:
        baseline: the name of the row that the others are compared with.
        lacking: a line on each run whose statistics cannot be had, and on each pair that cannot be compared.
    """

    def __init__(self, store: Store, rows: Sequence[Row], baseline: str | None = None) -> None:
        """Take the rows that may be compared with, and the name of one of them, by default ``reference``.

        Raises:
            UserError: no row has the name of the baseline.
        """
        self.baseline = REFERENCE if baseline is None else baseline
        self.lacking: list[str] = []
        self._store = store
        self._rows = rows
        self._read: dict[tuple[str, str], Statistics | None] = {}
        self._gathered: dict[tuple[ScoredRuns, str], Mapping[Hashable, Statistics]] = {}
        self._resampled: dict[tuple[ScoredRuns, str], ResampledScores | None] = {}
        self._differences: dict[tuple[ScoredRuns, ScoredRuns, str], PairedDifference | None] = {}
        self._baselines = [row for row in rows if row.newest.benchmark == self.baseline]
        if baseline is not None:
            self._baselines = _called(rows, baseline) or self._baselines
            if not self._baselines:
                known = {row.name for row in rows}
                raise UserError(f"the baseline {baseline!r} is no row of the table; {nearest(baseline, known)}")

    def interval(self, scored: ScoredRuns, metric: Metric) -> Estimate | None:
        """Return the interval of a row's score, or ``None`` where the statistics of a run cannot be had."""
        resampled = self.resampled(scored, metric) if metric in _COMPARED else self._resample(scored, metric)
        return None if resampled is None else resampled.interval

    def runs(self, scored: ScoredRuns, metric: Metric) -> list[Statistics]:
        """Return what a metric needs of each run, or of each seed over its folds; nothing where that of one is lost."""
        return list(self._statistics(scored, metric).values())

    def comparison(self, scored: ScoredRuns) -> Comparison | None:
        """Return how a row can be compared with the baseline on the same fingerprint, or ``None`` if it cannot.

        The baseline is the row of that name with the fewest changes by the command line. Of several, such as those of
        two versions of a component, it is the one whose newest run is the newest.
        """
        others = [
            other
            for row in self._baselines
            if row.folds == scored.row.folds
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

    def difference(self, compared: Comparison, metric: Metric = BALANCED_ACCURACY) -> Estimate | None:
        """Return a row's score minus the baseline's, or ``None`` where statistics cannot be had."""
        found = self.paired_difference(compared, metric)
        return None if found is None else found.interval

    def minimum_detectable_difference(self, compared: Comparison) -> float | None:
        """Return the smallest true difference of balanced accuracy that the comparison would mostly find."""
        found = self.paired_difference(compared)
        return None if found is None else found.minimum_detectable

    def paired_difference(self, compared: Comparison, metric: Metric = BALANCED_ACCURACY) -> PairedDifference | None:
        """Return a row's score minus the baseline's with all that is known of it, or ``None`` as ``difference``."""
        key = (compared.scored, compared.reference, metric.name)
        if key not in self._differences:
            sides = [self.resampled(each, metric) for each in (compared.scored, compared.reference)]
            self._differences[key] = self._minus(compared, *sides)
        return self._differences[key]

    def _minus(
        self, compared: Comparison, ours: ResampledScores | None, theirs: ResampledScores | None
    ) -> PairedDifference | None:
        if ours is None or theirs is None:
            return None
        try:
            return ours.minus(theirs)
        except ValueError as error:
            self._lack(f"{compared.scored.row.name}, {compared.scored.part}: no difference: {error}")
            return None

    def resampled(self, scored: ScoredRuns, metric: Metric) -> ResampledScores | None:
        """Return a row's scores in all draws, or ``None`` where statistics cannot be had; they are kept for others."""
        key = (scored, metric.name)
        if key not in self._resampled:
            while len(self._resampled) >= _RESAMPLED:
                del self._resampled[next(iter(self._resampled))]
            self._resampled[key] = self._resample(scored, metric)
        return self._resampled[key]

    def _resample(self, scored: ScoredRuns, metric: Metric) -> ResampledScores | None:
        runs = self._statistics(scored, metric)
        return ResampledScores.of(runs, metric.at_threshold if metric.tuned else metric) if runs else None

    def num_groups(self, scored: ScoredRuns) -> int | None:
        """Return the number of groups behind a row's score, or ``None`` where statistics cannot be had."""
        runs = self._statistics(scored, BALANCED_ACCURACY)
        return len(set(next(iter(runs.values())).groups.tolist())) if runs else None

    def _statistics(self, scored: ScoredRuns, metric: Metric) -> Mapping[Hashable, Statistics]:
        """Return what a metric needs of each seed (or seed and fold), or nothing if that of a run cannot be had."""
        key = scored, metric.name if metric.tuned else metric.statistic
        if key in self._gathered:
            return self._gathered[key]
        found = self._gather(scored, metric)
        if metric.tuned or metric.statistic != "histogram":  # a row of which would take some ten megabytes
            self._gathered[key] = found
        return found

    def _gather(self, scored: ScoredRuns, metric: Metric) -> Mapping[Hashable, Statistics]:
        if not scored.complete or (metric.tuned and scored.part == "validation"):
            return {}
        statistics: dict[str, Statistics] = {}
        for record in scored.runs:
            found = self._of(record, scored.part, metric)
            if found is None:
                return {}
            statistics[record.id] = found
        if scored.pooled_over_folds:
            by_seed = scored.by_seed.items()
            return {
                (seed, None): Statistics.concatenate([statistics[run.id] for run in runs]) for seed, runs in by_seed
            }
        return {(record.seed, record.fold): statistics[record.id] for record in scored.runs}

    def _of(self, record: Record, part: str, metric: Metric) -> Statistics | None:
        """Return what a metric needs of the images of a run, at its threshold if it is tuned."""
        edge = record.best_edge(metric)
        if (metric.tuned and edge is None) or not metric.is_in(record.parts[part]["statistics"]):
            return None
        found = self._read_of(record, part)
        if found is None:
            return None
        if edge is not None:
            return found.at_threshold(edge)
        return Statistics({name: found.arrays[name] for name in {"confusion", metric.statistic}}, found.groups)

    def _read_of(self, record: Record, part: str) -> Statistics | None:
        key = record.id, part
        if key not in self._read:
            while len(self._read) >= _KEPT:
                del self._read[next(iter(self._read))]
            try:
                found = Statistics.beside(record.parts[part]["statistics"], self._store.statistics(record, part))
            except ValueError as error:
                self._lack(f"{statistics_file(self._store.folder(record))}: no interval for its row: {error}")
                found = None
            self._read[key] = found
        return self._read[key]

    def _lack(self, line: str) -> None:
        if line not in self.lacking:
            self.lacking.append(line)


def _called(rows: Sequence[Row], name: str) -> list[Row]:
    """Return the rows of a name, with or without what the command line changed in all of them."""
    shared = frozenset.intersection(*(frozenset(row.newest.overrides) for row in rows))
    return [
        row
        for row in rows
        if name in (row.title, *(replace(row, common=common).name for common in (shared, frozenset[str]())))
    ]


def _keys(scored: ScoredRuns) -> set[tuple[int, str | None]]:
    if scored.pooled_over_folds:
        return {(seed, None) for seed in scored.by_seed}
    return {(record.seed, record.fold) for record in scored.runs}
