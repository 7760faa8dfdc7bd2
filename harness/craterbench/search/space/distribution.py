"""The values of one parameter that a search tries, as its dataclass declares them and as a user narrows them."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from craterbench.plugin import Range, UserError
from craterbench.plugin.errors import nearest
from craterbench.search.space.overrides import ParameterOverride

__all__ = ["Distribution", "Kind", "declared", "narrowed", "required"]

Kind = Literal["int", "float", "choice"]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The values of one parameter.

    Attributes:
        kind: ``int`` and ``float`` from ``low`` to ``high``, both included, or a ``choice`` among ``choices``.
        allowed: the range that validation allows, of a number.
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    allowed: Range | None = None


def declared(parameters: type) -> dict[str, Distribution | None]:
    """Return what is to be tried of each field of a dataclass of parameters; ``None``, where it does not say."""
    hints = get_type_hints(parameters, include_extras=True)
    return {field.name: _distribution(hints[field.name]) for field in fields(parameters)}


def required(parameters: type) -> frozenset[str]:
    """Return the fields of a dataclass of parameters that have no default."""
    return frozenset(
        field.name for field in fields(parameters) if field.default is MISSING and field.default_factory is MISSING
    )


def narrowed(name: str, distribution: Distribution, override: ParameterOverride) -> Distribution:
    """Return a distribution as the user space_overrides it.

    Raises:
        UserError: it holds nothing of the kind.
    """
    said = f"{override.source} {name}"
    if override.choices:
        choices = tuple(_choice(said, distribution, choice) for choice in override.choices)
        return replace(distribution, kind="choice", choices=choices, log=False)
    if override.low is None or override.high is None:
        return distribution
    if distribution.allowed is None:
        raise UserError(f"{said}: is no number; choose among {_listed(distribution.choices)}, with | between them")
    log = distribution.log if override.log is None else override.log
    if log and override.low <= 0:
        raise UserError(
            f"{said}: is searched on a logarithmic scale, which has no {override.low:g}; start above 0, "
            f"or say that it is linear: {name}={override.low:g}..{override.high:g}:linear, in a file log = false"
        )
    low, high = (_number(said, distribution.kind, distribution.allowed, end) for end in (override.low, override.high))
    return replace(distribution, low=low, high=high, log=log)


def _distribution(annotation: Any) -> Distribution | None:
    kind, *notes = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if kind is bool:
        return Distribution(kind="choice", choices=(False, True))
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        plain = len(choices) > 1 and all(type(choice) in (bool, int, float, str) for choice in choices)
        return Distribution(kind="choice", choices=choices) if plain else None
    ranges = [note for note in notes if isinstance(note, Range)]
    if kind not in (int, float) or not ranges:
        return None
    low, high = ranges[0].searched
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    if kind is int:
        low, high = math.ceil(low), math.floor(high)
    if not low < high:
        return None
    return Distribution(
        kind="int" if kind is int else "float", low=kind(low), high=kind(high), log=ranges[0].log, allowed=ranges[0]
    )


def _choice(said: str, distribution: Distribution, choice: Any) -> Any:
    if distribution.allowed is not None:
        return _number(said, distribution.kind, distribution.allowed, choice)
    if not any(type(choice) is type(known) and choice == known for known in distribution.choices):
        names = [str(known) for known in distribution.choices if isinstance(known, str)]
        cure = nearest(str(choice), names) if names else f"known: {_listed(distribution.choices)}"
        raise UserError(f"{said}: there is no choice {_written(choice)}; {cure}")
    return choice


def _number(said: str, kind: Kind, allowed: Range, value: Any) -> int | float:
    integer = kind == "int"
    if isinstance(value, bool) or not isinstance(value, int | float) or (integer and not float(value).is_integer()):
        raise UserError(f"{said}: {_written(value)} is no {'whole number' if integer else 'number'}")
    if not allowed.low <= value <= allowed.high:
        raise UserError(f"{said}: {value:g} is outside {allowed}, which is all that it may be")
    return int(value) if integer else float(value)


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(map(_written, choices))


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
