"""The metrics that every craterbench has, brought through the same hook as those of any plugin."""

from __future__ import annotations

from craterbench.plugin.components import MetricSpec
from craterbench.plugin.hookspecs import hookimpl

__all__ = ["ALIASES", "BUILT_IN_METRICS", "bench_metrics"]

#: Other names that users may give; histories and configs have these.
ALIASES = {"val_loss": "loss"}

_FORMULAS = "craterbench.metrics.formulas"

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
)


@hookimpl
def bench_metrics() -> list[MetricSpec]:
    """Return them."""
    return list(BUILT_IN_METRICS)
