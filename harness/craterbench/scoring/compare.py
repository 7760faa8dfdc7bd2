"""How sure a table is: 95 % intervals of a mean score and of a paired difference, from counts alone.

A score varies for two reasons: other images would have been harder or easier, and another seed would have given another
network. Images of one group are alike, so groups are drawn, not images. The true value that an interval is meant to hold
is the mean over all seeds of the score pooled over the population from which the groups come.

The spread is that of a bootstrap of two levels, groups and seeds, with three corrections, since a table has few of both:

- Resampling n equal units gives (n - 1)/n of their variance; groups are unequal, which makes it less. The groups' level
  is divided by the share that is expected for groups of these sizes.
- Seeds are scored on the same groups, so what differs between seeds from group to group is in the spread of either
  level. It is counted once (Owen, 2007, "The pigeonhole bootstrap"; Cameron, Gelbach and Miller, 2011).
- A variance estimated from few units is itself uncertain, so the ends are quantiles of Student's t, with the degrees of
  freedom that Satterthwaite's formula gives for the sum of both levels (for groups of unequal sizes as Bell and
  McCaffrey, 2002).

The draws come from a generator with a fixed seed of its own: equal counts give equal digits.
``benchmarks/coverage/intervals.py`` measures how often these intervals hold a known true value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from craterbench.scoring.counts import Counts
from craterbench.scoring.metrics import scores

__all__ = ["Estimate", "concatenate", "difference", "estimate", "smallest_difference"]

_LEVEL = 0.95
_POWER = 0.8
_DRAWS = 2000
_DRAWS_SEED = 20_070_301

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
    sums = _by_group(runs)
    found = _interval(_pooled(sums, score), _shares(sums, score))
    ceiling = math.inf if score == "loss" else 1.0
    return Estimate(
        found.mean, *(min(max(end, 0.0), ceiling) if end == end else end for end in (found.low, found.high))
    )


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
    return None if paired is None else _interval(*paired)


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
    error, freedom = _error(*paired)
    return error * (_quantile((1 + _LEVEL) / 2, freedom) + _quantile(_POWER, freedom))


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


def _by_group(runs: Sequence[Counts]) -> Floats:
    """Return float64 (seeds, groups, 5): of each seed and group tp, fp, fn, tn and the cross-entropy."""
    if not runs:
        raise ValueError("there is no run to compare")
    groups = runs[0].groups
    if not all(np.array_equal(run.groups, groups) for run in runs):
        raise ValueError("the runs are not on the same images: their groups differ")
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[:1]] - 1))
    images = np.empty((len(runs), len(groups), 5))
    for seed, run in enumerate(runs):
        images[seed, :, :4] = run.confusion.sum(axis=1)
        images[seed, :, 4] = run.cross_entropy.sum(axis=1)
    return np.add.reduceat(images[:, order], starts, axis=1)


def _paired(runs: Mapping[int, Counts], others: Mapping[int, Counts], score: str) -> tuple[Floats, Floats] | None:
    """Return the differences of the resampled scores and the groups' shares, or None where no seed is shared."""
    seeds = sorted(runs.keys() & others.keys())
    if not seeds:
        return None
    sums = _by_group([runs[seed] for seed in seeds] + [others[seed] for seed in seeds])
    values = _pooled(sums, score)
    return values[:, : len(seeds)] - values[:, len(seeds) :], _shares(sums, score)


@lru_cache(maxsize=16)
def _resamples(num_groups: int) -> Floats:
    """Return (1 + draws, groups): how often each draw takes each group; the first takes each once."""
    generator = np.random.default_rng([_DRAWS_SEED, num_groups])
    drawn = generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=_DRAWS)
    return np.concatenate([np.ones((1, num_groups)), drawn])


def _pooled(sums: Floats, score: str) -> Floats:
    """Return (1 + draws, seeds): the pooled score as it is, then of each draw of groups.

    A draw without a crater or without background, where the images have both, has another score, not another value of
    this one: it is NaN.
    """
    num_seeds, num_groups, cells = sums.shape
    drawn = _resamples(num_groups) @ sums.transpose(1, 0, 2).reshape(num_groups, -1)
    drawn = drawn.reshape(-1, num_seeds, cells)
    found = scores(drawn[..., :4].astype(np.int64), drawn[..., 4])
    values = found[score]
    if score != "loss":
        for part in (found["sensitivity"], found["specificity"]):
            values[np.isnan(part) != np.isnan(part[0])] = np.nan
    return values


def _shares(sums: Floats, score: str) -> Floats:
    """Return (groups,): the share of each in the pixels that the score is about."""
    cells = {"specificity": [1, 3], "loss": [0, 1, 2, 3]}.get(score, [0, 2])
    pixels = sums[0][:, cells].sum(axis=-1)
    return pixels / max(pixels.sum(), 1.0)


def _interval(values: Floats, shares: Floats) -> Estimate:
    """Return the interval of the mean over seeds of values (1 + draws, seeds), the first row being what was seen."""
    error, freedom = _error(values, shares)
    mean, reach = float(values[0].mean()), _quantile((1 + _LEVEL) / 2, freedom) * error
    return Estimate(mean, mean - reach, mean + reach)


def _error(values: Floats, shares: Floats) -> tuple[float, float]:
    """Return the standard error of the mean over seeds, and its degrees of freedom; NaN where it is not known."""
    kept, freedom = _unequal(tuple(shares))
    seen, drawn = values[0], values[1:][~np.isnan(values[1:]).any(axis=1)]
    if not kept or len(drawn) < _DRAWS / 2 or np.isnan(seen).any():
        return math.nan, math.nan
    by_group = float(drawn.mean(axis=1).var()) / kept
    num_seeds = len(seen)
    if num_seeds == 1:
        return math.sqrt(by_group), freedom
    by_seed = float(seen.var(ddof=1)) / num_seeds
    in_both = float((drawn - seen).var(axis=0).mean() - drawn.mean(axis=1).var()) / (num_seeds - 1) / kept
    variance = by_group + max(by_seed - in_both, 0.0)
    if variance == 0:
        return 0.0, freedom
    return math.sqrt(variance), variance**2 / (by_group**2 / freedom + by_seed**2 / (num_seeds - 1))


@lru_cache(maxsize=1024)
def _unequal(shares: tuple[float, ...]) -> tuple[float, float]:
    """Return what share of the groups' variance a bootstrap of groups is expected to find, and its degrees of freedom.

    A pooled score is the mean of the groups' scores, weighted by their shares of the pixels. Let those scores vary
    alike. The variance found is a quadratic form in them, the squares of the weighted distances from the mean; from its
    trace and that of its square follow expectation and degrees of freedom. For n equal groups: (n - 1)/n and n - 1.
    """
    weights = np.array(shares)
    squares = float((weights**2).sum())
    distances = np.diag(weights) - np.outer(weights, weights)
    form = distances.T @ distances
    trace = float(np.trace(form))
    if trace <= 1e-12 * squares:
        return 0.0, math.nan
    return trace / squares, trace**2 / float((form**2).sum())


def _quantile(probability: float, freedom: float) -> float:
    return float(stdtrit(freedom, probability))
