"""Parameters of components: one annotation is the validation, the documentation and the search space of a value.

Imports the standard library only, so that listing the plugins stays light.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    Used as ``gamma: Annotated[float, Range(0, 5)] = 2.0`` in the frozen, keyword-only dataclass of a component.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic is asked for only where definitions are validated

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ValueError(f"{value!r} is outside {self}")
        return value
