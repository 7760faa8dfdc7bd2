"""The one evaluator: probabilities and masks in, counts for each image out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

__all__ = ["CLIP", "EVALUATOR_VERSION", "REGIONS", "RIM_WIDTH", "THRESHOLD", "Counts", "Evaluator", "rim"]

#: Raised whenever a score of the same probabilities can change.
EVALUATOR_VERSION = 1

#: A pixel is called crater where its probability is above this.
THRESHOLD = 0.5

#: Probabilities are clipped to [CLIP, 1 - CLIP], in double precision, before the logarithm.
CLIP = 1e-7

#: A pixel belongs to the rim if the nearest pixel of the other class is within this distance, in pixels.
RIM_WIDTH = 2.0

#: The regions that are counted apart; together they are all pixels.
REGIONS = ("rim", "interior")


@dataclass(frozen=True)
class Counts:
    """What every score is computed from.

    Attributes:
        confusion: int64 (N, 2, 4): for each image and region (rim, interior) the pixels that are true positive, false
            positive, false negative and true negative.
        cross_entropy: float64 (N, 2): the sum of the pixels' binary cross-entropies, in nats.
        groups: int64 (N,): the group of each image.
    """

    confusion: npt.NDArray[np.int64]
    cross_entropy: npt.NDArray[np.float64]
    groups: npt.NDArray[np.int64]


class Evaluator:
    """Scores predictions of one part; what depends on its masks alone is computed once.

    Attributes:
        fingerprint: equal for two parts if numbers scored on them may stand in one column: same images, same masks,
            same version of the evaluator.
    """

    def __init__(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8], groups: npt.NDArray[np.int64]
    ) -> None:
        """Take a part: images float32 and masks uint8 (N, H, W, 1), groups int64 (N,)."""
        content = hashlib.sha256(f"evaluator {EVALUATOR_VERSION} {images.shape}".encode())
        content.update(np.ascontiguousarray(images).data)
        content.update(np.ascontiguousarray(masks).data)
        self.fingerprint = content.hexdigest()[:16]
        self._crater = masks.reshape(len(masks), -1).astype(bool)
        self._rim = rim(masks).reshape(len(masks), -1)
        self._shape = masks.shape
        self._groups = groups

    def count(self, probabilities: npt.NDArray[np.float32]) -> Counts:
        """Count the pixels of each image.

        Args:
            probabilities: (N, H, W, 1) in [0, 1], for the images of this part.

        Raises:
            ValueError: the shape is another, or a value is no probability.
        """
        if probabilities.shape != self._shape:
            raise ValueError(f"predictions have shape {probabilities.shape}, the masks {self._shape}")
        p = probabilities.reshape(self._crater.shape)
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError(f"predictions are no probabilities: they range from {p.min():g} to {p.max():g}")
        crater, called = self._crater, p > THRESHOLD
        clipped = np.clip(p.astype(np.float64), CLIP, 1 - CLIP)
        entropy = -np.log(np.where(crater, clipped, 1 - clipped))
        cells = (crater & called, ~crater & called, crater & ~called, ~crater & ~called)
        regions = (self._rim, ~self._rim)
        confusion = [[(cell & region).sum(axis=1) for cell in cells] for region in regions]
        sums = [np.where(region, entropy, 0.0).sum(axis=1) for region in regions]
        return Counts(np.moveaxis(np.array(confusion), -1, 0), np.stack(sums, axis=1), self._groups)


def rim(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where a pixel's centre is within RIM_WIDTH of one of the other class; the image's border is no edge.

    Args:
        masks: (N, H, W, 1).
    """
    near = np.zeros(masks.shape, dtype=bool)
    for row, mask in enumerate(masks[..., 0]):
        if 0 < mask.sum() < mask.size:
            distance = np.where(mask, distance_transform_edt(mask), distance_transform_edt(1 - mask))
            near[row, ..., 0] = distance <= RIM_WIDTH
    return near
