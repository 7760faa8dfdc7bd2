"""The scores of a confirmation, from the records of its runs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from craterbench.metrics.intervals import Estimate, confidence_interval, difference, minimum_detectable_difference
from craterbench.metrics.metric import BALANCED_ACCURACY, HEADLINE, LOSS, TUNED, Metric
from craterbench.metrics.selection_bias import expected_maximum, pooled_sd
from craterbench.metrics.statistics import Statistics
from craterbench.results.record import Record
from craterbench.results.statistics_file import statistics_file
from craterbench.results.store import Store
from craterbench.search.summary import Confirmation, ConfirmedScores

__all__ = ["CandidateResult", "conclude"]


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """The runs of a config that was confirmed: a candidate of the search, or the reference.

    Attributes:
        name: its row in the table.
        records: one a seed, however the run ended.
        trial: the trial that found it; ``None`` for the reference.
        found: the first objective that the trial had reached, on the validation part.
    """

    name: str
    records: Sequence[Record]
    trial: int | None = None
    found: float | None = None


def conclude(
    store: Store, candidates: Sequence[CandidateResult], reference: CandidateResult, *, objective: Metric, tried: int
) -> Confirmation:
    """Return the scores of the candidates and of the reference, and how sure they are.

    A config of which a run failed has no scores: those of its other seeds would leave out where it goes wrong.

    Args:
        store: of the statistics behind the records.
        candidates: what the search found, best first, at least one.
        objective: the first that the search aimed at.
        tried: how many configs the search had to choose from.
    """
    rows, against = (
        [_CandidateStatistics.read(store, candidate) for candidate in candidates],
        _CandidateStatistics.read(store, reference),
    )
    distinct = {row.runs: row for row in (*rows, against)}  # a candidate may be the reference's own config
    scored = [row for row in distinct.values() if row.problem is None]
    part = "test" if all("test" in row.statistics for row in scored) else "validation"
    compared = []
    for row in rows:
        problem = row.problem or against.problem or _apart(row, against, part)
        mine, others = row.statistics.get(part, {}), against.statistics.get(part, {})
        tuned = problem is None and part == "test" and row.tuned and against.tuned
        compared.append(
            replace(
                row.confirmed(objective),
                difference=None if problem else _difference(mine, others),
                difference_tuned=_difference(row.tuned, against.tuned) if tuned else None,
                smallest=None if problem else minimum_detectable_difference(mine, others),
                same=row.runs == against.runs,
                incomparable=problem,
            )
        )
    of_each = [row.values("validation", objective) for row in scored]
    sd = pooled_sd(of_each)
    return Confirmation(
        rows=[*compared, against.confirmed(objective)],
        selection_bias=None if sd is None else expected_maximum(tried, sd),
        tried=tried,
        part=part,
        seed_sd=sd,
        runs=sum(len(values) for values in of_each),
    )


@dataclass(frozen=True)
class _CandidateStatistics:
    """A config and the statistics of its runs, by part and seed; none where there is a problem.

    Attributes:
        tuned: those of the test part by seed, at the threshold that each run's validation part chose; none where a run
            has no histograms.
    """

    trained: CandidateResult
    statistics: Mapping[str, Mapping[int, Statistics]]
    problem: str | None = None
    tuned: Mapping[int, Statistics] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Store, trained: CandidateResult) -> _CandidateStatistics:
        """Read the statistics behind a config's scores."""
        records = trained.records
        lacking = [f"seed {record.seed} {_end(record)}" for record in records if record.status != "done"]
        if lacking:
            count = f"{len(lacking)} of {len(records)} {'run' if len(records) == 1 else 'runs'} without scores"
            return cls(trained, {}, f"{trained.name} has {count}: {'; '.join(lacking)}")
        statistics: dict[str, dict[int, Statistics]] = {}
        for part in set[str].intersection(*(set(record.parts) for record in records)):
            if len({record.parts[part]["fingerprint"] for record in records}) > 1:
                return cls(trained, {}, f"the runs of {trained.name} were not scored on the same {part} images")
            for record in records:
                try:
                    of_run = Statistics.beside(record.parts[part]["statistics"], store.statistics(record, part))
                except ValueError as error:
                    return cls(trained, {}, f"{statistics_file(store.folder(record))}: {error}")
                statistics.setdefault(part, {})[record.seed] = of_run
        tuned: dict[int, Statistics] = {}
        for record in records:
            edge, on_test = record.best_edge(TUNED), statistics.get("test", {}).get(record.seed)
            if edge is None or on_test is None or not TUNED.is_in(on_test.arrays):
                return cls(trained, statistics)
            tuned[record.seed] = on_test.at_threshold(edge)
        return cls(trained, statistics, tuned=tuned)

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of its runs."""
        return tuple(record.id for record in self.trained.records)

    def values(self, part: str, metric: Metric) -> list[float]:
        """Return a metric of each seed; none of runs that lack its statistic."""
        runs = self.statistics[part].values()
        return [run.value(metric) for run in runs] if all(metric.is_in(run.arrays) for run in runs) else []

    def confirmed(self, objective: Metric) -> ConfirmedScores:
        """Return its scores."""
        trained = self.trained
        return ConfirmedScores(
            name=trained.name,
            trial=trained.trial,
            seeds=[record.seed for record in trained.records],
            runs=[record.id for record in trained.records],
            found=trained.found,
            validation=self._score("validation", BALANCED_ACCURACY),
            val_loss=self._score("validation", LOSS),
            objective=None if objective in HEADLINE else self._score("validation", objective),
            test=self._score("test", BALANCED_ACCURACY),
            tuned=_estimate(self.tuned, BALANCED_ACCURACY),
            problem=self.problem,
        )

    def _score(self, part: str, metric: Metric) -> Estimate | None:
        return _estimate(self.statistics.get(part, {}), metric)


def _estimate(runs: Mapping[int, Statistics], metric: Metric) -> Estimate | None:
    if not runs or not all(metric.is_in(run.arrays) for run in runs.values()):
        return None
    return _with_sd(confidence_interval(list(runs.values()), metric), [run.value(metric) for run in runs.values()])


def _end(record: Record) -> str:
    """Say how a run without scores ended, in one line."""
    return record.status if record.error is None else f"{record.status}: {' '.join(record.error.split())}"


def _apart(row: _CandidateStatistics, reference: _CandidateStatistics, part: str) -> str | None:
    """Say why a config has no difference to the reference on a part, if it has none."""
    fingerprints = {record.parts[part]["fingerprint"] for each in (row, reference) for record in each.trained.records}
    return f"they were not scored on the same {part} images" if len(fingerprints) > 1 else None


def _difference(runs: Mapping[int, Statistics], others: Mapping[int, Statistics]) -> Estimate:
    found = difference(runs, others)
    assert found is not None  # both were trained on the same seeds
    apart = [runs[seed].value(BALANCED_ACCURACY) - others[seed].value(BALANCED_ACCURACY) for seed in runs]
    return _with_sd(found, apart)


def _with_sd(found: Estimate, values: Sequence[float]) -> Estimate:
    return replace(found, sd=statistics.stdev(values) if len(values) > 1 else None)
