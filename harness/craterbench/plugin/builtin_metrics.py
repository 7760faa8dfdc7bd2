"""The metrics that every craterbench has, brought through the same hook as those of any plugin."""

from __future__ import annotations

from craterbench.plugin.hookspecs import hookimpl
from craterbench.plugin.metric_spec import MetricSpec

__all__ = ["ALIASES", "BUILT_IN_METRICS", "bench_metrics"]

#: Other names that users may give; histories and configs have these.
ALIASES = {"val_loss": "loss"}

_FORMULAS = "craterbench.metrics.formulas"

#: The columns of the histogram that hold the crater pixels.
_CRATER_BINS = tuple(range(128, 256))

#: On boundaries, on objects, and averaged over images; their statistics are counted on demand.
_BEYOND_PIXELS = (
    *(
        MetricSpec(
            name=f"surface_dice_{tolerance}",
            label=f"surface Dice, {unit}",
            summary=f"share of the boundary pixels that are within {unit} of the other boundary",
            statistic="boundary",
            formula=f"craterbench.metrics.boundary:surface_dice_{tolerance}",
            greater_is_better=True,
            scale="unit",
            weight=(2,),
        )
        for tolerance, unit in ((1, "1 pixel"), (2, "2 pixels"))
    ),
    MetricSpec(
        name="hausdorff_95",
        label="Hausdorff 95 %",
        summary="95th percentile of the distance between the boundaries, in pixels, as the mean over images",
        statistic="boundary",
        formula="craterbench.metrics.boundary:hausdorff_95",
        greater_is_better=False,
        scale="log",
    ),
    *(
        MetricSpec(
            name=f"object_{name}",
            label=f"object {label}",
            summary=summary,
            statistic="objects",
            formula=f"craterbench.metrics.objects:object_{name}",
            greater_is_better=True,
            scale="unit",
            weight=weight,
        )
        for name, label, summary, weight in (
            ("precision", "precision", "share of the predicted objects that match one of the mask", (6,)),
            ("recall", "recall", "share of the mask's objects that a predicted one matches", (3, 4, 5)),
            ("f1", "F1", "harmonic mean of object precision and recall", (3, 4, 5)),
            ("recall_small", "recall, small", "object recall of those below 8 pixels of diameter", (3,)),
            ("recall_medium", "recall, medium", "object recall of those from 8 to below 16 pixels of diameter", (4,)),
            ("recall_large", "recall, large", "object recall of those from 16 pixels of diameter", (5,)),
        )
    ),
    *(
        MetricSpec(
            name=f"image_{name}",
            label=f"mean {label} of an image",
            summary=f"mean over images of {label}",
            statistic="image_overlap",
            formula=f"craterbench.metrics.image_overlap:image_{name}",
            greater_is_better=True,
            scale="unit",
        )
        for name, label in (("dice", "Dice"), ("iou", "IoU"))
    ),
)

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
    *_BEYOND_PIXELS,
)


@hookimpl
def bench_metrics() -> list[MetricSpec]:
    """Return them."""
    return list(BUILT_IN_METRICS)
