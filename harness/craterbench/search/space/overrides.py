"""What a user says of the search space: what to vary and how far, what to fix."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from craterbench.config.benchmark import COMPONENT_SECTIONS
from craterbench.config.resolve import Override, flatten, parse_override, parse_value
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest

__all__ = ["ParameterOverride", "SpaceOverrides", "parse_space_overrides"]

_HOW = "write it as key, key=low..high, key=low..high:log or key=one|other"


@dataclass(frozen=True, kw_only=True)
class ParameterOverride:
    """How one parameter is to be varied; with nothing said, as its component declares it.

    Attributes:
        choices: try these values alone.
        low: try a range, from here,
        high: to here,
        log: on a logarithmic scale or not; ``None`` is as the component declares it.
        source: the option or the file that says so.
    """

    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool | None = None
    source: str = "--vary"

    @property
    def says_how(self) -> bool:
        """Whether more is said than that the parameter is to be varied."""
        return bool(self.choices) or self.low is not None


@dataclass(frozen=True, kw_only=True)
class SpaceOverrides:
    """What the command line and a file say of the search.

    Attributes:
        varied: by full name, key of the config, or section; with none, all that can be varied is.
        fixed: to be applied to the benchmark that the search starts from, and so to every trial.
    """

    varied: Mapping[str, ParameterOverride] = field(default_factory=dict)
    fixed: Sequence[Override] = ()

    @property
    def fixed_keys(self) -> frozenset[str]:
        """The dotted keys of the values that are fixed."""
        return frozenset(key for override in self.fixed for key in flatten({override.key: override.value}))


def parse_space_overrides(vary: Sequence[str], fix: Sequence[str], file: Path | None) -> SpaceOverrides:
    """Read what is to be varied and fixed.

    Args:
        vary: one or more parameters, commas between them: ``model.depth,optimizer.learning_rate=1e-4..1e-2:log``.
        fix: each ``key=value``.
        file: TOML with the tables ``[vary]`` (key = true, a list of choices, or ``{low=, high=, log=}``) and ``[fix]``;
            the command line goes over it.

    Raises:
        UserError: any of it cannot be read.
    """
    varied: dict[str, ParameterOverride] = {}
    fixed: dict[str, Override] = {}
    if file is not None:
        tables = _tables(file)
        varied |= dict(_in_table(tables["vary"], "", f"{file.name} [vary]"))
        fixed |= {key: Override(key, value, file.name) for key, value in flatten(tables["fix"]).items()}
    on_command_line: dict[str, ParameterOverride] = {}
    for text in (part.strip() for option in vary for part in option.split(",")):
        key, parameter = _parameter_override(text)
        if (
            key in on_command_line
            and on_command_line[key].says_how
            and parameter.says_how
            and on_command_line[key] != parameter
        ):
            raise UserError(f"--vary {text}: {key} is to be varied in two ways; leave one of them out")
        if parameter.says_how or key not in on_command_line:
            on_command_line[key] = parameter
    for override in (parse_override(text, "--fix") for text in fix):
        fixed[override.key] = override
    for override in fixed.values():
        _check_key(override)
    return SpaceOverrides(varied=varied | on_command_line, fixed=tuple(fixed.values()))


def _check_key(override: Override) -> None:
    """Refuse what is a name in the space and no key of a config, which has one component of each kind."""
    section, *rest = override.key.split(".")
    if section in COMPONENT_SECTIONS and len(rest) > 1:
        cure = f"fix {section}.name={rest[0]} and {section}.{'.'.join(rest[1:])}={override.value}"
        raise UserError(f"{override.source} {override}: cannot be fixed for one {section} of several; {cure}")


def _parameter_override(text: str) -> tuple[str, ParameterOverride]:
    key, equals, values = text.partition("=")
    said = f"--vary {text}"
    if not all(key.split(".")) or (equals and not values):
        raise UserError(f"--vary {text!r}: {_HOW}")
    if not equals:
        return key, ParameterOverride()
    if ".." in values and "|" not in values:
        ends, _, scale = values.partition(":")
        if scale not in ("", "log", "linear"):
            raise UserError(f"{said}: the scale of a range is log or linear, not {scale!r}")
        low, _, high = ends.partition("..")
        return key, _range(said, _number(said, low), _number(said, high), {"log": True, "linear": False}.get(scale))
    return key, _choices(said, key, [parse_value(value.strip()) for value in values.split("|")])


def _number(said: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{said}: {text!r} is no number; write a range as low..high, for example 1e-4..1e-2") from None


def _range(said: str, low: float, high: float, log: bool | None) -> ParameterOverride:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{said}: a search needs two finite ends, not {low:g} and {high:g}")
    if not low < high:
        cure = "to leave one value, fix it" if low == high else f"the lower end first: {high:g}..{low:g}"
        raise UserError(f"{said}: the range from {low:g} to {high:g} is empty; {cure}")
    if log and low <= 0:
        raise UserError(f"{said}: a logarithmic scale has no {low:g}; start above 0, or leave out log")
    return ParameterOverride(low=low, high=high, log=log)


def _choices(said: str, key: str, choices: list[Any]) -> ParameterOverride:
    if any(isinstance(choice, list | dict) or choice == "" for choice in choices):
        raise UserError(f"{said}: {_HOW}")
    if len({(type(choice), choice) for choice in choices}) < len(choices):
        raise UserError(f"{said}: a choice is there twice")
    if len(choices) == 1:
        raise UserError(f"{said}: one value is nothing to vary; to keep to it: --fix {Override(key, choices[0], '')}")
    return ParameterOverride(choices=tuple(choices))


def _tables(file: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: is not TOML: {error}") from None
    for key, table in tables.items():
        if key not in ("vary", "fix"):
            raise UserError(f"{file}: {key}: unknown table; {nearest(key, ('vary', 'fix'))}")
        if not isinstance(table, dict):
            raise UserError(f"{file}: {key}: give a table, [{key}], not {table!r}")
    return {"vary": {}, "fix": {}} | tables


def _in_table(table: Mapping[str, Any], path: str, where: str) -> Iterator[tuple[str, ParameterOverride]]:
    """Read ``[vary]``, in which TOML makes tables of the dots of a key."""
    for part, value in table.items():
        key = f"{path}.{part}" if path else part
        said = f"{where} {key}"
        if value is True:
            yield key, ParameterOverride(source=where)
        elif isinstance(value, list) and value:
            yield key, replace(_choices(said, key, value), source=where)
        elif isinstance(value, dict) and any(_is_number(value.get(end)) for end in ("low", "high")):
            for unknown in value.keys() - {"low", "high", "log"}:
                raise UserError(f"{said}: unknown key {unknown!r}; {nearest(unknown, ('low', 'high', 'log'))}")
            log = value.get("log")
            if not (_is_number(value.get("low")) and _is_number(value.get("high")) and log in (None, True, False)):
                raise UserError(f"{said}: a range is {{low = number, high = number, log = true or false}}")
            yield key, replace(_range(said, float(value["low"]), float(value["high"]), log), source=where)
        elif isinstance(value, dict) and value:
            yield from _in_table(value, key, where)
        else:
            raise UserError(f"{said}: give true, a list of choices, or {{low =, high =, log =}}, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
