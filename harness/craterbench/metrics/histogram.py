"""Histograms of probabilities: from one of them follow the confusion at every threshold, and what is made of those.

A histogram has ``NUM_BINS`` bins for the background pixels and as many for the crater pixels, next to each other. Their
edges are steps of the logit, for most pixels of a trained network lie near 0 or near 1: of a twelfth in the middle, and
wider outwards. 0.5 is an edge: the confusion there is that of the evaluator, to the pixel. A bin holds what is above
its lower edge and not above its upper one, as a pixel is called crater where its probability is above the threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

__all__ = ["EDGES", "NUM_BINS", "bin_of", "confusion_at", "confusions"]

Sums = npt.NDArray[Any]

NUM_BINS = 128

#: The edges between bins, (NUM_BINS - 1,), from 0.00004 to 0.99996.
EDGES: npt.NDArray[np.float64] = expit(2.5 * np.sinh(np.arange(1 - NUM_BINS // 2, NUM_BINS // 2) / 30))


def bin_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the number of the bin that each probability falls into."""
    return np.searchsorted(EDGES, probabilities)


def confusions(histogram: Sums) -> Sums:
    """Return the confusion at each edge as a threshold.

    Args:
        histogram: (..., 2 * NUM_BINS).

    Returns:
        (..., NUM_BINS - 1, 4): true and false positive, false and true negative pixels.
    """
    background, crater = histogram[..., :NUM_BINS], histogram[..., NUM_BINS:]
    below = [np.cumsum(pixels, axis=-1) for pixels in (crater, background)]
    fn, tn = (each[..., :-1] for each in below)
    tp, fp = (each[..., -1:] - each[..., :-1] for each in below)
    return np.stack([tp, fp, fn, tn], axis=-1)


def confusion_at(histogram: Sums, edge: int) -> Sums:
    """Return the confusion (..., 4) at one of the edges as a threshold.

    Args:
        histogram: (..., 2 * NUM_BINS).
        edge: its index.
    """
    background, crater = histogram[..., :NUM_BINS], histogram[..., NUM_BINS:]
    counts = [
        pixels[..., which].sum(axis=-1)
        for which in (slice(edge + 1, None), slice(edge + 1))
        for pixels in (crater, background)
    ]
    return np.stack(counts, axis=-1)
