"""The one evaluator: probabilities and masks in, statistics of each image out."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import IGNORED
from craterbench.metrics.histogram import NUM_BINS, bin_of
from craterbench.metrics.metric import Metric
from craterbench.metrics.statistics import Statistics, count_own

__all__ = ["CLIP", "EVALUATOR_VERSION", "RIM_WIDTH", "THRESHOLD", "Evaluator", "rim"]

#: Raised whenever a score of the same probabilities can change.
EVALUATOR_VERSION = 1

#: A pixel is called crater where its probability is above this.
THRESHOLD = 0.5

#: Probabilities are clipped to [CLIP, 1 - CLIP], in double precision, before the logarithm.
CLIP = 1e-7

#: A pixel belongs to the rim if the nearest pixel of the other class is within this distance, in pixels.
RIM_WIDTH = 2.0

_TENTHS = 10

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

#: How many pixels are counted at once: what is made on the way, in double precision, then stays in the caches.
_BLOCK = 2**18


class Evaluator:
    """Scores predictions of one part; what depends on its masks alone is computed once.

    Attributes:
        fingerprint: equal for two parts if numbers scored on them may stand in one column: same images, masks and
            circles, same version of the evaluator.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        groups: npt.NDArray[np.int64],
        metrics: Iterable[Metric] = (),
        circles: Sequence[npt.NDArray[np.float64]] | None = None,
    ) -> None:
        """Take a part: images float32 and masks uint8 (N, H, W, 1), groups int64 (N,).

        Pixels whose mask is ``IGNORED`` are in no statistic, and make no rim.

        Args:
            metrics: those whose statistics are to be counted beside confusion and cross-entropy.
            circles: the craters of each image, (M, 3), where a catalogue has them; objects are counted of them.
        """
        content = hashlib.sha256(f"evaluator {EVALUATOR_VERSION} {images.shape}".encode())
        content.update(np.ascontiguousarray(images).data)
        content.update(np.ascontiguousarray(masks).data)
        for each in circles or ():
            content.update(repr(each.shape).encode())
            content.update(np.ascontiguousarray(each).data)
        self.fingerprint = content.hexdigest()[:16]
        self._crater = (masks == 1).reshape(len(masks), -1)
        self._rim = rim(masks).reshape(len(masks), -1)
        self._known = (masks != IGNORED).reshape(len(masks), -1) if masks.max(initial=0) > 1 else None
        self._masks = masks
        self._circles = circles
        self._groups = groups
        self._wanted = {metric.statistic: metric for metric in metrics}
        self._counters: dict[str, Callable[..., Any]] = {}

    def count(self, probabilities: npt.NDArray[np.float32]) -> Statistics:
        """Count the statistics of each image.

        Args:
            probabilities: (N, H, W, 1) in [0, 1], for the images of this part.

        Raises:
            ValueError: the shape is another, or a value is no probability.
            UserError: a metric's own statistic cannot be counted.
        """
        if probabilities.shape != self._masks.shape:
            raise ValueError(f"predictions have shape {probabilities.shape}, the masks {self._masks.shape}")
        p = probabilities.reshape(self._crater.shape)
        if not (p.min() >= 0 and p.max() <= 1):
            raise ValueError(f"predictions are no probabilities: they range from {p.min():.9g} to {p.max():.9g}")
        step = max(1, _BLOCK // p.shape[1])
        blocks = [self._count(p, slice(first, first + step)) for first in range(0, len(p), step)]
        arrays = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        for name, metric in self._wanted.items():
            if metric.own_statistic:
                arrays[name] = self.count_own(metric, probabilities)
        return Statistics(arrays, self._groups)

    def _count(self, predictions: npt.NDArray[np.float32], rows: slice) -> dict[str, npt.NDArray[Any]]:
        """Count the evaluator's own statistics of some of the images; predictions are (N, H * W)."""
        p, crater, rim = predictions[rows], self._crater[rows], self._rim[rows]
        known = None if self._known is None else self._known[rows]
        called = p > THRESHOLD
        clipped = np.clip(p.astype(np.float64), CLIP, 1 - CLIP)
        entropy = -np.log(np.where(crater, clipped, 1 - clipped))
        cells = (crater & called, ~crater & called, crater & ~called, ~crater & ~called)
        regions = (rim, ~rim) if known is None else (rim & known, ~rim & known)
        confusion = [[(cell & region).sum(axis=1) for cell in cells] for region in regions]
        sums = [[np.where(region, entropy, 0.0).sum(axis=1), region.sum(axis=1)] for region in regions]
        arrays = {"confusion": _by_image(confusion), "cross_entropy": _by_image(sums)}
        if "squared_error" in self._wanted:
            error = (p.astype(np.float64) - crater) ** 2
            arrays["squared_error"] = _by_image(
                [[np.where(region, error, 0.0).sum(axis=1), region.sum(axis=1)] for region in regions]
            )
        if "histogram" in self._wanted:
            arrays["histogram"] = _histogram(p, crater, rim, known)
        if "calibration" in self._wanted:
            arrays["calibration"] = _calibration(p, crater, known)
        return arrays

    def count_own(self, metric: Metric, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return the statistic that a metric brings itself, (N, k), of probabilities (N, H, W, 1).

        Raises:
            UserError: it cannot be counted, or is not what a statistic must be.
        """
        return count_own(metric, probabilities, self._masks, self._counters, self._circles)


def _histogram(p: Floats, crater: Bools, rim: Bools, known: Bools | None) -> npt.NDArray[np.int64]:
    """Return how many pixels of each region and class fall into each bin, (N, regions, 2 * NUM_BINS)."""
    of_pixel = ((np.arange(len(p))[:, None] * 2 + ~rim) * 2 + crater) * NUM_BINS + bin_of(p)
    shape = len(p), 2, 2 * NUM_BINS
    return np.bincount(_of_known(of_pixel, known), minlength=math.prod(shape)).reshape(shape)


def _calibration(p: Floats, crater: Bools, known: Bools | None) -> npt.NDArray[np.float64]:
    """Return of each tenth of the probability its pixels, crater pixels and sum of probabilities, (N, 30)."""
    tenth = np.minimum((p.astype(np.float64) * _TENTHS).astype(np.intp), _TENTHS - 1)
    of_pixel = _of_known(np.arange(len(p))[:, None] * _TENTHS + tenth, known)
    counted = [
        np.bincount(of_pixel, weights, minlength=len(p) * _TENTHS).reshape(-1, _TENTHS)
        for weights in (None, _of_known(crater, known), _of_known(p, known))
    ]
    return np.concatenate(counted, axis=1, dtype=np.float64)


def _of_known(array: npt.NDArray[Any], known: Bools | None) -> npt.NDArray[Any]:
    """Return the values of the pixels that count, one after another."""
    return array.ravel() if known is None else array[known]


def _by_image(counted: list[list[npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Return what was counted in each region, (regions, k) arrays (N,), as (N, regions, k)."""
    return np.ascontiguousarray(np.moveaxis(np.array(counted), -1, 0))


def rim(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where a pixel's centre is within RIM_WIDTH of one of the other class; the image's border is no edge.

    Args:
        masks: (N, H, W, 1); a pixel that is ``IGNORED`` is of neither class.
    """
    crater = masks[..., 0] == 1
    known = masks[..., 0] != IGNORED if masks.max(initial=0) > 1 else None
    near = np.zeros(crater.shape, dtype=bool)
    height, width = crater.shape[1:]
    reach = range(-math.floor(RIM_WIDTH), math.floor(RIM_WIDTH) + 1)
    for down, right in itertools.product(reach, reach):
        if (down, right) > (0, 0) and math.hypot(down, right) <= RIM_WIDTH:  # each pair of pixels once
            one = np.s_[:, : height - down, max(-right, 0) : width - max(right, 0)]
            other = np.s_[:, down:, max(right, 0) : width - max(-right, 0)]
            differ = crater[one] != crater[other]
            if known is not None:
                differ &= known[one] & known[other]
            near[one] |= differ
            near[other] |= differ
    return near[..., None]
