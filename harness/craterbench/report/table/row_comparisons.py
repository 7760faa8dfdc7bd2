"""The rows of one fingerprint compared with the baseline together: corrected for their number, and their ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from craterbench.metrics.comparisons import (
    FAMILY_WISE_ERROR,
    holm,
    practical_verdict,
    rank_shares,
    simultaneous_intervals,
)
from craterbench.metrics.intervals import Estimate, PairedDifference
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.report.table.row_intervals import RowIntervals
from craterbench.report.table.rows import ScoredRuns

__all__ = ["Ranks", "RowComparisons"]

#: With fewer rows the difference itself says who is ahead.
_LEAST_RANKED = 3

#: With fewer seeds the error is larger than it should be if it is the seeds that vary most: three say little about a
#: variance. ``benchmarks/harness/coverage/comparisons.py`` measured how large.
_ENOUGH_SEEDS, _LARGER_ERROR = 5, 0.11

#: Of how many rows it is said how often they are first.
_NAMED = 3


@dataclass(frozen=True)
class Ranks:
    """How stable the ranks of rows are.

    Attributes:
        titles: of the rows, the one that is first most often before the others.
        shares: (rows, ranks), in what share of the draws of groups and seeds each has each rank.
    """

    titles: Sequence[str]
    shares: npt.NDArray[np.float64]


class RowComparisons:
    """Differences of balanced accuracy to the baseline on one fingerprint."""

    def __init__(self, evidence: RowIntervals, scored: Sequence[ScoredRuns]) -> None:
        """Compare what the rows of a table scored on one fingerprint; the baseline need not be among them."""
        self._evidence = evidence
        self._scored = scored

    @cached_property
    def _pairs(self) -> dict[ScoredRuns, PairedDifference]:
        """The differences that have an interval; that of the baseline to itself is none."""
        found = {}
        for scored in self._scored:
            pair = self._evidence.comparison(scored)
            if pair is None or pair.reference is scored:
                continue
            difference = self._evidence.paired_difference(pair)
            if difference is not None and not math.isnan(difference.error):
                found[scored] = difference
        return found

    @cached_property
    def _p_values(self) -> dict[ScoredRuns, float]:
        return dict(zip(self._pairs, holm([each.p_value for each in self._pairs.values()]), strict=True))

    @cached_property
    def _simultaneous(self) -> dict[ScoredRuns, Estimate]:
        return dict(zip(self._pairs, simultaneous_intervals(list(self._pairs.values())), strict=True))

    def simultaneous(self, scored: ScoredRuns) -> Estimate | None:
        """Return a difference with an interval that holds at once with those of all rows."""
        return self._simultaneous.get(scored)

    def p_holm(self, scored: ScoredRuns) -> float | None:
        """Return the p-value of a difference, corrected for the number of differences."""
        return self._p_values.get(scored)

    def p_better(self, scored: ScoredRuns) -> float | None:
        """Return how probable it is that a row is better than the baseline on new groups and seeds."""
        pair = self._pairs.get(scored)
        return None if pair is None else pair.p_above

    def verdict(self, scored: ScoredRuns, margin: float) -> str | None:
        """Return what the interval of a difference says beside a margin."""
        pair = self._pairs.get(scored)
        return None if pair is None else practical_verdict(pair.interval, margin)

    @cached_property
    def ranks(self) -> Ranks | None:
        """The ranks of the rows that can be compared, and of the baseline if it is shown; ``None`` of fewer than three.

        A row that is compared over other images than the rest, or whose statistics cannot be had, has none.
        """
        baselines = {pair.reference for each in self._pairs if (pair := self._evidence.comparison(each))}
        rows = [each for each in self._scored if each in self._pairs or each in baselines]
        if len(rows) < _LEAST_RANKED:
            return None
        resampled = [self._evidence.resampled(each, BALANCED_ACCURACY) for each in rows]
        shares = rank_shares([each for each in resampled if each is not None])
        if shares is None:
            return None
        order = np.lexsort(-shares.T[::-1])
        return Ranks([rows[position].row.title for position in order], shares[order])

    def notes(self) -> list[str]:
        """Return a line on how many differences hold when corrected for their number, and one on who is first."""
        lines = []
        if len(self._pairs) > 1:
            found = [scored for scored, p in self._p_values.items() if p < FAMILY_WISE_ERROR]
            better, worse = (
                ", ".join(scored.row.title for scored in found if (self._pairs[scored].mean > 0) is above)
                for above in (True, False)
            )
            named = "; ".join(text for text in (better, f"worse: {worse}" if worse else "") if text)
            seeds = [pair.seeds for each in found if (pair := self._evidence.comparison(each))]
            few = min(seeds, default=_ENOUGH_SEEDS) < _ENOUGH_SEEDS
            larger = f"; with fewer than {_ENOUGH_SEEDS} seeds up to {_LARGER_ERROR:.0%}" if few else ""
            lines.append(
                f"of {len(self._pairs)} differences {len(found) or 'none'} {'holds' if len(found) == 1 else 'hold'} "
                f"when corrected for their number (Holm, family-wise error {FAMILY_WISE_ERROR:.0%}{larger})"
                + (f": {named}" if named else "")
            )
        if self.ranks is not None:
            (first, share), *others = zip(self.ranks.titles, self.ranks.shares[:, 0], strict=True)
            also = ", ".join(f"{title} {each:.0%}" for title, each in others[: _NAMED - 1] if each >= 0.005)
            lines.append(
                f"rank 1 by balanced accuracy in {share:.0%} of draws of groups and seeds: {first}"
                + (f" ({also})" if also else "")
            )
        return lines
