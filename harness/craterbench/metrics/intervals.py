"""How sure a table is: 95 % intervals of a mean score and of a paired difference, from statistics alone.

A score varies for two reasons: other images would have been harder or easier, and another seed would have given another
network. Images of one group are alike, so groups are drawn, not images. The true value that an interval is meant to
hold is the mean over all seeds of the score pooled over the population that the groups come from.

The spread is that of a bootstrap of two levels, groups and seeds, with three corrections, for a table has few of both:

- Resampling n equal units finds (n - 1)/n of their variance, and less where they are unequal. The variance between
  groups is divided by what a bootstrap of groups of these sizes is expected to find.
- All seeds are scored on the same groups, and what a seed does better on some groups than on others is in the spread of
  each level and again in that of both together (Owen, 2007, "The pigeonhole bootstrap"). Of the three it is counted
  once. Resampling seeds has a variance in closed form, so only groups are drawn.
- A variance estimated from few units is itself unsure, so the ends are quantiles of Student's t. Its degrees of freedom
  are Satterthwaite's for the sum of both levels, and for groups of unequal sizes those of Bell and McCaffrey (2002).

The interval of a mean is formed on the metric's scale, since a score near its ceiling has more room below: that of its
logit where it is from 0 to 1, that of its logarithm where it is above 0. That of a difference is symmetric.

The draws come from a generator with a fixed seed of its own, so equal statistics give equal intervals.
``benchmarks/harness/coverage/intervals.py`` measures how often these intervals hold a true value that is known. No
interval knows of what was not drawn: where a group in a hundred holds a tenth of all images, and the hardest, the
interval of a mean holds its true value about 90 % of the time.

Nor does an interval know of a choice that was made on its images. The weights of a run are those of the epoch that did
best on the validation part, so a validation score is on average better than the same weights would reach on images
that chose nothing, and its interval is shifted with it. A difference of two such scores keeps the difference of both
shifts. What the test part says is free of that, as long as nobody chooses by it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, stdtrit

from craterbench.metrics.metric import BALANCED_ACCURACY, Metric
from craterbench.metrics.statistics import Statistics

__all__ = ["Estimate", "confidence_interval", "difference", "minimum_detectable_difference"]

_INSIDE = 0.975  # the quantile that leaves 95 % between it and its opposite
_POWER = 0.8

# Only a variance is taken from the draws, to 6 %; from so few groups it is not known to better than 30 %.
_DRAWS = 500
_DRAWS_SEED = 2007
_AT_ONCE = 64  # runs, times the numbers that the statistic has

# How far towards 1 the correlation of a group's images is moved for a score: large groups tend to be the harder ones,
# which the correlation does not see. In a difference most of that cancels.
_CAUTION = 0.5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, such as that of a score over seeds, and how sure it is.

    Attributes:
        mean: NaN where the score has no value.
        low: the lower end of its 95 % interval; NaN where nothing can be said about it, as where the pixels that the
            score is about lie in one group.
        high: the upper end.
        sd: the standard deviation of what it is the mean of; ``None`` of one value, or where nobody asked for it.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    sd: float | None = None

    @classmethod
    def over(cls, values: Iterable[float | None], interval: Estimate | None = None) -> Estimate | None:
        """Return the mean and the deviation of the values that are defined, or ``None`` if none is.

        Args:
            values: such as a score of each run.
            interval: what the ends are taken from.
        """
        defined = [value for value in values if value is not None]
        if not defined:
            return None
        sd = statistics.stdev(defined) if len(defined) > 1 else None
        ends = (math.nan, math.nan) if interval is None else (interval.low, interval.high)
        return cls(statistics.fmean(defined), *ends, sd)

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def confidence_interval(runs: Sequence[Statistics], metric: Metric = BALANCED_ACCURACY) -> Estimate:
    """Return the mean over runs of the pooled score, with its interval.

    With one run nothing is known about seeds: the interval is then that of this one network on other images.

    Args:
        runs: one a seed, all on the same images in the same order.
        metric: on a statistic that all of them have.

    Raises:
        ValueError: the runs are not on the same images, or there is none.
    """
    sample = _Sample.of(runs, metric)
    values = _scores(sample)
    error, freedom = _error(values, sample, _CAUTION)
    mean, reach = float(values[0].mean()), error * _quantile(_INSIDE, freedom)
    if not reach > 0:  # nothing varies, or nothing is known
        return Estimate(mean, mean - reach, mean + reach)
    if metric.scale == "log" and mean > 0:
        return Estimate(mean, mean * math.exp(-reach / mean), mean * math.exp(reach / mean))
    if metric.scale == "linear" or not 0 < mean < 1:
        return Estimate(mean, mean - reach, mean + reach)
    middle, stretched = logit(mean), reach / (mean * (1 - mean))
    return Estimate(mean, float(expit(middle - stretched)), float(expit(middle + stretched)))


def difference(
    runs: Mapping[int, Statistics], others: Mapping[int, Statistics], metric: Metric = BALANCED_ACCURACY
) -> Estimate | None:
    """Return the mean of runs minus that of others, paired on images and seeds, or None where they share no seed.

    Args:
        runs: the statistics of each seed; seeds that only one side has are left out.
        others: the same for what is compared with, on the same images in the same order.
        metric: on a statistic that all of them have.

    Raises:
        ValueError: the images are not the same.
    """
    paired = _paired(runs, others, metric)
    if paired is None:
        return None
    mean, error, freedom = paired
    reach = error * _quantile(_INSIDE, freedom)
    return Estimate(mean, mean - reach, mean + reach)


def minimum_detectable_difference(
    runs: Mapping[int, Statistics], others: Mapping[int, Statistics], metric: Metric = BALANCED_ACCURACY
) -> float:
    """Return the smallest true difference that such a comparison would find 80 % of the time, at the 95 % level.

    It is the standard error of the paired difference times the sum of the t quantiles of both, about 2.8 where there
    are many groups and seeds. NaN where ``difference`` has no interval.

    Args:
        runs: as for ``difference``.
        others: as for ``difference``.
        metric: on a statistic that all of them have.

    Raises:
        ValueError: the images are not the same.
    """
    paired = _paired(runs, others, metric)
    if paired is None:
        return math.nan
    _, error, freedom = paired
    return error * (_quantile(_INSIDE, freedom) + _quantile(_POWER, freedom))


@dataclass(frozen=True)
class _Sample:
    """What a metric needs of some runs on the same images.

    Attributes:
        images: (k, N, runs), the metric's statistic of each image, those of a group next to each other.
        sizes: (groups,), the number of images in each.
    """

    metric: Metric
    images: Floats
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, runs: Sequence[Statistics], metric: Metric) -> _Sample:
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
        return cls(metric, images, np.unique(groups, return_counts=True)[1])

    def by_group(self, values: Floats, axis: int = 0) -> Floats:
        """Add up what belongs to the images of one group."""
        return np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes, axis=axis)


@lru_cache(maxsize=16)
def _draws(num_groups: int) -> Floats:
    """Return (draws, groups): how often a draw takes each group."""
    generator = np.random.default_rng([_DRAWS_SEED, num_groups])
    return generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=_DRAWS).astype(np.float64)


def _scores(sample: _Sample) -> Floats:
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


def _scores_of(sample: _Sample, images: Floats) -> Floats:
    """Return the columns of ``_scores`` of the images of some runs, so few that they stay in the processor's cache."""
    groups = sample.by_group(images, axis=1)
    total = groups.sum(axis=1, keepdims=True)
    sums = np.concatenate([total, total - images, _draws(len(sample.sizes)) @ groups], axis=1)
    values = sample.metric(np.moveaxis(sums, 0, -1))
    if sample.metric.statistic != "confusion":
        return values
    first = sums[:, :, :1]  # the masks of all runs are the same
    present = np.stack([first[0] + first[2], first[1] + first[3]]) > 0
    return np.where((present == present[:, :1]).all(axis=0), values, np.nan)


def _paired(
    runs: Mapping[int, Statistics], others: Mapping[int, Statistics], metric: Metric
) -> tuple[float, float, float] | None:
    """Return mean, standard error and degrees of freedom of the paired difference, or None where no seed is shared."""
    seeds = sorted(runs.keys() & others.keys())
    if not seeds:
        return None
    sample = _Sample.of([side[seed] for side in (runs, others) for seed in seeds], metric)
    values = _scores(sample)
    apart = values[:, : len(seeds)] - values[:, len(seeds) :]
    return float(apart[0].mean()), *_error(apart, sample, 0.0)


def _error(values: Floats, sample: _Sample, caution: float) -> tuple[float, float]:
    """Return the standard error of the mean over seeds, and its degrees of freedom; NaN where nothing is known.

    Args:
        values: (1 + N + draws, seeds), the scores or their differences, in the order of ``_scores``.
        caution: how far the estimated correlation of a group's images is moved towards 1.
    """
    seen, without_one, drawn = np.split(values, [1, 1 + sample.images.shape[1]])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    alike = _intraclass_correlation(without_one.mean(axis=1), sample)
    share, freedom = _share_found(sample, alike + caution * (1 - alike))
    if share == 0 or np.isnan(seen).any() or len(drawn) < _DRAWS / 2:
        return math.nan, math.nan
    of_mean = float(drawn.mean(axis=1).var())
    between_groups = of_mean / share
    others = seen.size - 1
    if others == 0:
        return math.sqrt(between_groups), freedom
    between_seeds = float(seen.var(ddof=1)) / seen.size
    in_both = (float(drawn.var(axis=0).mean()) - of_mean) / others / share
    variance = between_groups + max(between_seeds - in_both, 0.0)
    if variance == 0:
        return 0.0, freedom
    satterthwaite = variance**2 / (between_groups**2 / freedom + between_seeds**2 / others)
    return math.sqrt(variance), max(satterthwaite, min(freedom, others))


def _share_found(sample: _Sample, alike: float) -> tuple[float, float]:
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


def _intraclass_correlation(values: Floats, sample: _Sample) -> float:
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


def _quantile(probability: float, freedom: float) -> float:
    return float(stdtrit(freedom, probability))
