"""A metric: a formula on a statistic, with a name, a direction and a scale; all that is said of a score follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.metrics.histogram import NUM_BINS, confusion_at, confusions
from craterbench.plugin import UserError
from craterbench.plugin.builtin_metrics import ALIASES, BUILT_IN_METRICS
from craterbench.plugin.components import load
from craterbench.plugin.errors import nearest
from craterbench.plugin.metric_spec import STATISTICS, MetricSpec
from craterbench.plugin.registry import Registry

__all__ = ["BALANCED_ACCURACY", "HEADLINE", "LOSS", "REGIONS", "TUNED", "Metric", "Metrics"]

#: The regions in which pixels are counted apart; together they are all pixels.
REGIONS = ("rim", "interior")

#: What a metric is called in histories, where that is not its name.
_COLUMNS = {name: alias for alias, name in ALIASES.items()}


@dataclass(frozen=True, kw_only=True)
class Metric(MetricSpec):
    """A metric as it is computed; called with sums of its statistic (..., k), it returns an array (...)."""

    @classmethod
    def of(cls, spec: MetricSpec) -> Metric:
        """Return the metric that a plugin describes; its formula is imported when it is first needed."""
        return cls(**{field.name: getattr(spec, field.name) for field in fields(spec)})

    @property
    def history_column(self) -> str:
        """The column of a history that has its value on the validation part."""
        return _COLUMNS.get(self.name, self.name)

    @property
    def decimals(self) -> int:
        """How many decimals a person is shown."""
        return 2 if self.scale == "linear" else 4

    @property
    def own_statistic(self) -> bool:
        """Whether it brings a statistic that the evaluator does not collect by itself."""
        return self.statistic not in STATISTICS

    @cached_property
    def _compute(self) -> Callable[[Any], Any]:
        if not isinstance(self.formula, str):
            return self.formula
        try:
            formula: Callable[[Any], Any] = load(self.formula)
        except (ImportError, AttributeError) as error:
            raise UserError(f"metric {self.name!r}: its formula {self.formula} cannot be imported: {error}") from None
        return formula

    @property
    def at_threshold(self) -> Metric:
        """What a tuned metric is where the threshold is known: the same formula, on the confusion there."""
        return replace(self, statistic="confusion", tuned=False)

    def best_edge(self, sums: Mapping[str, Any]) -> int | None:
        """Return the edge of the histogram that is a tuned metric's best threshold; of several the one next to 0.5.

        Args:
            sums: of the validation part, by statistic.

        Returns:
            An index of ``craterbench.metrics.histogram.EDGES``; ``None`` where there is no histogram, or the metric is
            not defined.
        """
        if not self.is_in(sums):
            return None
        histogram = np.asarray(sums["histogram"])
        values = self._at_edges(histogram.reshape(-1, histogram.shape[-1]).sum(axis=0))
        if np.isnan(values).all():
            return None
        best = np.flatnonzero(values == self._best(values))
        return int(best[np.argmin(np.abs(best - len(values) // 2))])

    def _best(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the best of the values along the last axis; NaN where there is none."""
        worst = -np.inf if self.greater_is_better else np.inf
        ranked = np.where(np.isnan(values), worst, values)
        best = ranked.max(axis=-1) if self.greater_is_better else ranked.min(axis=-1)
        return np.where(np.isfinite(best), best, np.nan)

    def _at_edges(self, histogram: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return self.at_threshold(confusions(histogram))

    def __call__(self, sums: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the metric of sums (..., k); NaN where it is not defined.

        A tuned metric has the value at the threshold that is best for these very sums.

        Raises:
            UserError: the formula cannot be imported, raises, or returns another shape.
        """
        if self.tuned:
            return self._best(self._at_edges(sums))
        culprit = f"metric {self.name!r}: its formula {self.formula}"
        try:
            with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 says that it is not defined
                values = np.asarray(self._compute(sums), dtype=np.float64)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{culprit} raised {type(error).__name__}: {error}") from error
        if values.shape != sums.shape[:-1]:
            wanted = f"{sums.shape[:-1]} for sums of shape {sums.shape}"
            raise UserError(
                f"{culprit} returned shape {values.shape}, not {wanted}: it must keep all axes but the last"
            )
        return values

    def is_in(self, sums: Mapping[str, Any]) -> bool:
        """Say whether sums, or the arrays that they are of, have its statistic; a histogram must have today's bins."""
        if self.statistic not in sums:
            return False
        return self.statistic != "histogram" or np.shape(sums["histogram"])[-1] == 2 * NUM_BINS

    def score(self, sums: Mapping[str, Any], region: str | None = None) -> float | None:
        """Return the metric of the sums that a record has of a part.

        Args:
            sums: by statistic, (k,), or (regions, k).
            region: ``"rim"`` or ``"interior"``; by default all pixels.

        Returns:
            ``None`` where it is not defined, or the record lacks the statistic or the region.
        """
        if not self.is_in(sums):
            return None
        total = np.asarray(sums[self.statistic])
        if region is not None:
            if total.ndim == 1:
                return None
            total = total[REGIONS.index(region)]
        value = float(self(total.sum(axis=0) if total.ndim == 2 else total))
        return None if math.isnan(value) else value

    def score_part(
        self, sums: Mapping[str, Any], part: str, region: str | None = None, *, edge: int | None = None
    ) -> float | None:
        """Return the metric of a part of a run; a tuned one at the threshold of the run's validation part.

        Args:
            sums: as for ``score``.
            part: such as ``test``.
            region: as for ``score``.
            edge: the ``best_edge`` of a tuned metric on the validation part, if it has one.

        Returns:
            ``None`` as for ``score``, and of a tuned metric on the validation part itself, where it would flatter.
        """
        if not self.tuned:
            return self.score(sums, region)
        if part == "validation" or edge is None or not self.is_in(sums):
            return None
        return self.at_threshold.score({"confusion": confusion_at(np.asarray(sums["histogram"]), edge)}, region)


class Metrics:
    """The metrics that are known, the built-in ones first. A name that a built-in metric has is not taken from it."""

    def __init__(self, specs: Iterable[MetricSpec] = ()) -> None:
        """Add those that plugins bring to the built-in ones."""
        self._metrics: dict[str, Metric] = {}
        for spec in (*BUILT_IN_METRICS, *specs):
            self._metrics.setdefault(spec.name, Metric.of(spec))

    @classmethod
    def of(cls, registry: Registry) -> Metrics:
        """Return the metrics of the installed plugins."""
        return cls(entry.spec for entry in registry.entries("metric"))

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._metrics.values())

    def get(self, name: str) -> Metric:
        """Return the metric of a name or of an alias.

        Raises:
            UserError: there is none.
        """
        known = ALIASES.get(name, name)
        if known not in self._metrics:
            raise UserError(f"unknown metric {name!r}; {nearest(name, [*self._metrics, *ALIASES])}")
        return self._metrics[known]

    def in_history(self, monitor: str, others: Iterable[str] = ()) -> list[Metric]:
        """Return the metrics that a history has: the headline, the monitor, and others that somebody goes by.

        Raises:
            UserError: one is unknown.
        """
        return list(dict.fromkeys([*HEADLINE, *(self.get(name) for name in (monitor, *others))]))


BALANCED_ACCURACY, LOSS, TUNED = (
    Metrics().get(name) for name in ("balanced_accuracy", "loss", "balanced_accuracy_tuned")
)

#: The metrics that every history and every page shows.
HEADLINE = (BALANCED_ACCURACY, LOSS)
