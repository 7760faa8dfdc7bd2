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
import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import expit, logit, stdtr, stdtrit

from craterbench.metrics.metric import BALANCED_ACCURACY, Metric
from craterbench.metrics.resampling import DRAWS_SEED, NUM_DRAWS, Floats, Sample, draw_scores, variances_of
from craterbench.metrics.statistics import Statistics

__all__ = [
    "Estimate",
    "PairedDifference",
    "ResampledScores",
    "confidence_interval",
    "difference",
    "minimum_detectable_difference",
]

_INSIDE = 0.975  # the quantile that leaves 95 % between it and its opposite
_POWER = 0.8

# How far towards 1 the correlation of a group's images is moved for a score: large groups tend to be the harder ones,
# which the correlation does not see. In a difference most of that cancels.
_CAUTION = 0.5


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
    return ResampledScores.of(dict(enumerate(runs)), metric).interval


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
    return None if paired is None else paired.interval


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
    return math.nan if paired is None else paired.minimum_detectable


@dataclass(frozen=True, eq=False)
class ResampledScores:
    """The pooled scores of some runs on the same images, as they are and as they vary over draws of groups.

    All that is said of the runs follows from these, so that what costs is done once for all columns of a table.

    Attributes:
        seeds: what the runs are told apart by, such as their seeds, in the order of the columns of ``values``.
        values: (1 + N + draws, runs): the scores as they are, without each of the images, and of each draw of groups.
            The draws are the same for all who are scored on as many groups.
    """

    seeds: Sequence[Hashable]
    values: Floats
    _sample: Sample = field(repr=False)

    @classmethod
    def of(cls, runs: Mapping[Hashable, Statistics] | Mapping[int, Statistics], metric: Metric) -> ResampledScores:
        """Score runs, one a seed, all on the same images in the same order.

        Raises:
            ValueError: the runs are not on the same images, or there is none.
        """
        sample = Sample.of(list(runs.values()), metric)
        # of the images no more is kept than how much they weigh, which is the same for all runs
        return cls(tuple(runs), draw_scores(sample), replace(sample, images=sample.images[:, :, :1].copy()))

    @cached_property
    def interval(self) -> Estimate:
        """The mean over runs, and its interval on the scale of the metric."""
        metric = self._sample.metric
        of_groups, of_seeds, freedom = variances_of(self.values, self._sample, _CAUTION)
        mean, reach = float(self.values[0].mean()), math.sqrt(of_groups + of_seeds) * _quantile(_INSIDE, freedom)
        if not reach > 0:  # nothing varies, or nothing is known
            return Estimate(mean, mean - reach, mean + reach)
        if metric.scale == "log" and mean > 0:
            return Estimate(mean, mean * math.exp(-reach / mean), mean * math.exp(reach / mean))
        if metric.scale == "linear" or not 0 < mean < 1:
            return Estimate(mean, mean - reach, mean + reach)
        middle, stretched = logit(mean), reach / (mean * (1 - mean))
        return Estimate(mean, float(expit(middle - stretched)), float(expit(middle + stretched)))

    @cached_property
    def drawn_means(self) -> Floats:
        """(draws,): the mean over drawn seeds in each draw of groups; NaN in draws in which it is not defined.

        Who has the same seeds has the same of them drawn.
        """
        drawn = self.values[-NUM_DRAWS:]
        generator = np.random.default_rng([DRAWS_SEED, *sorted(map(_number, self.seeds))])
        times = generator.multinomial(len(self.seeds), np.full(len(self.seeds), 1 / len(self.seeds)), size=NUM_DRAWS)
        order = np.argsort(np.argsort([_number(seed) for seed in self.seeds]))
        means: Floats = (drawn * times[:, order]).sum(axis=1) / len(self.seeds)
        return means

    def minus(self, other: ResampledScores) -> PairedDifference | None:
        """Return the difference to others, paired on images and seeds, or ``None`` where they share no seed.

        Raises:
            ValueError: the images are not the same.
        """
        self._sample.check_same_images(other._sample)
        shared = sorted(set(self.seeds) & set(other.seeds), key=str)
        if not shared:
            return None
        ours, theirs = ([each.seeds.index(seed) for seed in shared] for each in (self, other))
        apart = self.values[:, ours] - other.values[:, theirs]
        of_groups, of_seeds, freedom = variances_of(apart, self._sample, 0.0)
        seen, drawn = apart[0], apart[-NUM_DRAWS:].mean(axis=1)
        deviations = np.full(NUM_DRAWS, np.nan)
        if of_groups + of_seeds > 0:
            spread = float(np.nanstd(drawn))
            deviations = (drawn - np.nanmean(drawn)) * (math.sqrt(of_groups) / spread if spread > 0 else 0.0)
            squares = float(((seen - seen.mean()) ** 2).sum())
            if of_seeds > 0 and squares > 0:  # seeds that score alike may differ by a rounding in the draws alone
                waves = np.stack([_seed_deviations(_number(seed)) for seed in shared], axis=1) @ (seen - seen.mean())
                deviations += waves * math.sqrt(of_seeds / squares)
        return PairedDifference(float(seen.mean()), math.sqrt(of_groups + of_seeds), freedom, deviations)


@dataclass(frozen=True, eq=False)
class PairedDifference:
    """A mean difference, paired on images and seeds, and how sure it is.

    Attributes:
        mean: NaN where a score has no value.
        error: its standard error over other groups and other seeds; NaN where nothing is known about it.
        freedom: the degrees of freedom of the error.
        deviations: (draws,) how far it strays in each draw of groups, with a normal variable for each seed, so that
            two differences on the same groups and seeds stray together as far as they depend on each other. NaN in
            draws without a score.
    """

    mean: float
    error: float
    freedom: float
    deviations: Floats = field(repr=False)

    @property
    def interval(self) -> Estimate:
        """The 95 % interval, which is symmetric."""
        return self.interval_at(2 * (1 - _INSIDE))

    def interval_at(self, level: float) -> Estimate:
        """Return the interval that misses the true difference with this probability, half of it on each side."""
        reach = self.error * _quantile(1 - level / 2, self.freedom)
        return Estimate(self.mean, self.mean - reach, self.mean + reach)

    @property
    def minimum_detectable(self) -> float:
        """The smallest true difference that would be found 80 % of the time, at the 95 % level."""
        return self.error * (_quantile(_INSIDE, self.freedom) + _quantile(_POWER, self.freedom))

    @property
    def p_value(self) -> float:
        """The probability of a mean at least as far from 0 if the true difference is 0; NaN where nothing is known."""
        return 2 * min(self.p_above, 1 - self.p_above)

    @property
    def p_above(self) -> float:
        """How probable it is that the true difference is above 0, if before any value of it was as likely as another.

        That is what Student's t leaves above 0 around the mean. NaN where nothing is known; 0.5 where both sides are
        the same and nothing varies.
        """
        if self.error == 0:
            return 0.5 if self.mean == 0 else float(self.mean > 0)
        return float(stdtr(self.freedom, self.mean / self.error))


def _paired(
    runs: Mapping[int, Statistics], others: Mapping[int, Statistics], metric: Metric
) -> PairedDifference | None:
    """Return the paired difference, or None where no seed is shared."""
    seeds = sorted(runs.keys() & others.keys())
    if not seeds:
        return None
    ours, theirs = (ResampledScores.of({seed: side[seed] for seed in seeds}, metric) for side in (runs, others))
    return ours.minus(theirs)


def _number(seed: Hashable) -> int:
    """Return a number for a seed, or a seed and fold, that is the same in every process."""
    return zlib.crc32(repr(seed).encode())


@lru_cache(maxsize=256)
def _seed_deviations(number: int) -> Floats:
    """Return (draws,): a normal variable for a seed in each draw, for all differences that it is in."""
    return np.random.default_rng([DRAWS_SEED, number]).standard_normal(NUM_DRAWS)


def _quantile(probability: float, freedom: float) -> float:
    return float(stdtrit(freedom, probability))
