"""The bootstrap behind intervals: what a score is in draws of groups, and what variance follows from that.

``craterbench.metrics.intervals`` says what of it is done why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from craterbench.metrics.metric import Metric
from craterbench.metrics.statistics import Statistics

__all__ = ["DRAWS_SEED", "NUM_DRAWS", "Floats", "Sample", "draw_scores", "intraclass_correlation", "variances_of"]

Floats = npt.NDArray[np.float64]

# Only a variance is taken from the draws, to 6 %; from so few groups it is not known to better than 30 %.
NUM_DRAWS = 500
DRAWS_SEED = 2007
_AT_ONCE = 64  # runs, times the numbers that the statistic has


@dataclass(frozen=True)
class Sample:
    """What a metric needs of some runs on the same images.

    Attributes:
        images: (k, N, runs), the metric's statistic of each image, those of a group next to each other.
        sizes: (groups,), the number of images in each.
        groups: (N,), the group of each image.
        craters: (N,), the crater pixels of each image, in the order of ``groups``.
    """

    metric: Metric
    images: Floats
    sizes: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    craters: npt.NDArray[np.int64]

    @classmethod
    def of(cls, runs: Sequence[Statistics], metric: Metric) -> Sample:
        """Check that the images are the same, and bring groups together."""
        if not runs:
            raise ValueError("there is no run to compare")
        groups = runs[0].groups
        if not all(np.array_equal(run.groups, groups) for run in runs):
            raise ValueError("the runs are not on the same images: their groups differ")
        craters = [run.of_images("confusion")[:, [0, 2]].sum(axis=1) for run in runs]
        if not all(np.array_equal(one, craters[0]) for one in craters):
            raise ValueError("the runs are not on the same images: their numbers of crater pixels differ")
        order = np.argsort(groups, kind="stable")
        of_runs = [run.of_images(metric.statistic)[order].T for run in runs]
        images = np.empty((*of_runs[0].shape, len(runs)))
        for column, run in enumerate(of_runs):
            images[:, :, column] = run
        return cls(metric, images, np.unique(groups, return_counts=True)[1], groups, craters[0])

    def check_same_images(self, other: Sample) -> None:
        """Raise ValueError if another is not on the same images."""
        if not np.array_equal(self.groups, other.groups):
            raise ValueError("the runs are not on the same images: their groups differ")
        if not np.array_equal(self.craters, other.craters):
            raise ValueError("the runs are not on the same images: their numbers of crater pixels differ")

    def by_group(self, values: Floats, axis: int = 0) -> Floats:
        """Add up what belongs to the images of one group."""
        return np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes, axis=axis)


@lru_cache(maxsize=16)
def _draws(num_groups: int) -> Floats:
    """Return (draws, groups): how often a draw takes each group."""
    generator = np.random.default_rng([DRAWS_SEED, num_groups])
    return generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=NUM_DRAWS).astype(np.float64)


def draw_scores(sample: Sample) -> Floats:
    """Return the pooled scores of each run: as it is, without each of the images, of each draw of groups.

    Images without a crater or without background, where all together have both, have another score on the confusion,
    not another value of this one: it is NaN.

    Returns:
        (1 + N + draws, runs).
    """
    numbers, _, num_runs = sample.images.shape
    size = max(1, _AT_ONCE // numbers)
    blocks = [sample.images[:, :, first : first + size] for first in range(0, num_runs, size)]
    return np.concatenate([_scores_of(sample, block) for block in blocks], axis=1)


def _scores_of(sample: Sample, images: Floats) -> Floats:
    """Return the columns of ``draw_scores`` of some runs, so few that they stay in the processor's cache."""
    groups = sample.by_group(images, axis=1)
    total = groups.sum(axis=1, keepdims=True)
    sums = np.concatenate([total, total - images, _draws(len(sample.sizes)) @ groups], axis=1)
    values = sample.metric(np.moveaxis(sums, 0, -1))
    if sample.metric.statistic != "confusion":
        return values
    first = sums[:, :, :1]  # the masks of all runs are the same
    present = np.stack([first[0] + first[2], first[1] + first[3]]) > 0
    return np.where((present == present[:, :1]).all(axis=0), values, np.nan)


def variances_of(values: Floats, sample: Sample, caution: float) -> tuple[float, float, float]:
    """Return the variance of the mean over seeds that comes from groups, what seeds add to it, and the freedom of both.

    NaN where nothing is known.

    Args:
        values: (1 + N + draws, seeds), the scores or their differences, in the order of ``draw_scores``.
        caution: how far the estimated correlation of a group's images is moved towards 1.
    """
    seen, without_one, drawn = np.split(values, [1, 1 + sample.images.shape[1]])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    alike = intraclass_correlation(without_one.mean(axis=1), sample)
    share, freedom = _share_found(sample, alike + caution * (1 - alike))
    if share == 0 or np.isnan(seen).any() or len(drawn) < NUM_DRAWS / 2:
        return math.nan, math.nan, math.nan
    of_mean = float(drawn.mean(axis=1).var())
    between_groups = of_mean / share
    others = seen.size - 1
    if others == 0:
        return between_groups, 0.0, freedom
    between_seeds = float(seen.var(ddof=1)) / seen.size
    in_both = (float(drawn.var(axis=0).mean()) - of_mean) / others / share
    added = max(between_seeds - in_both, 0.0)
    variance = between_groups + added
    if variance == 0:
        return 0.0, 0.0, freedom
    satterthwaite = variance**2 / (between_groups**2 / freedom + between_seeds**2 / others)
    return between_groups, added, max(satterthwaite, min(freedom, others))


def _share_found(sample: Sample, alike: float) -> tuple[float, float]:
    """Return what share of the variance between groups a bootstrap is expected to find, and its degrees of freedom.

    A pooled score is the mean of the groups' scores, weighted by what their images weigh in the metric, such as the
    crater pixels. The variance found is a quadratic form in the groups' scores, the sum of the squares of their
    weighted distances from that mean. Expectation and degrees of freedom follow from traces, if a group's score varies
    as the mean of so many images that are so much alike. n equal groups give (n - 1)/n and n - 1, one gives 0 and NaN.
    """
    columns = list(sample.metric.weight)
    sums = sample.by_group(sample.images[columns, :, 0].sum(axis=0)) if columns else sample.sizes.astype(np.float64)
    weights = sums / max(sums.sum(), 1.0)
    variances = alike + (1 - alike) / sample.sizes
    distances = np.diag(weights) - np.outer(weights, weights)
    form = (distances.T @ distances) * variances
    expected, true = float(np.trace(form)), float((weights**2 * variances).sum())
    if expected <= 1e-12 * true:
        return 0.0, math.nan
    return expected / true, expected**2 / float((form * form.T).sum())


def intraclass_correlation(values: Floats, sample: Sample) -> float:
    """Return how values (N,) of images of one group correlate, by the analysis of variance (intraclass correlation).

    1, which needs the most groups, where it cannot be estimated.
    """
    num_images, num_groups = len(values), len(sample.sizes)
    if not 1 < num_groups < num_images:
        return 1.0
    means = sample.by_group(values) / sample.sizes
    within = float(((values - np.repeat(means, sample.sizes)) ** 2).sum()) / (num_images - num_groups)
    between = float((sample.sizes * (means - values.mean()) ** 2).sum()) / (num_groups - 1)
    size = (num_images - (sample.sizes**2).sum() / num_images) / (num_groups - 1)
    total = between + (size - 1) * within
    return min(max((between - within) / total, 0.0), 1.0) if total > 0 else 1.0
