"""From masks to a catalogue: connected components, found a band of rows at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from craterbench.data.catalogue import Catalogue

__all__ = ["SMALLEST", "CraterFinder"]

#: The fewest pixels of a crater: what is smaller is speckle, and has no diameter to speak of.
SMALLEST = 9

_SIDES_AND_CORNERS = np.ones((3, 3), dtype=bool)

#: What is added up of each component: its pixels, their x, their y, and their probabilities.
_SUMS = 4


class CraterFinder:
    """Finds the craters of an image whose rows come from top to bottom.

    A crater is a connected component of the mask, of pixels that touch at a side or a corner, as the metrics of objects
    have it: craters that touch are one. Only its sums are kept, never the image.
    """

    def __init__(self) -> None:
        self._row = 0
        self._number = 0
        self._last: npt.NDArray[np.int64] | None = None
        self._sums: list[npt.NDArray[np.float64]] = []
        self._joined: list[npt.NDArray[np.int64]] = []

    def add(self, mask: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> None:
        """Take the rows that follow, each (rows, W)."""
        labels, number = label(mask, _SIDES_AND_CORNERS)
        y, x = np.nonzero(labels)
        of_pixel = labels[y, x] - 1
        weights = (None, x + 0.5, y + (self._row + 0.5), probabilities[y, x])
        self._sums.append(np.stack([np.bincount(of_pixel, each, minlength=number) for each in weights], axis=1))
        numbered = np.where(labels > 0, labels.astype(np.int64) + self._number, 0)  # counted from 1 over all bands
        if self._last is not None:
            self._joined += _touching(self._last, numbered[0])
        self._last = numbered[-1]
        self._number += number
        self._row += len(mask)

    def craters(self) -> Catalogue:
        """Return the craters, from top to bottom, with the diameter of a circle of their area.

        A crater's score is its mean probability.
        """
        joined = np.concatenate([np.empty((0, 2), np.int64), *self._joined]) - 1
        sums = np.concatenate([np.empty((0, _SUMS)), *self._sums])
        pairs = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(self._number, self._number))
        number, component = connected_components(pairs, directed=False) if self._number else (0, np.empty(0, np.intp))
        of_each = np.stack([np.bincount(component, column, minlength=number) for column in sums.T], axis=1)
        area, x, y, score = of_each[of_each[:, 0] >= SMALLEST].T
        found = Catalogue(x=x / area, y=y / area, diameter=2 * np.sqrt(area / np.pi), score=score / area)
        return found.take(np.lexsort((x / area, y / area)))


def _touching(above: npt.NDArray[np.int64], below: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the pairs of numbers, (M, 2), in two rows one under the other that touch at a side or a corner."""
    width = len(above)
    found = []
    for shift in (-1, 0, 1):
        one = above[max(-shift, 0) : width - max(shift, 0)]
        other = below[max(shift, 0) : width - max(-shift, 0)]
        both = (one > 0) & (other > 0)
        found.append(np.unique(np.stack([one[both], other[both]], axis=1), axis=0))
    return found
