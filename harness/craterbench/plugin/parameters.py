"""Parameters of components: one annotation is the validation, the documentation and the search space of a value.

Imports the standard library only, so that listing the plugins stays light.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["NoParameters", "Range"]


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """The parameters of a component that has none."""


@dataclass(frozen=True)
class Range:
    """The values that a number may take, both ends included.

    Used as ``gamma: Annotated[float, Range(0, 5)] = 2.0`` in the frozen, keyword-only dataclass of a component, or
    ``filters: Annotated[int, Range(1, 256, search=(8, 32), log=True)] = 16``.

    Attributes:
        search: the part that ``bench sweep`` tries unless it is told otherwise; ``None`` is all of it.
        log: try it on a logarithmic scale.

    Raises:
        ValueError: it or the part is empty, the part lies outside, or a logarithm would be taken of 0 or less.
    """

    low: float
    high: float
    _: KW_ONLY
    search: tuple[float, float] | None = None
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high:  # also refuses NaN
            raise ValueError(f"the range {self} is empty")
        low, high = self.searched
        if self.search is not None and not low < high:
            raise ValueError(f"search=({low:g}, {high:g}) is empty")
        if not self.low <= low <= high <= self.high:
            raise ValueError(f"search=({low:g}, {high:g}) is not within {self}")
        if self.log and low <= 0:
            raise ValueError(f"a search from {low:g} to {high:g} cannot be on a logarithmic scale; start it above 0")

    @property
    def searched(self) -> tuple[float, float]:
        """The lowest and the highest value that a search tries unless it is told otherwise."""
        return (self.low, self.high) if self.search is None else self.search

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic is asked for only where definitions are validated

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ValueError(f"{value!r} is outside {self}")
        return value
