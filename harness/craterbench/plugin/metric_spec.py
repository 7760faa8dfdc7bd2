"""The spec of a metric, and the statistics that the evaluator collects for metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from craterbench.plugin.components import Spec, is_target
from craterbench.plugin.errors import nearest

__all__ = ["STATISTICS", "STATISTICS_ON_DEMAND", "MetricScale", "MetricSpec"]

#: The statistics that the evaluator collects by itself.
STATISTICS = ("confusion", "cross_entropy", "squared_error", "histogram", "calibration")

#: The built-in statistics that it collects where a metric needs them, and for all metrics at the end of a run: where
#: each is. Each is a class, made of the masks of a part, and for ``objects`` of its circles, too, and then called with
#: the probabilities of each epoch.
STATISTICS_ON_DEMAND = {
    "boundary": "craterbench.metrics.boundary:Boundary",
    "image_overlap": "craterbench.metrics.image_overlap:ImageOverlap",
    "objects": "craterbench.metrics.objects:Objects",
}

#: The range of the values of a metric: from 0 to 1; above 0; anywhere, in a unit of their own.
MetricScale = Literal["unit", "log", "linear"]


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """What is measured: a formula on a statistic, which is additive over images.

    Attributes:
        label: what a person calls it, in a heading; by default its name.
        statistic: one that the evaluator collects, or one of its own.
            ``confusion`` (k = 4): the pixels that are true positive, false positive, false negative and true negative.
            ``cross_entropy`` (k = 2): the sum of the pixels' binary cross-entropies, in nats, and their number.
            ``squared_error`` (k = 2): the sum of the squared distances between probability and mask, and their number.
            ``histogram`` (k = 256): the background pixels in each of 128 bins of the probability, then the crater
            pixels (see ``craterbench.metrics.histogram``).
            ``calibration`` (k = 30): of each tenth of the probability its pixels, its crater pixels, and the sum of
            its probabilities.
            ``boundary`` (k = 6), ``objects`` (k = 7) and ``image_overlap`` (k = 3) are those of the modules
            ``craterbench.metrics.boundary`` and so on.
            One of its own is given as ``"module:attribute"`` and called as ``statistic(probabilities, masks) -> array
            (N, k)`` with float32 and uint8 (N, H, W, 1); it returns finite numbers for each image, which are added up
            over images.
        formula: ``formula(sums) -> array (...)`` on sums (..., k), as ``"module:attribute"``; NaN where the metric is
            not defined.
        greater_is_better: whether more of it is better.
        scale: ``unit``, ``log`` or ``linear``: the range of its values. Intervals and decimals follow from it.
        weight: the columns of the statistic that add up to how much an image weighs in the metric, mostly those of
            its denominator; by default all images weigh alike.
        tuned: whether it is taken at the threshold that is best for it on the validation part. Its statistic is
            ``histogram``, and its formula gets the confusion (..., 4) at a threshold.
        version: raised when the numbers can change.
    """

    kind: ClassVar[str] = "metric"
    label: str = ""
    statistic: str
    formula: str | Callable[[Any], Any] = ""
    greater_is_better: bool
    scale: MetricScale = "linear"
    weight: tuple[int, ...] = ()
    tuned: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " "))
        if not (callable(self.formula) or is_target(self.formula)):
            what = f"{self.formula!r} is none" if self.formula else "it has none"
            raise ValueError(f"metric {self.name!r}: give a formula as 'module:attribute'; {what}")
        known_statistics = (*STATISTICS, *STATISTICS_ON_DEMAND)
        if not (self.statistic in known_statistics or is_target(self.statistic)):
            cure = f"{nearest(self.statistic, known_statistics)}; one of its own is given as 'module:attribute'"
            raise ValueError(f"metric {self.name!r}: nobody collects a statistic {self.statistic!r}; {cure}")
        if self.tuned and self.statistic != "histogram":
            raise ValueError(f"metric {self.name!r}: a tuned metric needs statistic='histogram'")
        if self.scale not in get_args(MetricScale):
            known = ", ".join(get_args(MetricScale))
            raise ValueError(f"metric {self.name!r}: unknown scale {self.scale!r}; known: {known}")
