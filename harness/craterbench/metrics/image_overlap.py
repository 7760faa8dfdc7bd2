"""The mean over images of Dice and IoU: each image weighs the same, however many crater pixels it has.

The value of an image is that of the formulas on its own pixels: 1 where it has no crater and none was predicted, and 0
where it has none and one was predicted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.formulas import dice, iou, mean

__all__ = ["ImageOverlap", "image_dice", "image_iou"]

Floats = npt.NDArray[np.float64]


class ImageOverlap:
    """Dice and IoU of each image of a part."""

    def __init__(self, masks: npt.NDArray[np.uint8]) -> None:
        """Take the masks of the part, (N, H, W, 1)."""
        self._crater = (masks > 0).reshape(len(masks), -1)

    def __call__(self, probabilities: npt.NDArray[np.float32]) -> Floats:
        """Return Dice, IoU and 1 of each image, (N, 3), of probabilities (N, H, W, 1)."""
        crater, called = self._crater, (probabilities > THRESHOLD).reshape(self._crater.shape)
        cells = (crater & called, ~crater & called, crater & ~called, ~crater & ~called)
        confusion = np.stack([cell.sum(axis=1) for cell in cells], axis=-1)
        return np.stack([dice(confusion), iou(confusion), np.ones(len(crater))], axis=-1)


def image_dice(sums: npt.NDArray[Any]) -> Floats:
    """Return the mean over images of Dice."""
    return mean(sums[..., [0, 2]])


def image_iou(sums: npt.NDArray[Any]) -> Floats:
    """Return the mean over images of IoU."""
    return mean(sums[..., [1, 2]])
