"""The columns of a table: what each is called and what it shows of a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from craterbench.metrics.histogram import EDGES
from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import BALANCED_ACCURACY, REGIONS, TUNED, Metric, Metrics
from craterbench.report.table.row_comparisons import RowComparisons
from craterbench.report.table.row_intervals import RowIntervals
from craterbench.report.table.row_parity import Verdicts
from craterbench.report.table.rows import Row, ScoredRuns, slug
from craterbench.results.record import Record

__all__ = ["FACTORS", "Column", "ScoreColumns", "cost_columns", "run_columns"]

#: Config keys that are a column under a name of their own; others are one, under their key, where rows differ in them.
FACTORS = {
    "framework": "framework",
    "loss.name": "loss",
    "model.depth": "depth",
    "training.monitor": "monitor",
    "training.precision": "precision",
}

_MEBIBYTE = 2**20

#: The metrics whose quartiles over images are columns, and those quartiles.
_OF_IMAGES = [Metrics().get(name) for name in ("dice", "iou")]
_QUARTILES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        key: what it shows.
        heading: what a person calls that.
        value: gives a row's value: text, an integer, a list of lines, a ``Estimate``, or ``None``.
        part: the part that was scored, if it is about one.
        label: what the columns of one fingerprint are headed.
        fields: what a ``Estimate`` has here; each is a column for a program.
        decimals: how many of a number are shown.
        signed: whether its numbers show a plus.
        optional: whether it may be left out where it does not fit.
        factor: whether it is a config key, and so is left out where all rows have the same.
    """

    key: str
    heading: str
    value: Callable[[Row], Any]
    part: str = ""
    label: str = ""
    fields: tuple[str, ...] = ()
    decimals: int = 0
    signed: bool = False
    optional: bool = False
    factor: bool = False

    @property
    def name(self) -> str:
        """What programs call it."""
        return slug(f"{self.label} {self.key}") if self.label else self.key

    @property
    def choice(self) -> str:
        """What chooses it: the same for all fingerprints of a part."""
        return slug(f"{self.part} {self.key}") if self.part else self.key


def run_columns() -> list[Column]:
    """Return the columns that say what a row is."""
    return [
        Column(key="benchmark", heading="benchmark", value=lambda row: row.name),
        *(
            Column(key=name, heading=name, value=partial(_config_value, key), factor=True)
            for key, name in FACTORS.items()
        ),
        Column(key="protocol", heading="protocol", value=lambda row: row.newest.protocol, factor=True),
        Column(key="folds", heading="folds", value=lambda row: row.folds, factor=True),
        Column(key="weights", heading="weights", value=lambda row: (row.done or row.runs)[-1].num_weights),
        Column(key="runs", heading="runs", value=lambda row: row.status),
        _cost("epochs", "epochs", lambda run: run.epochs),
    ]


def cost_columns(verdicts: Verdicts) -> list[Column]:
    """Return the columns that say what a row cost, and what is to be said for and against it."""
    return [
        _cost("seconds", "seconds", lambda run: run.seconds.get("training"), decimals=1),
        _cost("images_per_second", "images a second", lambda run: run.images_per_second),
        _cost("peak_memory_mib", "peak memory (MiB)", lambda run: run.peak_memory and run.peak_memory / _MEBIBYTE),
        Column(key="parity", heading="parity", value=verdicts.of),
        Column(key="warnings", heading="warnings", value=lambda row: row.warnings or None),
    ]


def _config_value(key: str, row: Row) -> Any:
    return row.config.get(key)


def _cost(key: str, heading: str, of: Callable[[Record], float | None], *, decimals: int = 0) -> Column:
    return Column(
        key=key,
        heading=heading,
        value=lambda row: Estimate.over(of(run) for run in row.done),
        fields=("mean", "sd"),
        decimals=decimals,
    )


@dataclass(frozen=True)
class ScoreColumns:
    """What was scored on the same images, which stands side by side.

    Attributes:
        rows: those of the table, whose differences are corrected for their number.
        margin: the smallest difference of balanced accuracy that matters, if there is a column on that.
    """

    label: str
    example: ScoredRuns
    evidence: RowIntervals
    metrics: Metrics
    rows: Sequence[Row] = ()
    margin: float | None = None

    def of(self, row: Row) -> ScoredRuns | None:
        """Return what a row scored on it, if anything."""
        wanted = self.example.part, self.example.fingerprint
        return next((scored for scored in row.scored if (scored.part, scored.fingerprint) == wanted), None)

    @cached_property
    def comparisons(self) -> RowComparisons:
        """What the rows scored on it, compared with the baseline."""
        return RowComparisons(self.evidence, [scored for row in self.rows if (scored := self.of(row))])

    def columns(self) -> list[Column]:
        """Return its columns: one for each metric, and the difference to the baseline beside the first."""
        metrics = [self._column(metric) for metric in self.metrics]
        difference = Column(
            key="difference",
            heading=f"difference to {self.evidence.baseline}",
            value=self._difference,
            part=self.example.part,
            label=self.label,
            fields=("mean", "low", "high"),
            decimals=BALANCED_ACCURACY.decimals,
            signed=True,
        )
        simultaneous = replace(
            difference,
            key="difference_simultaneous",
            heading=f"{difference.heading}, simultaneous interval",
            value=partial(self._compared, RowComparisons.simultaneous),
        )
        p_holm, p_better = (
            replace(
                difference,
                key=key,
                heading=heading,
                value=partial(self._compared, of),
                fields=("mean",),
                decimals=3,
                signed=False,
            )
            for key, heading, of in (
                ("p_holm", "p-value, Holm", RowComparisons.p_holm),
                ("p_better", f"probability to be better than {self.evidence.baseline}", RowComparisons.p_better),
            )
        )
        together = [difference, simultaneous, p_holm, p_better]
        if self.margin is not None:
            verdict = partial(RowComparisons.verdict, margin=self.margin)
            together.append(
                Column(
                    key="verdict",
                    heading=f"verdict at a margin of {self.margin:g}",
                    value=partial(self._compared, verdict),
                    part=self.example.part,
                    label=self.label,
                )
            )
        threshold = Column(
            key="threshold",
            heading="threshold, tuned",
            value=self._threshold,
            part=self.example.part,
            label=self.label,
            fields=("mean", "sd"),
            decimals=2,
        )
        regions = [self._column(BALANCED_ACCURACY, region) for region in REGIONS]
        beside = [column for name in (TUNED.name, "auroc") for column in metrics if column.key == name]
        others = [column for column in metrics[1:] if column not in beside]
        quartiles = [
            self._quartile(metric, name) for metric in self.metrics if metric in _OF_IMAGES for name in _QUARTILES
        ]
        return [metrics[0], *together, *beside, threshold, *others, *quartiles, *regions]

    def _column(self, metric: Metric, region: str | None = None) -> Column:
        return Column(
            key=metric.name if region is None else f"{region}_{metric.name}",
            heading=metric.label if region is None else f"{metric.label}, {region}",
            value=partial(self._score, metric, region),
            part=self.example.part,
            label=self.label,
            fields=("mean", "sd") if region else ("mean", "sd", "low", "high"),
            decimals=metric.decimals,
        )

    def _quartile(self, metric: Metric, name: str) -> Column:
        return Column(
            key=f"image_{metric.name}_{name}",
            heading=f"{metric.label} of an image, {name.replace('_', ' ')}",
            value=partial(self._over_images, metric, _QUARTILES[name]),
            part=self.example.part,
            label=self.label,
            fields=("mean", "sd"),
            decimals=metric.decimals,
        )

    def _over_images(self, metric: Metric, share: float, row: Row) -> Estimate | None:
        scored = self.of(row)
        runs = self.evidence.runs(scored, metric) if scored else []
        if not runs:
            return None
        images = metric(np.stack([run.of_images(metric.statistic) for run in runs]))
        return Estimate.over(np.quantile(images, share, axis=1).tolist())

    def _score(self, metric: Metric, region: str | None, row: Row) -> Estimate | None:
        scored = self.of(row)
        if scored is None:
            return None
        interval = None if region else self.evidence.interval(scored, metric)
        return Estimate.over(scored.values(metric, region), interval)

    def _threshold(self, row: Row) -> Estimate | None:
        """Return the threshold at which the tuned balanced accuracy of a part was taken."""
        scored = self.of(row)
        if scored is None or scored.part == "validation":
            return None
        edges = [record.best_edge(TUNED) for record in scored.runs]
        return Estimate.over(None if edge is None else float(EDGES[edge]) for edge in edges)

    def _compared(self, of: Callable[[RowComparisons, ScoredRuns], Any], row: Row) -> Any:
        """Return what the comparison of all rows says of one; a number as the mean of an estimate."""
        scored = self.of(row)
        found = None if scored is None else of(self.comparisons, scored)
        return Estimate(found) if isinstance(found, float) else found

    def _difference(self, row: Row) -> Estimate | None:
        scored = self.of(row)
        compared = self.evidence.comparison(scored) if scored else None
        found = self.evidence.difference(compared) if compared else None
        return None if found is None or math.isnan(found.mean) else found
