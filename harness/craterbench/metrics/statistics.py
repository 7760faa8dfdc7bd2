"""What is counted of each image: additive arrays by name, from which every metric of any set of images follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import IGNORED
from craterbench.metrics.histogram import confusion_at
from craterbench.metrics.metric import Metric
from craterbench.plugin import UserError
from craterbench.plugin.components import load
from craterbench.plugin.metric_spec import STATISTICS_ON_DEMAND

__all__ = ["Statistics", "count_own"]

#: By how much a sum may differ from the one in a record, as a share: sums of floats depend on their order.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Statistics:
    """The statistics of each image of a part.

    Attributes:
        arrays: by name, (N, regions, k) where rim and interior are counted apart, and (N, k) where they are not:
            ``confusion`` int64 (N, 2, 4), ``cross_entropy`` and ``squared_error`` float64 (N, 2, 2), ``histogram``
            int64 (N, 2, 256), ``calibration`` float64 (N, 30), those on demand (``STATISTICS_ON_DEMAND``), and those
            that plugins bring, by their targets.
        groups: int64 (N,): the group of each image.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    groups: npt.NDArray[np.int64]

    @classmethod
    def beside(cls, sums: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Statistics:
        """Return the statistics that are kept beside a record.

        Args:
            sums: those of the record, by name.
            arrays: of each image, by name, and ``groups``.

        Raises:
            ValueError: they are not what the record has the sums of.
        """
        kept = {name: array for name, array in arrays.items() if name != "groups"}
        for name, value in sums.items():
            wanted = np.asarray(value, dtype=np.float64)
            array = kept.get(name)
            if array is None or array.shape[1:] != wanted.shape:
                raise ValueError("it does not belong to the record beside it")
            apart = np.abs(array.sum(axis=0) - wanted)
            if (apart > _TOLERANCE * np.maximum(np.abs(wanted), 1.0)).any():
                raise ValueError("it does not belong to the record beside it")
        return cls({name: kept[name] for name in sums}, arrays["groups"])

    def of_images(self, name: str) -> npt.NDArray[Any]:
        """Return a statistic of each image over all its pixels, (N, k)."""
        array = self.arrays[name]
        return _signed(array.sum(axis=1) if array.ndim == 3 else array)

    def sums(self) -> dict[str, Any]:
        """Return what a record keeps: the sums over images, as nested lists."""
        return {name: _pairwise_sum(np.moveaxis(array, 0, -1)).tolist() for name, array in self.arrays.items()}

    def pooled(self, name: str) -> npt.NDArray[Any]:
        """Return the sum of a statistic over all images and regions, (k,)."""
        array = self.arrays[name]
        return _pairwise_sum(np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1))

    def value(self, metric: Metric) -> float:
        """Return a metric, pooled over all images; NaN where it is not defined."""
        return float(metric(self.pooled(metric.statistic)))

    def at_threshold(self, edge: int) -> Statistics:
        """Return the confusion at an edge of the histogram as a threshold, and nothing else."""
        return Statistics({"confusion": _signed(confusion_at(self.arrays["histogram"], edge))}, self.groups)

    @classmethod
    def concatenate(cls, folds: Sequence[Statistics]) -> Statistics:
        """Return the statistics of several folds as those of one run; what one of them lacks is left out.

        A group is never cut, so the groups of two validation parts never coincide. Folds scored on one test part share
        its groups, and a group is then resampled with what all folds say about it.
        """
        names = [name for name in folds[0].arrays if all(name in fold.arrays for fold in folds)]
        arrays = {name: np.concatenate([fold.arrays[name] for fold in folds]) for name in names}
        return cls(arrays, np.concatenate([fold.groups for fold in folds]))


def count_own(
    metric: Metric,
    probabilities: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    counters: dict[str, Callable[..., Any]],
    circles: Sequence[npt.NDArray[np.float64]] | None = None,
) -> npt.NDArray[Any]:
    """Return the statistic that a metric brings itself, (N, k): int64 or float64.

    To a statistic, a pixel that is ``IGNORED`` is background that is called background with certainty: 0 in both.

    Args:
        probabilities: (N, H, W, 1) in [0, 1].
        masks: (N, H, W, 1).
        counters: of this part, by statistic; it keeps those that are called with the masks once.
        circles: the craters of each image, (M, 3), where a catalogue has them; ``objects`` is counted of them.

    Raises:
        UserError: it cannot be counted, or is not what a statistic must be.
    """
    culprit = f"metric {metric.name!r}: its statistic {metric.statistic}"
    ignored = None
    if masks.max(initial=0) > 1:
        ignored = masks == IGNORED
        probabilities, masks = (np.where(ignored, array.dtype.type(0), array) for array in (probabilities, masks))
    shown = [array.view() for array in (probabilities, masks)]
    for array in shown:
        array.flags.writeable = False  # others are counted on the same arrays
    of_circles = (circles, ignored) if metric.statistic == "objects" else ()
    try:
        if metric.statistic not in STATISTICS_ON_DEMAND:
            counted = np.asarray(load(metric.statistic)(*shown))
        else:
            if metric.statistic not in counters:
                counters[metric.statistic] = load(STATISTICS_ON_DEMAND[metric.statistic])(shown[1], *of_circles)
            counted = np.asarray(counters[metric.statistic](shown[0]))
    except Exception as error:
        raise UserError(f"{culprit} raised {type(error).__name__}: {error}") from error
    if counted.ndim != 2 or len(counted) != len(masks):
        raise UserError(f"{culprit} returned shape {counted.shape}, not ({len(masks)}, k): a row for each image")
    if counted.dtype.kind not in "biuf":
        raise UserError(f"{culprit} returned {counted.dtype}, not numbers")
    if not np.isfinite(counted).all():
        row = int(np.flatnonzero(~np.isfinite(counted).all(axis=1))[0])
        cure = "count it as 0 there, and the images that have a value beside it"
        raise UserError(f"{culprit} is NaN or infinite in image {row}; where it is not defined, {cure}")
    return counted.astype(np.float64 if counted.dtype.kind == "f" else np.int64)


def _pairwise_sum(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Add up the last axis, each sum from one run of memory: only then does NumPy add pairwise, which errs least."""
    return _signed(np.ascontiguousarray(array).sum(axis=-1))


def _signed(counted: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers as int64: files hold them in few bytes without a sign, and a difference of such would wrap."""
    return counted.astype(np.int64) if counted.dtype.kind == "u" else counted
