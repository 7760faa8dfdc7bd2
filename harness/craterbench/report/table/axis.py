"""Intervals as small drawings in the cells of a column, all on one scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from craterbench.metrics.intervals import Estimate

__all__ = ["Axis"]

#: Width and height of the drawing of an interval, in pixels, and the room at its ends.
_WIDTH, _HEIGHT, _ROOM = 130, 14, 5


class Axis:
    """The scale that the intervals of one column share."""

    def __init__(self, low: float, high: float, *, decimals: int) -> None:
        self._low, self._high, self._decimals = low, high, decimals

    @classmethod
    def over(cls, values: Iterable[Any]) -> Axis | None:
        """Return a scale for the estimates with an interval, or ``None`` if there are not two of them."""
        found = [value for value in values if isinstance(value, Estimate) and value.has_interval]
        if len(found) < 2:
            return None
        ends = [end for estimate in found for end in (estimate.low, estimate.mean, estimate.high)]
        if min(ends) == max(ends):
            return None
        return cls(min(ends), max(ends), decimals=max(0, 2 - math.floor(math.log10(max(ends) - min(ends)))))

    def drawn(self) -> str:
        """Return the scale itself, with its ends."""
        low, high = (f"{end:.{self._decimals}f}" for end in (self._low, self._high))
        return _svg(
            f'<text x="0" y="9">{low}</text><text x="{_WIDTH}" y="9" text-anchor="end">{high}</text>'
            f'<path d="M{_ROOM} 13.5H{_WIDTH - _ROOM}" stroke="#666"/>{self._zero()}'
        )

    def interval(self, value: Estimate) -> str:
        """Return a dot with whiskers."""
        middle = _HEIGHT / 2
        whisker = ""
        if value.has_interval:
            low, high = self._at(value.low), self._at(value.high)
            whisker = f'<path d="M{low} {middle}H{high}" stroke="#0072b2" stroke-width="1.5"/>'
        return _svg(f'{self._zero()}{whisker}<circle cx="{self._at(value.mean)}" cy="{middle}" r="3" fill="#0072b2"/>')

    def _at(self, value: float) -> str:
        share = (value - self._low) / (self._high - self._low)
        return f"{_ROOM + share * (_WIDTH - 2 * _ROOM):.1f}"

    def _zero(self) -> str:
        if not self._low < 0 < self._high:
            return ""
        return f'<path d="M{self._at(0)} 0V{_HEIGHT}" stroke="#999" stroke-dasharray="2 2"/>'


def _svg(content: str) -> str:
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">{content}</svg>'
