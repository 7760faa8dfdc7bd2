"""Where the values of a parameter stand on an axis: on a line, on a logarithmic line, or each on a step of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from craterbench.report.study.trials import value_text

__all__ = ["AxisScale"]

#: Whole numbers stand on steps if they are so few.
_STEPS = 8


@dataclass(frozen=True)
class AxisScale:
    """The scale of a parameter.

    Attributes:
        steps: the values, if each has a step of its own.
        low: the least number, if they do not.
        high: the greatest.
        logarithmic: whether equal ratios are equally far apart.
    """

    steps: Sequence[str] = ()
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False

    @classmethod
    def of(cls, values: Iterable[Any], *, logarithmic: bool) -> AxisScale:
        """Return a scale for the values that were tried, of which there is at least one.

        Args:
            logarithmic: whether numbers were drawn on a logarithmic scale; they are positive then.
        """
        tried = list(values)
        if not all(_is_number(value) for value in tried):
            return cls(steps=sorted({value_text(value) for value in tried}))
        integers = all(isinstance(value, int) for value in tried)
        if integers and len(set(tried)) <= _STEPS:
            return cls(steps=[value_text(value) for value in sorted(set(tried))])
        low, high = float(min(tried)), float(max(tried))
        return cls(low=low, high=high, logarithmic=logarithmic)

    def at(self, value: Any) -> float:
        """Return where a value stands: of steps the number of the step, else the share of the way from end to end."""
        if self.steps:
            return float(self.steps.index(value_text(value)))
        if self.low == self.high:
            return 0.5
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def share(self, value: Any) -> float:
        """Return where a value stands between 0 and 1, steps included."""
        if not self.steps:
            return self.at(value)
        return 0.5 if len(self.steps) == 1 else self.at(value) / (len(self.steps) - 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
