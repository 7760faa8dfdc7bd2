"""Scores, each a formula on counts.

Pooled: the counts of all images are added first, so that neither the order nor the size of batches moves a score.

Where a denominator is zero a score takes a documented value, for an image as for a part:

- no crater pixel: sensitivity is NaN, and balanced accuracy is the specificity alone;
- no background pixel: specificity is NaN, and balanced accuracy is the sensitivity alone, as in scikit-learn;
- no crater pixel in the mask and none predicted: IoU and Dice are 1, for the agreement is perfect;
- no pixel at all (the rim where nothing has an edge): every score is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from craterbench.metrics.evaluator import REGIONS, Counts

__all__ = ["counts_behind", "per_image", "pooled", "scores"]


def scores(
    confusion: npt.NDArray[np.int64], cross_entropy: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return every score of counts; ``loss`` is the mean binary cross-entropy of the pixels, in nats.

    Args:
        confusion: (..., 4), true positive, false positive, false negative, true negative.
        cross_entropy: (...), the sum of the binary cross-entropies of the same pixels.
    """
    tp, fp, fn, tn = (confusion[..., cell] for cell in range(4))
    sensitivity = _ratio(tp, tp + fn)
    specificity = _ratio(tn, tn + fp)
    both = (sensitivity + specificity) / 2
    one = np.where(np.isnan(sensitivity), specificity, sensitivity)
    pixels = confusion.sum(axis=-1)
    some = pixels > 0
    agreed = np.where(some, 1.0, np.nan)
    return {
        "balanced_accuracy": np.where(np.isnan(both), one, both),
        "loss": _ratio(cross_entropy, pixels),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "iou": np.where(tp + fp + fn > 0, _ratio(tp, tp + fp + fn), agreed),
        "dice": np.where(tp + fp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), agreed),
    }


def per_image(counts: Counts) -> dict[str, npt.NDArray[np.float64]]:
    """Return the scores of each image over all its pixels, each (N,)."""
    return scores(counts.confusion.sum(axis=1), counts.cross_entropy.sum(axis=1))


def pooled(counts: Counts, region: str | None = None) -> dict[str, float | int]:
    """Return the scores over all pixels of all images, with the number of images and pixels behind them.

    Args:
        region: ``"rim"`` or ``"interior"``; by default both. Images without a pixel there are not counted.
    """
    regions = slice(None) if region is None else slice(REGIONS.index(region), REGIONS.index(region) + 1)
    confusion = counts.confusion[:, regions].sum(axis=1)
    values = scores(confusion.sum(axis=0), counts.cross_entropy[:, regions].sum())
    return {
        **{name: float(value) for name, value in values.items()},
        "num_images": int((confusion.sum(axis=1) > 0).sum()),
        "num_pixels": int(confusion.sum()),
        "num_crater_pixels": int(confusion[:, [0, 2]].sum()),
    }


def counts_behind(kept: Mapping[str, float | int], arrays: Mapping[str, npt.NDArray[np.generic]]) -> Counts:
    """Return the counts that scores were computed from, which were kept apart from them.

    Args:
        kept: what ``pooled`` had returned.
        arrays: the arrays of ``Counts``, by name, of the right shapes.

    Raises:
        ValueError: these are others.
    """
    counts = Counts(**arrays)  # type: ignore[arg-type]
    true_positive, _, false_negative, _ = cells = counts.confusion.sum(axis=(0, 1)).tolist()
    pixels, crater = sum(cells), true_positive + false_negative
    loss = float(counts.cross_entropy.sum()) / max(pixels, 1)  # not by ``pooled``, which takes ten times as long
    told = kept["num_pixels"], kept["num_crater_pixels"]
    if (pixels, crater) != told or abs(loss - kept["loss"]) > 1e-9 * max(loss, 1.0):
        raise ValueError("it does not belong to the record beside it")
    return counts


def _ratio(above: npt.NDArray[np.generic], below: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    ratio = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=ratio, where=np.asarray(below) > 0)
    return ratio
