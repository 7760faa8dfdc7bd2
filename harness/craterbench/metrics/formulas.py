"""The formulas of the built-in metrics, each on sums of a statistic (..., k), and vectorised over what comes before k.

Pooled: what is counted is added up over all images first, so that neither the order nor the size of batches moves a
score.

Where a denominator is zero a score takes a documented value, for an image as for a part:

- no crater pixel: sensitivity is NaN, and balanced accuracy is the specificity alone;
- no background pixel: specificity is NaN, and balanced accuracy is the sensitivity alone, as in scikit-learn;
- no crater pixel in the mask and none predicted: IoU and Dice are 1, for the agreement is perfect;
- no pixel at all (the rim where nothing has an edge): every score is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_accuracy", "dice", "iou", "mean", "ratio", "sensitivity", "specificity"]

Floats = npt.NDArray[np.float64]
Sums = npt.NDArray[Any]


def ratio(above: Sums, below: Sums) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    found = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=found, where=np.asarray(below) > 0)
    return found


def mean(sums: Sums) -> Floats:
    """Return the mean of what was added up (..., 2): the sum, and of how many."""
    return ratio(sums[..., 0], sums[..., 1])


def sensitivity(confusion: Sums) -> Floats:
    """Return the recall of crater pixels."""
    tp, _, fn, _ = _cells(confusion)
    return ratio(tp, tp + fn)


def specificity(confusion: Sums) -> Floats:
    """Return the recall of background pixels."""
    _, fp, _, tn = _cells(confusion)
    return ratio(tn, tn + fp)


def balanced_accuracy(confusion: Sums) -> Floats:
    """Return the mean of sensitivity and specificity, or the one that is defined."""
    found, left = sensitivity(confusion), specificity(confusion)
    both = (found + left) / 2
    return np.where(np.isnan(both), np.where(np.isnan(found), left, found), both)


def iou(confusion: Sums) -> Floats:
    """Return the intersection over union of the crater pixels."""
    tp, fp, fn, _ = _cells(confusion)
    return np.where(tp + fp + fn > 0, ratio(tp, tp + fp + fn), _agreed(confusion))


def dice(confusion: Sums) -> Floats:
    """Return the Dice coefficient of the crater pixels."""
    tp, fp, fn, _ = _cells(confusion)
    return np.where(tp + fp + fn > 0, ratio(2 * tp, 2 * tp + fp + fn), _agreed(confusion))


def _cells(confusion: Sums) -> tuple[Sums, Sums, Sums, Sums]:
    return confusion[..., 0], confusion[..., 1], confusion[..., 2], confusion[..., 3]


def _agreed(confusion: Sums) -> Floats:
    return np.where(confusion.sum(axis=-1) > 0, 1.0, np.nan)
