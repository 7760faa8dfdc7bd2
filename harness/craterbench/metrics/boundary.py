"""Where the boundaries lie: normalised surface Dice, and the 95th percentile of the Hausdorff distance.

A boundary pixel is a crater pixel one of whose four neighbours is no crater pixel or lies outside the image, as in
MONAI's ``get_mask_edges``. So the image's border counts here, unlike for the rim, and every mask with a crater has a
boundary. Distances are Euclidean, in pixels, from centre to centre, to the nearest boundary pixel of the other mask.

- Surface Dice (Nikolov et al., 2018, arXiv:1809.04430): the boundary pixels of mask and prediction that are within the
  tolerance of the other's boundary, over all boundary pixels of both. As in MONAI each pixel counts once, where
  DeepMind's ``surface-distance`` weighs it by the length of the contour in it. It is pooled over images. Where there is
  no boundary at all it is 1, for the agreement is perfect.
- Hausdorff distance: of the distances of each boundary the 95th percentile, with linear interpolation, and of both the
  greater, as in MONAI. It is the mean over images. Where mask and prediction are both empty it is 0, and where one is
  it is the image's diagonal, ``hypot(H, W)``, which no distance exceeds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.formulas import mean, ratio

__all__ = ["PERCENTILE", "TOLERANCES", "Boundary", "hausdorff_95", "surface_dice_1", "surface_dice_2"]

Floats = npt.NDArray[np.float64]

#: In pixels.
TOLERANCES = (1.0, 2.0)

PERCENTILE = 95


class Boundary:
    """Counts of each image of a part what the metrics on boundaries need; those of the masks are found once."""

    def __init__(self, masks: npt.NDArray[np.uint8]) -> None:
        """Take the masks of the part, (N, H, W, 1)."""
        self._diagonal = math.hypot(*masks.shape[1:3])
        self._true = [KDTree(np.argwhere(edge)) for edge in _edges(masks[..., 0] > 0)]

    def __call__(self, probabilities: npt.NDArray[np.float32]) -> Floats:
        """Count.

        Args:
            probabilities: (N, H, W, 1).

        Returns:
            (N, 6): the boundary pixels of both masks that are within 1 pixel of the other's, those within 2, the
            boundary pixels of the mask, those of the prediction, the Hausdorff distance in pixels, and 1.
        """
        edges = zip(self._true, _edges(probabilities[..., 0] > THRESHOLD), strict=True)
        return np.array([_of_image(true, np.argwhere(found), self._diagonal) for true, found in edges]).reshape(-1, 6)


def surface_dice_1(sums: npt.NDArray[Any]) -> Floats:
    """Return the surface Dice at a tolerance of 1 pixel."""
    return _surface_dice(sums, 0)


def surface_dice_2(sums: npt.NDArray[Any]) -> Floats:
    """Return the surface Dice at a tolerance of 2 pixels."""
    return _surface_dice(sums, 1)


def hausdorff_95(sums: npt.NDArray[Any]) -> Floats:
    """Return the mean over images of the Hausdorff distance, in pixels."""
    return mean(sums[..., 4:6])


def _surface_dice(sums: npt.NDArray[Any], tolerance: int) -> Floats:
    pixels = sums[..., 2] + sums[..., 3]
    return np.where(pixels > 0, ratio(sums[..., tolerance], pixels), 1.0)


def _edges(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the boundary pixels of masks (N, H, W)."""
    around = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    rows, columns = around[:, :, 1:-1], around[:, 1:-1]
    inside = rows[:, :-2] & rows[:, 2:] & columns[:, :, :-2] & columns[:, :, 2:]
    return masks & ~inside


def _of_image(true: KDTree, found: npt.NDArray[np.intp], diagonal: float) -> list[float]:
    sizes = [true.n, len(found)]
    if min(sizes) == 0:
        return [0, 0, *sizes, diagonal if max(sizes) else 0, 1]
    distances = [true.query(found)[0], KDTree(found).query(true.data)[0]]
    within = [sum(np.count_nonzero(each <= tolerance) for each in distances) for tolerance in TOLERANCES]
    return [*within, *sizes, max(np.percentile(each, PERCENTILE) for each in distances), 1]
