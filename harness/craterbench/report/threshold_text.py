"""How much of a difference is where the threshold lies, in words."""

from __future__ import annotations

from craterbench.metrics.intervals import Estimate

__all__ = ["explained_by_threshold"]

_MOST = 0.5


def explained_by_threshold(at_half: Estimate, tuned: Estimate) -> str | None:
    """Say how much of a difference of balanced accuracy the threshold explains, if it is most of it.

    Args:
        at_half: the difference at a threshold of 0.5.
        tuned: the difference where both sides have the threshold that their validation parts chose.

    Returns:
        ``None`` where there is no difference at 0.5 to be explained, where more than half of it is there with tuned
        thresholds as well, or where one of the two has no interval.
    """
    if not (at_half.has_interval and tuned.has_interval) or at_half.low <= 0 <= at_half.high:
        return None
    low, high, share = tuned.low, tuned.high, 1 - tuned.mean / at_half.mean
    if at_half.mean < 0:
        low, high = -high, -low
    if low > 0:
        return f"the threshold explains about {share:.0%} of it" if share >= _MOST else None
    if high < 0:
        return "it turns round, so the threshold explains all of it, and hides a difference the other way"
    if share >= 1:
        return "the threshold explains all of it"
    return f"the threshold explains about {share:.0%} of it, and the rest may be chance"
