"""The formulas of the built-in metrics, each on sums of a statistic (..., k), and vectorised over what comes before k.

Pooled: what is counted is added up over all images first, so that neither the order nor the size of batches moves a
score.

Where a denominator is zero a score takes a documented value, for an image as for a part:

- no crater pixel: sensitivity is NaN, and balanced accuracy is the specificity alone;
- no background pixel: specificity is NaN, and balanced accuracy is the sensitivity alone, as in scikit-learn;
- no crater pixel in the mask and none predicted: IoU and Dice are 1, for the agreement is perfect;
- no crater pixel, or no background pixel: AUROC and average precision are NaN;
- no pixel at all (the rim where nothing has an edge): every score is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "dice",
    "expected_calibration_error",
    "iou",
    "mean",
    "ratio",
    "sensitivity",
    "specificity",
]

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


def auroc(histogram: Sums) -> Floats:
    """Return the area under the ROC curve: the share of pairs of a crater and a background pixel that are ranked right.

    Of pairs in one bin as many are taken to be ranked right as follows from densities that are straight lines there.
    The area is that of scikit-learn to about 0.0001, and to 0.001 if all probabilities lie close together.
    """
    background, crater = (each.astype(np.float64) for each in np.split(histogram, 2, axis=-1))
    below = np.cumsum(background, axis=-1) - background
    right = 0.5 + (_slopes(crater) - _slopes(background)) / 12
    pairs = crater.sum(axis=-1) * background.sum(axis=-1)
    return ratio((crater * (below + background * right)).sum(axis=-1), pairs)


def average_precision(histogram: Sums) -> Floats:
    """Return the mean over crater pixels of the precision at their probability as a threshold, as scikit-learn has it.

    Inside each half of a bin the crater pixels are taken to lie evenly among the others. It is that of scikit-learn to
    about 0.0002, and to 0.003 if probabilities lie close together or are equal.
    """
    background, crater = (_halves(each.astype(np.float64))[..., ::-1] for each in np.split(histogram, 2, axis=-1))
    pixels = background + crater
    before = np.cumsum(pixels, axis=-1) - pixels
    found = np.cumsum(crater, axis=-1) - crater
    # the mean of (found + s * crater) / (before + s * pixels) over s from 0 to 1
    share = np.divide(crater, pixels, out=np.zeros_like(pixels), where=pixels > 0)
    inside = (before > 0) & (pixels > 0)
    growth = np.log1p(np.divide(pixels, before, out=np.zeros_like(pixels), where=inside))
    later = np.divide((found - share * before) * growth, pixels, out=np.zeros_like(pixels), where=inside)
    total = crater.sum(axis=-1)
    return np.where(background.sum(axis=-1) > 0, ratio((crater * (share + later)).sum(axis=-1), total), np.nan)


def _slopes(pixels: Floats) -> Floats:
    """Return by how much a density rises through each bin, as a share of its mean there, from the bins beside it.

    Through the first and the last it does not: they hold what float32 cannot tell from 0 and from 1.
    """
    rise = np.zeros_like(pixels)
    rise[..., 1:-1] = (pixels[..., 2:] - pixels[..., :-2]) / 2
    share: Floats = np.divide(rise, pixels, out=np.zeros_like(pixels), where=pixels > 0)
    return share.clip(-2, 2)


def _halves(pixels: Floats) -> Floats:
    """Return how many pixels each half of each bin holds if densities are straight lines there, (..., 2 * bins)."""
    more = pixels * _slopes(pixels) / 4
    return np.stack([(pixels - more) / 2, (pixels + more) / 2], axis=-1).reshape(*pixels.shape[:-1], -1)


def expected_calibration_error(calibration: Sums) -> Floats:
    """Return how far the share of crater pixels is from the mean probability, over tenths of the probability.

    Each tenth weighs as many pixels as it holds (Naeini et al. 2015, for the probability of the positive class).
    """
    pixels, craters, probabilities = np.split(calibration, 3, axis=-1)
    return ratio(np.abs(craters - probabilities).sum(axis=-1), pixels.sum(axis=-1))


def _cells(confusion: Sums) -> tuple[Sums, Sums, Sums, Sums]:
    return confusion[..., 0], confusion[..., 1], confusion[..., 2], confusion[..., 3]


def _agreed(confusion: Sums) -> Floats:
    return np.where(confusion.sum(axis=-1) > 0, 1.0, np.nan)
