"""How many craters are found: objects of mask and prediction, matched one to one by their overlap.

An object is a connected component, of pixels that touch at a side or a corner, of whatever size: craters that overlap
or touch are one object, and a lone pixel that is called crater is a false one. An object of the mask and one of the
prediction match from an intersection over union of 0.5 on, the threshold of PASCAL VOC (Everingham et al., 2010) and of
panoptic quality (Kirillov et al., 2019, arXiv:1801.00868). Objects of one mask neither overlap nor touch, so none has a
second partner at that threshold, and the matching does not depend on how it is sought. It is found as in StarDist, by
``scipy.optimize.linear_sum_assignment``.

Where a catalogue has the craters as circles, these are the objects of the mask instead: each the disc of pixels whose
centres it holds, if it holds one that is not ignored. Craters that overlap are then several, and an object of the
prediction that covers them all matches one at most; the pairs are chosen so that most match.

Where the mask has no object recall is NaN, and where the prediction has none precision is. Where neither has one F1 is
1, for the agreement is perfect.

The sizes are those of the mask's objects: small, medium and large ones have an equivalent diameter (that of a circle of
the same area) below 8 pixels, from 8, and from 16. Below 8 pixels an outline that is off by 1.2 pixels all around no
longer matches. 16 pixels are a third of an image of 48: the crater that each image of ``mars-hrsc`` was cut around is
larger, and what is smaller lies there by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment

from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.formulas import ratio

__all__ = [
    "MATCH",
    "SIZE_EDGES",
    "Objects",
    "object_f1",
    "object_precision",
    "object_recall",
    "object_recall_large",
    "object_recall_medium",
    "object_recall_small",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Sums = npt.NDArray[Any]

#: The intersection over union from which two objects match.
MATCH = 0.5

#: The equivalent diameters, in pixels, from which an object is medium, and large.
SIZE_EDGES = (8.0, 16.0)

_SIDES_AND_CORNERS = np.ones((3, 3), dtype=bool)


class Objects:
    """Counts the objects of each image of a part; those of the masks are found once."""

    def __init__(
        self,
        masks: npt.NDArray[np.uint8],
        circles: Sequence[Floats] | None = None,
        ignored: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Take the part.

        Args:
            masks: (N, H, W, 1).
            circles: of each image (M, 3), x, y and diameter of its craters in pixels, which then are its objects.
            ignored: (N, H, W, 1), the pixels that are left out, of which a circle has none; 0 in the masks.
        """
        if circles is None:
            self._true = [_components(mask) for mask in masks[..., 0] > 0]
        else:
            known = np.ones(masks.shape[:3], dtype=bool) if ignored is None else ~ignored[..., 0]
            self._true = [_discs(each, where) for each, where in zip(circles, known, strict=True)]

    def __call__(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Count.

        Args:
            probabilities: (N, H, W, 1).

        Returns:
            (N, 7): the small, medium and large objects of the mask that are matched, all small, medium and large ones
            of the mask, and the objects of the prediction.
        """
        pairs = zip(self._true, probabilities[..., 0] > THRESHOLD, strict=True)
        return np.array([_of_image(*true, called) for true, called in pairs], dtype=np.int64).reshape(-1, 7)


def object_recall(sums: Sums) -> Floats:
    """Return the share of the mask's objects that are matched."""
    return ratio(sums[..., :3].sum(axis=-1), sums[..., 3:6].sum(axis=-1))


def object_precision(sums: Sums) -> Floats:
    """Return the share of the prediction's objects that are matched."""
    return ratio(sums[..., :3].sum(axis=-1), sums[..., 6])


def object_f1(sums: Sums) -> Floats:
    """Return the harmonic mean of precision and recall."""
    both = sums[..., 3:7].sum(axis=-1)
    return np.where(both > 0, ratio(2 * sums[..., :3].sum(axis=-1), both), 1.0)


def object_recall_small(sums: Sums) -> Floats:
    """Return the recall of the small objects."""
    return ratio(sums[..., 0], sums[..., 3])


def object_recall_medium(sums: Sums) -> Floats:
    """Return the recall of the medium objects."""
    return ratio(sums[..., 1], sums[..., 4])


def object_recall_large(sums: Sums) -> Floats:
    """Return the recall of the large objects."""
    return ratio(sums[..., 2], sums[..., 5])


def _components(mask: npt.NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """Return the pixels of all objects, by their place in the flattened mask, and the number of the object of each."""
    labels = label(mask, _SIDES_AND_CORNERS)[0].ravel()
    pixels = np.flatnonzero(labels)
    return pixels, labels[pixels].astype(np.int64)


def _discs(circles: Floats, known: npt.NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """Return the same of circles, whose discs may share pixels, without the pixels (H, W) that are not known."""
    down, across = (np.arange(side) + 0.5 for side in known.shape)
    pixels = [
        np.flatnonzero(((across[None, :] - x) ** 2 + (down[:, None] - y) ** 2 <= (diameter / 2) ** 2) & known)
        for x, y, diameter in circles
    ]
    seen = [disc for disc in pixels if len(disc)]
    numbers = np.repeat(np.arange(1, len(seen) + 1), [len(disc) for disc in seen])
    return np.concatenate([np.zeros(0, np.int64), *seen]), numbers.astype(np.int64)


def _of_image(pixels: Integers, numbers: Integers, called: npt.NDArray[np.bool_]) -> list[int]:
    found, num_found = label(called, _SIDES_AND_CORNERS)
    areas, areas_found = np.bincount(numbers, minlength=1), np.bincount(found.ravel())
    # Only pairs that overlap are looked at: noise has so many objects that a table of all pairs would be huge.
    partner = found.ravel()[pixels].astype(np.int64)
    pairs, overlap = np.unique((numbers * (num_found + 1) + partner)[partner > 0], return_counts=True)
    ones, others = np.divmod(pairs, num_found + 1)
    near = overlap >= MATCH * (areas[ones] + areas_found[others] - overlap)
    candidates, rows = np.unique(ones[near], return_inverse=True)
    partners, columns = np.unique(others[near], return_inverse=True)
    matches = np.zeros((len(candidates), len(partners)), dtype=bool)
    matches[rows, columns] = True
    rows, columns = linear_sum_assignment(matches, maximize=True)
    matched = candidates[rows[matches[rows, columns]]]
    size = np.searchsorted(SIZE_EDGES, 2 * np.sqrt(areas / math.pi), side="right")
    return [*np.bincount(size[matched], minlength=3), *np.bincount(size[1:], minlength=3), num_found]
