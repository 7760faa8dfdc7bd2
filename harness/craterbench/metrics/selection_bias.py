"""Selection bias: how far the best of many equal configs lies above their mean by chance alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import log_ndtr

__all__ = ["expected_maximum", "pooled_sd"]


def expected_maximum(number: int, sd: float) -> float:
    """Return how far the best of so many equal configs is expected to lie above their mean, by chance alone.

    That is the expected maximum of independent normal variables of this standard deviation: the integral over x > 0 of
    1 - F(x)^n - F(-x)^n, with F the standard normal distribution function, times the deviation (David and Nagaraja,
    2003, Order Statistics, 3rd edition, chapter 3, for a distribution that is symmetric about 0).

    Raises:
        ValueError: there is no setting.
    """
    from scipy.integrate import quad  # a search need not wait for it before it starts

    if number < 1:
        raise ValueError(f"there is no best of {number}")
    # In logarithms, for F(x) is 1 to the last digit long before F(x)^n is.
    expected, _ = quad(lambda x: -np.expm1(number * log_ndtr(x)) - np.exp(number * log_ndtr(-x)), 0, np.inf)
    return sd * float(expected)


def pooled_sd(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups of values, pooled over groups by their degrees of freedom.

    Returns:
        ``None`` where no group has two values.
    """
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom == 0:
        return None
    squares = sum(float(np.square(np.subtract(group, np.mean(group))).sum()) for group in groups if group)
    return math.sqrt(squares / freedom)
