"""Parameters of components: one annotation is the validation, the documentation and the search space of a value.

Imports the standard library only, so that listing the plugins stays light.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import KW_ONLY, MISSING, dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["ADDED_LATER", "NoParameters", "Range", "check_parameters"]

#: For ``field(default=..., metadata=ADDED_LATER)``: a parameter that came when there were runs without it. At its
#: default, which does what was done before, it is left out of the config, so that those runs stay done.
ADDED_LATER = MappingProxyType({"added_later": True})


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """The parameters of a component that has none."""


@dataclass(frozen=True)
class Range:
    """The values that a number may take, both ends included.

    Used as ``gamma: Annotated[float, Range(0, 5)] = 2.0`` in the frozen, keyword-only dataclass of a component, or
    ``filters: Annotated[int, Range(1, 256, search=(8, 32), log=True)] = 16``.

    Attributes:
        search: the part that ``bench sweep`` tries unless the user says otherwise; ``None`` is all of it.
        log: try it on a logarithmic scale.

    Raises:
        ValueError: it or the part is empty, the part reaches outside, or a logarithm would be taken of 0 or less.
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
        """The lowest and the highest value that a search tries unless the user says otherwise."""
        return (self.low, self.high) if self.search is None else self.search

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic is imported only where configs are validated

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ValueError(f"{value!r} is outside {self}")
        return value


def check_parameters(what: str, parameters: Any, reserved: Collection[str]) -> None:
    """Check that a class can be the parameters of a component.

    Args:
        what: the component, for messages.
        parameters: the class.
        reserved: names that no field may have, since they stand for something else in the component's table.

    Raises:
        ValueError: it is no frozen, keyword-only dataclass, names a type that is not there, has a field of a reserved
            name, or a default that is not allowed.
    """
    if not isinstance(parameters, type) or not is_dataclass(parameters):
        raise ValueError(f"{what}: its parameters {parameters!r} are no dataclass; give the class itself")
    known = f"{what}: its parameters {parameters.__name__}"
    frozen: bool = parameters.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if not frozen or not all(field.kw_only for field in fields(parameters)):
        raise ValueError(f"{known} must not change; declare them with @dataclass(frozen=True, kw_only=True)")
    try:
        hints = get_type_hints(parameters, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise ValueError(f"{known} have a type that cannot be found: {error}; import it in their module") from None
    for field in fields(parameters):
        if field.name in reserved:
            raise ValueError(f"{known} have a field {field.name!r}, which stands for something else; rename it")
        if field.default is not MISSING and (misfit := _misfit(hints[field.name], field.default)) is not None:
            raise ValueError(f"{known} have {field.name} = {field.default!r} by default, which {misfit}; change either")


def _misfit(annotation: Any, default: Any) -> str | None:
    """Return why a default is not allowed by its range or its list of choices, or ``None``."""
    kind, *notes = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if get_origin(kind) is Literal and default not in get_args(kind):
        return f"is none of {', '.join(map(repr, get_args(kind)))}"
    for note in notes:
        if isinstance(note, Range) and isinstance(default, int | float) and not note.low <= default <= note.high:
            return f"is outside {note}"
    return None
