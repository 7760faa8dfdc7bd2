"""The metrics that every craterbench has, brought through the same hook as those of any plugin."""

from __future__ import annotations

from craterbench.plugin.components import MetricSpec
from craterbench.plugin.hookspecs import hookimpl

__all__ = ["ALIASES", "BUILT_IN_METRICS", "bench_metrics"]

#: Other names that users may give; histories and configs have these.
ALIASES = {"val_loss": "loss"}

_FORMULAS = "craterbench.metrics.formulas"

#: The columns of the histogram that hold the crater pixels.
_CRATER_BINS = tuple(range(128, 256))

BUILT_IN_METRICS = (
    MetricSpec(
        name="balanced_accuracy",
        summary="mean of sensitivity and specificity",
        statistic="confusion",
        formula=f"{_FORMULAS}:balanced_accuracy",
        greater_is_better=True,
        scale="unit",
        weight=(0, 2),
    ),
    MetricSpec(
        name="loss",
        summary="mean binary cross-entropy of the pixels, in nats",
        statistic="cross_entropy",
        formula=f"{_FORMULAS}:mean",
        greater_is_better=False,
        scale="log",
        weight=(1,),
    ),
    MetricSpec(
        name="sensitivity",
        summary="share of the crater pixels that are found",
        statistic="confusion",
        formula=f"{_FORMULAS}:sensitivity",
        greater_is_better=True,
        scale="unit",
        weight=(0, 2),
    ),
    MetricSpec(
        name="specificity",
        summary="share of the background pixels that are left alone",
        statistic="confusion",
        formula=f"{_FORMULAS}:specificity",
        greater_is_better=True,
        scale="unit",
        weight=(1, 3),
    ),
    MetricSpec(
        name="dice",
        label="Dice",
        summary="overlap of prediction and mask, over their mean size",
        statistic="confusion",
        formula=f"{_FORMULAS}:dice",
        greater_is_better=True,
        scale="unit",
        weight=(0, 2),
    ),
    MetricSpec(
        name="iou",
        label="IoU",
        summary="overlap of prediction and mask, over their union",
        statistic="confusion",
        formula=f"{_FORMULAS}:iou",
        greater_is_better=True,
        scale="unit",
        weight=(0, 2),
    ),
    MetricSpec(
        name="auroc",
        label="AUROC",
        summary="area under the ROC curve: how often a crater pixel has more probability than a background pixel",
        statistic="histogram",
        formula=f"{_FORMULAS}:auroc",
        greater_is_better=True,
        scale="unit",
        weight=_CRATER_BINS,
    ),
    MetricSpec(
        name="average_precision",
        summary="area under the precision-recall curve, in steps",
        statistic="histogram",
        formula=f"{_FORMULAS}:average_precision",
        greater_is_better=True,
        scale="unit",
        weight=_CRATER_BINS,
    ),
    MetricSpec(
        name="brier",
        label="Brier score",
        summary="mean squared distance between probability and mask",
        statistic="squared_error",
        formula=f"{_FORMULAS}:mean",
        greater_is_better=False,
        scale="unit",
        weight=(1,),
    ),
    MetricSpec(
        name="ece",
        label="calibration error",
        summary="expected calibration error over ten bins of the probability",
        statistic="calibration",
        formula=f"{_FORMULAS}:expected_calibration_error",
        greater_is_better=False,
        scale="unit",
        weight=tuple(range(10)),
    ),
    *(
        MetricSpec(
            name=f"{name}_tuned",
            label=f"{label}, tuned",
            summary=f"{label} at the threshold that is best for it on the validation part",
            statistic="histogram",
            formula=f"{_FORMULAS}:{name}",
            greater_is_better=True,
            scale="unit",
            weight=(0, 2),
            tuned=True,
        )
        for name, label in (("balanced_accuracy", "balanced accuracy"), ("dice", "Dice"), ("iou", "IoU"))
    ),
)


@hookimpl
def bench_metrics() -> list[MetricSpec]:
    """Return them."""
    return list(BUILT_IN_METRICS)
