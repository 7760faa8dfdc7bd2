"""How sure a table is: 95 % intervals of a mean score and of a paired difference, from counts alone.

A score varies for two reasons: other images would have been harder or easier, and another seed would have given another
network. Images of one group are alike, so groups are drawn, not images. The true value that an interval is meant to
hold is the mean over all seeds of the score pooled over the population that the groups come from.

The spread is that of a bootstrap of two levels, groups and seeds, with three corrections, for a table has few of both:

- Resampling n equal units finds (n - 1)/n of their variance, and less where they are unequal. The variance between
  groups is divided by what a bootstrap of groups of these sizes is expected to find.
- All seeds are scored on the same groups, so what a seed does better on some groups than on others is found by either
  level, and twice more by both together (Owen, 2007, "The pigeonhole bootstrap"). It is counted once. Resampling seeds
  has a variance in closed form, so only groups are drawn.
- A variance estimated from few units is itself unsure, so the ends are quantiles of Student's t. Its degrees of freedom
  are Satterthwaite's for the sum of both levels, and for groups of unequal sizes those of Bell and McCaffrey (2002).

The interval of a mean is formed on the scale of its logit (its logarithm, for a loss), since a score near its ceiling
has more room below. That of a difference is symmetric.

The draws come from a generator with a fixed seed of its own, so equal counts give equal intervals.
``benchmarks/coverage/intervals.py`` measures how often these intervals hold a true value that is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, stdtrit

from craterbench.scoring.counts import Counts
from craterbench.scoring.metrics import scores

__all__ = ["Estimate", "concatenate", "difference", "estimate", "smallest_difference"]

_INSIDE = 0.975  # the quantile that leaves 95 % between it and its opposite
_POWER = 0.8
_DRAWS = 1000
_DRAWS_SEED = 2007

# How alike images of one group are: the correlation of what two of them add to a score, and to a difference of scores.
# Measured on the counts of trained runs: 0.27 to 0.48, and -0.08 to 0.14. It weighs only how much more a group of many
# images says than one of few; how much groups differ is estimated from the counts at hand.
_ALIKE_IN_SCORE = 0.5
_ALIKE_IN_DIFFERENCE = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the ends of its 95 % interval.

    The mean is NaN where the score has no value. The ends are NaN where nothing can be said about them: the pixels that
    the score is about lie in one group.
    """

    mean: float
    low: float
    high: float


def estimate(runs: Sequence[Counts], score: str = "balanced_accuracy") -> Estimate:
    """Return the mean over runs of the pooled score, with its interval.

    With one run nothing is known about seeds: the interval is then that of this one network on other images.

    Args:
        runs: one a seed, all on the same images in the same order.
        score: a key of ``metrics.scores``.

    Raises:
        ValueError: the runs are not on the same images, or there is none.
    """
    sums, images = _by_group(runs)
    values = _pooled(sums, score)
    error, freedom = _error(values, *_expected(sums, images, score, _ALIKE_IN_SCORE))
    mean, reach = float(values[0].mean()), error * _quantile(_INSIDE, freedom)
    if not reach > 0:  # nothing varies, or nothing is known
        return Estimate(mean, mean - reach, mean + reach)
    if score == "loss":
        return Estimate(mean, mean * math.exp(-reach / mean), mean * math.exp(reach / mean))
    middle, stretched = logit(mean), reach / (mean * (1 - mean))
    return Estimate(mean, float(expit(middle - stretched)), float(expit(middle + stretched)))


def difference(
    runs: Mapping[int, Counts], others: Mapping[int, Counts], score: str = "balanced_accuracy"
) -> Estimate | None:
    """Return the mean of runs minus that of others, paired on images and seeds, or None where they share no seed.

    Args:
        runs: the counts of each seed; seeds that only one side has are left out.
        others: the same for what is compared with, on the same images in the same order.
        score: a key of ``metrics.scores``.

    Raises:
        ValueError: the images are not the same.
    """
    paired = _paired(runs, others, score)
    if paired is None:
        return None
    error, freedom, mean = paired
    reach = error * _quantile(_INSIDE, freedom)
    return Estimate(mean, mean - reach, mean + reach)


def smallest_difference(
    runs: Mapping[int, Counts], others: Mapping[int, Counts], score: str = "balanced_accuracy"
) -> float:
    """Return the smallest true difference that such a comparison would find 80 % of the time, at the 95 % level.

    It is the standard error of the paired difference times the sum of the t quantiles of both, about 2.8 where there
    are many groups and seeds. NaN where ``difference`` has no interval.

    Args:
        runs: as for ``difference``.
        others: as for ``difference``.
        score: a key of ``metrics.scores``.

    Raises:
        ValueError: the images are not the same.
    """
    paired = _paired(runs, others, score)
    if paired is None:
        return math.nan
    error, freedom, _ = paired
    return error * (_quantile(_INSIDE, freedom) + _quantile(_POWER, freedom))


def concatenate(folds: Sequence[Counts]) -> Counts:
    """Return the counts of several folds as those of one run.

    A group is never cut, so the groups of two validation parts never coincide. Folds scored on one test part share its
    groups, and a group is then resampled with what all folds say about it.
    """
    return Counts(
        np.concatenate([fold.confusion for fold in folds]),
        np.concatenate([fold.cross_entropy for fold in folds]),
        np.concatenate([fold.groups for fold in folds]),
    )


def _by_group(runs: Sequence[Counts]) -> tuple[Floats, Floats]:
    """Return (5, groups, seeds), the sums of tp, fp, fn, tn and cross-entropy, and (groups,), the numbers of images."""
    if not runs:
        raise ValueError("there is no run to compare")
    groups = runs[0].groups
    if not all(np.array_equal(run.groups, groups) for run in runs):
        raise ValueError("the runs are not on the same images: their groups differ")
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[:1]] - 1))
    images = np.empty((len(groups), len(runs), 5))
    for seed, run in enumerate(runs):
        images[:, seed, :4] = run.confusion.sum(axis=1)
        images[:, seed, 4] = run.cross_entropy.sum(axis=1)
    sums = np.add.reduceat(images[order], starts, axis=0)
    return np.ascontiguousarray(np.moveaxis(sums, -1, 0)), np.diff(starts, append=len(groups)).astype(np.float64)


@lru_cache(maxsize=16)
def _resamples(num_groups: int) -> Floats:
    """Return (1 + draws, groups): how often a draw takes each group; the first takes each once."""
    generator = np.random.default_rng([_DRAWS_SEED, num_groups])
    drawn = generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=_DRAWS)
    return np.concatenate([np.ones((1, num_groups)), drawn])


def _pooled(sums: Floats, score: str) -> Floats:
    """Return (1 + draws, seeds): the pooled score as it is, then that of each draw of groups.

    A draw without a crater or without background, where the images have both, has another score, not another value of
    this one: it is NaN.
    """
    drawn = _resamples(sums.shape[1]) @ sums
    found = scores(np.moveaxis(drawn[:4], 0, -1).astype(np.int64, order="K"), drawn[4])
    values = found[score]
    if score != "loss":
        for part in (found["sensitivity"], found["specificity"]):
            values = np.where(np.isnan(part) == np.isnan(part[0]), values, np.nan)
    return values


def _expected(sums: Floats, images: Floats, score: str, alike: float) -> tuple[float, float]:
    """Return the share of the groups' variance that a bootstrap is expected to find, and its degrees of freedom.

    A pooled score is the mean of the groups' scores, weighted by their pixels: the crater pixels, but for specificity
    and loss. The variance found is a quadratic form in the groups' scores, the sum of the squares of their weighted
    distances from that mean. Expectation and degrees of freedom follow from traces, given how the scores' own variances
    go with the number of images. n equal groups give (n - 1)/n and n - 1; one group gives 0 and NaN.
    """
    cells = {"specificity": [1, 3], "loss": [0, 1, 2, 3]}.get(score, [0, 2])
    pixels = sums[cells, :, 0].sum(axis=0)
    weights = pixels / max(pixels.sum(), 1.0)
    variances = alike + (1 - alike) / images
    distances = np.diag(weights) - np.outer(weights, weights)
    form = (distances.T @ distances) * variances
    expected, true = float(np.trace(form)), float((weights**2 * variances).sum())
    if expected <= 1e-12 * true:
        return 0.0, math.nan
    return expected / true, expected**2 / float((form * form.T).sum())


def _error(values: Floats, share: float, freedom: float) -> tuple[float, float]:
    """Return the standard error of the mean over seeds, and its degrees of freedom; NaN where nothing is known.

    Args:
        values: (1 + draws, seeds), the first row being what was seen.
        share: what share of the groups' variance the draws are expected to have.
        freedom: the degrees of freedom of the groups' variance.
    """
    seen, drawn = values[0], values[1:][~np.isnan(values[1:]).any(axis=1)]
    if share == 0 or np.isnan(seen).any() or len(drawn) < _DRAWS / 2:
        return math.nan, math.nan
    mean_varies = float(drawn.mean(axis=1).var())
    between_groups = mean_varies / share
    if len(seen) == 1:
        return math.sqrt(between_groups), freedom
    others = len(seen) - 1
    between_seeds = float(seen.var(ddof=1)) / len(seen)
    in_both = (float(drawn.var(axis=0).mean()) - mean_varies) / others / share
    variance = between_groups + max(between_seeds - in_both, 0.0)
    if variance == 0:
        return 0.0, freedom
    satterthwaite = variance**2 / (between_groups**2 / freedom + between_seeds**2 / others)
    return math.sqrt(variance), max(satterthwaite, min(freedom, others))


def _paired(runs: Mapping[int, Counts], others: Mapping[int, Counts], score: str) -> tuple[float, float, float] | None:
    """Return standard error, degrees of freedom and mean of the paired difference, or None where no seed is shared."""
    seeds = sorted(runs.keys() & others.keys())
    if not seeds:
        return None
    sums, images = _by_group([side[seed] for side in (runs, others) for seed in seeds])
    values = _pooled(sums, score)
    apart = values[:, : len(seeds)] - values[:, len(seeds) :]
    return *_error(apart, *_expected(sums, images, score, _ALIKE_IN_DIFFERENCE)), float(apart[0].mean())


def _quantile(probability: float, freedom: float) -> float:
    return float(stdtrit(freedom, probability))
