"""Numbers and estimates as a person reads them, the same in every table and sentence."""

from __future__ import annotations

import math

from craterbench.metrics.intervals import Estimate

__all__ = ["estimate_text", "number_text"]

_NOTHING = "–"


def number_text(value: float | None, *, decimals: int = 4, signed: bool = False) -> str:
    """Return a number with so many decimals, or a dash where there is none."""
    return _NOTHING if value is None or not math.isfinite(value) else f"{value:{'+' * signed}.{decimals}f}"


def estimate_text(
    estimate: Estimate | None,
    *,
    decimals: int = 4,
    signed: bool = False,
    between: str = " ",
    with_sd: bool = True,
    with_interval: bool = True,
) -> str:
    """Return ``mean ± sd [low, high]`` with what of that there is, or a dash where there is no mean.

    Args:
        estimate: a mean, or a difference.
        decimals: how many are shown.
        signed: whether mean and interval show a plus.
        between: what stands before the interval.
        with_sd: whether to show the standard deviation; of a difference the interval says more.
        with_interval: whether to show the interval.
    """
    if estimate is None or not math.isfinite(estimate.mean):
        return _NOTHING
    if estimate.mean == estimate.low == estimate.high == 0:
        return "0"  # the reference's difference to itself
    text = number_text(estimate.mean, decimals=decimals, signed=signed)
    if estimate.sd is not None and with_sd:
        text += f" ± {number_text(estimate.sd, decimals=decimals)}"
    if with_interval and estimate.has_interval:
        low, high = (number_text(end, decimals=decimals, signed=signed) for end in (estimate.low, estimate.high))
        text += f"{between}[{low}, {high}]"
    return text
