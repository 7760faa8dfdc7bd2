"""What a network knows at every threshold: its ROC, precision-recall and calibration curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from craterbench.metrics.formulas import ratio
from craterbench.metrics.histogram import EDGES, NUM_BINS, confusions
from craterbench.metrics.metric import Metrics

__all__ = ["CURVES", "draw_thresholds", "has_curves"]

#: What the three panels show.
CURVES = ("ROC", "precision and recall", "calibration")

_AUROC = Metrics().get("auroc")

_HALF = int(np.flatnonzero(EDGES == 0.5)[0])


def has_curves(sums: Mapping[str, Any]) -> bool:
    """Say whether the sums of a part have what curves are drawn of: both classes, in bins of today."""
    return "calibration" in sums and _AUROC.score(sums) is not None


def draw_thresholds(axes: Sequence[Axes], sums: Mapping[str, Any], style: str, label: str | None = None) -> None:
    """Draw the three curves of a part; a dot on the first two is the threshold 0.5.

    Args:
        axes: three.
        sums: of the part, by statistic (see ``has_curves``).
        style: of the lines, as matplotlib has it.
        label: what the lines are called in a legend.
    """
    histogram = np.asarray(sums["histogram"]).reshape(-1, 2 * NUM_BINS).sum(axis=0)
    tp, fp, fn, tn = np.moveaxis(confusions(histogram).astype(np.float64), -1, 0)
    recall, false_alarms, precision = ratio(tp, tp + fn), ratio(fp, fp + tn), ratio(tp, tp + fp)
    (line,) = axes[0].plot([1, *false_alarms, 0], [1, *recall, 0], style, label=label, linewidth=1)
    color = line.get_color()
    axes[0].plot(false_alarms[_HALF], recall[_HALF], "o", color=color, markersize=4)
    axes[1].plot(recall, precision, style, label=label, linewidth=1)
    axes[1].plot(recall[_HALF], precision[_HALF], "o", color=color, markersize=4)
    pixels, craters, probabilities = np.split(np.asarray(sums["calibration"], dtype=np.float64), 3)
    axes[2].plot(ratio(probabilities, pixels), ratio(craters, pixels), style, marker=".", label=label, linewidth=1)
    _name(axes)


def _name(axes: Sequence[Axes]) -> None:
    names = (
        ("background called crater", "craters found"),
        ("craters found (recall)", "precision"),
        ("mean probability", "share of crater pixels"),
    )
    for axis, (across, up) in zip(axes, names, strict=True):
        axis.set(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)
    diagonal: npt.NDArray[np.float64] = np.array([0.0, 1.0])
    for axis in (axes[0], axes[2]):
        axis.plot(diagonal, diagonal, "C7:", linewidth=0.8, zorder=0)
