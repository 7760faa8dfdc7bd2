"""Histograms of probabilities: from one of them follow the confusion at every threshold, and what is made of those.

A histogram has ``NUM_BINS`` bins for the background pixels and as many for the crater pixels, next to each other. Their
edges are eighths of the logit from -4 to 4, and grow wider from there as far as float32 goes: a network that the Dice
loss trained has half of its probabilities below 1e-12, and they still rank. 0.5 is an edge: the confusion there is that
of the evaluator, to the pixel. A bin holds what is above its lower edge and not above its upper one, as a pixel is
called crater where its probability is above the threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

__all__ = ["EDGES", "NUM_BINS", "bin_of", "confusion_at", "confusions"]

Sums = npt.NDArray[Any]

NUM_BINS = 128

_OUTWARDS = 4 * np.power.outer((92 / 4, 17.5 / 4), np.arange(1, 32) / 31)

#: The edges between bins, (NUM_BINS - 1,): from 1e-40 to what float32 cannot tell from 1.
EDGES: npt.NDArray[np.float64] = expit(np.concatenate([-_OUTWARDS[0, ::-1], np.arange(-32, 33) / 8, _OUTWARDS[1]]))


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
