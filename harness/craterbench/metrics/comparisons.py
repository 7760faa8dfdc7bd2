"""Many differences at once: corrected for their number, held against a margin, and what they make of ranks.

Of twenty differences that are none, one has a 95 % interval without 0 on average. So whoever looks at many has to ask
for more of each. Two ways are here, and both keep the probability of any false finding, the family-wise error, at 5 %:

- Holm's (1979), from the p-values alone: the smallest is multiplied by the number of differences, the next by one
  less, and so on, and none is made smaller than the one before. It asks nothing of how the differences depend on each
  other.
- simultaneous intervals, which all hold their true differences at once 95 % of the time. Differences to one row have
  that row in common and are scored on the same images, so they stray together, and less has to be added than for
  independent ones. How much is what the greatest of all the deviations in the draws says (max-|t|, as Dunnett's for
  equal correlations).

``benchmarks/harness/coverage/comparisons.py`` measures how often both err.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from craterbench.metrics.intervals import Estimate, PairedDifference, ResampledScores

__all__ = ["FAMILY_WISE_ERROR", "VERDICTS", "holm", "practical_verdict", "rank_shares", "simultaneous_intervals"]

#: How probable it is at most that any of the findings is false.
FAMILY_WISE_ERROR = 0.05

#: What a difference may be beside a margin.
VERDICTS = ("better", "worse", "practically equal", "undecided")

_SIMULATED = 20_000
_SEED = 1979

Floats = npt.NDArray[np.float64]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, by Holm's step-down method.

    Args:
        p_values: NaN where there is none: it stays, and does not count.

    Returns:
        In the order of ``p_values``. One below 0.05 is a finding; that any of those is false has a probability of at
        most 0.05.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = [position for position in np.argsort(values) if not math.isnan(values[position])]
    corrected, least = [math.nan] * len(values), 0.0
    for rank, position in enumerate(order):
        least = max(least, min(1.0, float(values[position]) * (len(order) - rank)))
        corrected[position] = least
    return corrected


def simultaneous_intervals(differences: Sequence[PairedDifference]) -> list[Estimate]:
    """Return intervals that all hold their true differences at once 95 % of the time.

    The correlations between the differences are those of their deviations in the draws. From normal variables with
    these follows how small the probability of missing must be for each, so that for all together it is 5 %; each
    interval then is that of Student's t with its own degrees of freedom. Bonferroni's is never exceeded.

    Args:
        differences: on the same groups.

    Returns:
        In their order; ends are NaN where nothing is known.
    """
    varying = [each for each in differences if each.error > 0]
    level = _level_of_each(varying) if len(varying) > 1 else FAMILY_WISE_ERROR
    return [each.interval_at(level) for each in differences]


def _level_of_each(differences: Sequence[PairedDifference]) -> float:
    deviations = np.stack([each.deviations for each in differences])
    deviations = deviations[:, ~np.isnan(deviations).any(axis=0)]
    least = FAMILY_WISE_ERROR / len(differences)
    if deviations.shape[1] < 2:
        return least
    values, vectors = np.linalg.eigh(np.corrcoef(deviations))
    normal = np.random.default_rng([_SEED, len(differences)]).standard_normal((_SIMULATED, len(differences)))
    farthest = np.abs(normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T).max(axis=1)
    beyond = 2 * float(ndtr(-np.quantile(farthest, 1 - FAMILY_WISE_ERROR)))
    return min(max(beyond, least), FAMILY_WISE_ERROR)


def practical_verdict(difference: Estimate, margin: float, *, greater_is_better: bool = True) -> str | None:
    """Say what an interval says of differences that matter: one of ``VERDICTS``, or ``None`` if there is no interval.

    A row is better if the whole interval is above the margin, and practically equal if all of it is within the margin
    on both sides (the region of practical equivalence: Benavoli and others, 2017).

    Args:
        difference: of the row to what it is compared with.
        margin: the smallest difference that matters, above 0.
        greater_is_better: whether a positive difference is a gain.
    """
    if not difference.has_interval:
        return None
    better, worse, equal, undecided = VERDICTS
    if difference.low > margin:
        return better if greater_is_better else worse
    if difference.high < -margin:
        return worse if greater_is_better else better
    return equal if -margin <= difference.low and difference.high <= margin else undecided


def rank_shares(scores: Sequence[ResampledScores], *, greater_is_better: bool = True) -> Floats | None:
    """Return in what share of the draws of groups and seeds each row has each rank.

    Rows of equal scores share their ranks equally.

    Args:
        scores: of each row, on the same groups.
        greater_is_better: whether the greatest has rank 1.

    Returns:
        (rows, ranks), each row and each column adding up to 1; ``None`` where no draw gives all of them a score.
    """
    means = np.stack([each.drawn_means for each in scores])
    means = means[:, ~np.isnan(means).any(axis=0)] * (1 if greater_is_better else -1)
    if means.shape[1] == 0:
        return None
    ranks = np.arange(len(scores))
    shares = np.empty((len(scores), len(scores)))
    for row, own in enumerate(means):
        ahead, level = (means > own).sum(axis=0), (means == own).sum(axis=0)
        has = (ranks[:, None] >= ahead) & (ranks[:, None] < ahead + level)
        shares[row] = (has / level).mean(axis=1)
    return shares
