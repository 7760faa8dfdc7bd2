"""The one evaluator: probabilities and masks in, statistics of each image out."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

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


class Evaluator:
    """Scores predictions of one part; what depends on its masks alone is computed once.

    Attributes:
        fingerprint: equal for two parts if numbers scored on them may stand in one column: same images, same masks,
            same version of the evaluator.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        groups: npt.NDArray[np.int64],
        metrics: Iterable[Metric] = (),
    ) -> None:
        """Take a part: images float32 and masks uint8 (N, H, W, 1), groups int64 (N,).

        Args:
            metrics: those whose statistics are to be counted beside confusion and cross-entropy.
        """
        content = hashlib.sha256(f"evaluator {EVALUATOR_VERSION} {images.shape}".encode())
        content.update(np.ascontiguousarray(images).data)
        content.update(np.ascontiguousarray(masks).data)
        self.fingerprint = content.hexdigest()[:16]
        self._crater = masks.reshape(len(masks), -1).astype(bool)
        self._rim = rim(masks).reshape(len(masks), -1)
        self._masks = masks
        self._groups = groups
        self._wanted = {metric.statistic: metric for metric in metrics}

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
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError(f"predictions are no probabilities: they range from {p.min():.9g} to {p.max():.9g}")
        crater, called = self._crater, p > THRESHOLD
        clipped = np.clip(p.astype(np.float64), CLIP, 1 - CLIP)
        entropy = -np.log(np.where(crater, clipped, 1 - clipped))
        cells = (crater & called, ~crater & called, crater & ~called, ~crater & ~called)
        regions = (self._rim, ~self._rim)
        confusion = [[(cell & region).sum(axis=1) for cell in cells] for region in regions]
        sums = [[np.where(region, entropy, 0.0).sum(axis=1), region.sum(axis=1)] for region in regions]
        arrays = {"confusion": _by_image(confusion), "cross_entropy": _by_image(sums)}
        if "squared_error" in self._wanted:
            error = (p.astype(np.float64) - crater) ** 2
            arrays["squared_error"] = _by_image(
                [[np.where(region, error, 0.0).sum(axis=1), region.sum(axis=1)] for region in regions]
            )
        if "histogram" in self._wanted:
            arrays["histogram"] = self._histogram(p)
        if "calibration" in self._wanted:
            arrays["calibration"] = self._calibration(p)
        for name, metric in self._wanted.items():
            if metric.own_statistic:
                arrays[name] = count_own(metric, probabilities, self._masks)
        return Statistics(arrays, self._groups)

    def _histogram(self, p: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return how many pixels of each region and class fall into each bin, (N, regions, 2 * NUM_BINS)."""
        of_pixel = (np.arange(len(p))[:, None] * 2 + ~self._rim) * 2 + self._crater
        shape = len(p), 2, 2 * NUM_BINS
        return np.bincount((of_pixel * NUM_BINS + bin_of(p)).ravel(), minlength=math.prod(shape)).reshape(shape)

    def _calibration(self, p: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return of each tenth of the probability its pixels, crater pixels and sum of probabilities, (N, 30)."""
        tenth = np.minimum((p.astype(np.float64) * _TENTHS).astype(np.intp), _TENTHS - 1)
        of_pixel = (np.arange(len(p))[:, None] * _TENTHS + tenth).ravel()
        counted = [
            np.bincount(of_pixel, weights, minlength=len(p) * _TENTHS).reshape(-1, _TENTHS)
            for weights in (None, self._crater.ravel(), p.ravel())
        ]
        return np.concatenate(counted, axis=1, dtype=np.float64)


def _by_image(counted: list[list[npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Return what was counted in each region, (regions, k) arrays (N,), as (N, regions, k)."""
    return np.ascontiguousarray(np.moveaxis(np.array(counted), -1, 0))


def rim(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where a pixel's centre is within RIM_WIDTH of one of the other class; the image's border is no edge.

    Args:
        masks: (N, H, W, 1).
    """
    crater = masks[..., 0].astype(bool)
    near = np.zeros(crater.shape, dtype=bool)
    height, width = crater.shape[1:]
    reach = range(-math.floor(RIM_WIDTH), math.floor(RIM_WIDTH) + 1)
    for down, right in itertools.product(reach, reach):
        if (down, right) > (0, 0) and math.hypot(down, right) <= RIM_WIDTH:  # each pair of pixels once
            one = np.s_[:, : height - down, max(-right, 0) : width - max(right, 0)]
            other = np.s_[:, down:, max(right, 0) : width - max(-right, 0)]
            differ = crater[one] != crater[other]
            near[one] |= differ
            near[other] |= differ
    return near[..., None]
